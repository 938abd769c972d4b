"""Pieces of 7 days: adjacent, and as few as possible."""

from datetime import datetime, timedelta
from itertools import pairwise
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom_async import PageviewQuery, QueryError
from fathom_async._reports.chunks import hour_chunks

WEEK = timedelta(days=7)
SECOND = timedelta(seconds=1)
HOURLY = PageviewQuery("CDBUGS", aggregates=["pageviews"], date_grouping="hour")


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)), st.integers(0, 60 * 86_400))  # noqa: DTZ001 - the site's
def test_pieces_lie_side_by_side_at_whole_hours(first: datetime, seconds: int) -> None:
    first = first.replace(microsecond=0)
    query = HOURLY.replace(date_from=first, date_to=first + timedelta(seconds=seconds))
    pieces = [(piece.date_from, piece.date_to) for piece in hour_chunks(query)]
    spans = [(start, end) for start, end in pieces if start and end]
    assert (spans[0][0], spans[-1][1]) == (query.date_from, query.date_to)
    assert all(end - start <= WEEK for start, end in spans)
    for (_, end), (start, _) in pairwise(spans):
        assert start == end + SECOND
        assert (start.minute, start.second) == (0, 0)
    assert len(spans) <= ceil((seconds + 3600) / WEEK.total_seconds()) + (seconds == 0)


def test_cuts_are_at_noon_where_that_costs_no_request() -> None:
    query = HOURLY.replace(date_from="2026-03-01", date_to="2026-03-20")
    assert [str(piece.date_from) for piece in hour_chunks(query)] == [
        "2026-03-01 00:00:00",
        "2026-03-07 12:00:00",
        "2026-03-14 12:00:00",
    ]
    whole = query.replace(date_to="2026-03-14")
    assert [str(piece.date_from) for piece in hour_chunks(whole)] == [
        "2026-03-01 00:00:00",
        "2026-03-08 00:00:00",
    ]


@pytest.mark.parametrize(
    "query",
    [
        HOURLY.replace(date_from="2026-03-01", date_to="2026-03-07"),
        HOURLY.replace(date_grouping="day", date_from="2020-01-01", date_to="2026-01-01"),
    ],
)
def test_what_the_server_takes_stays_whole(query: PageviewQuery) -> None:
    assert hour_chunks(query) == [query]


@pytest.mark.parametrize("query", [HOURLY, HOURLY.replace(date_from="2020-01-01")])
def test_a_range_that_is_open_at_one_end_is_refused(query: PageviewQuery) -> None:
    with pytest.raises(QueryError, match="write date_from and date_to"):
        hour_chunks(query)


LONG = HOURLY.replace(date_from="2026-03-01", date_to="2026-03-20", field_grouping=["pathname"])


@pytest.mark.filterwarnings("ignore::fathom_async.UnsortedLimitWarning")
def test_a_limit_that_pieces_would_not_keep_is_refused() -> None:
    with pytest.raises(QueryError, match="limit=10 over more than 7 days"):
        hour_chunks(LONG.replace(limit=10))
    with pytest.raises(QueryError, match="limit=10"):
        hour_chunks(LONG.replace(limit=10, sort_by="pathname:asc"))
