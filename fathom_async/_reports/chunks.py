"""Queries by the hour over more than 7 days, which the server answers in several requests."""

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from fathom_async._core.codec.rows import Row, RowT
from fathom_async._reports.calendar import SECOND
from fathom_async._reports.fields import DATE_COLUMN, TIMESTAMP
from fathom_async._reports.query import HOUR_GROUPING_SPAN, Query, check_length
from fathom_async.errors import QueryError

_NOON: Final = 12


def hour_chunks(query: Query[RowT]) -> list[Query[RowT]]:
    """Split a query by the hour into queries of at most 7 days, whose rows together are those of the query.

    Cuts are at whole hours of the site's clock. An hour is one bucket of one chunk, so every figure of a row is what
    the server would have said, unique visitors too. If there is room, cuts are at noon, which every day of every time
    zone has exactly once. No other unit of dates is cut, and totals are not: visitors of two chunks would count
    twice.

    A range open at one end, and a limit of the whole that is no limit of its chunks, raise `QueryError`.
    """
    check_length(query)
    if not query.exceeds_hour_span:
        return [query]
    if query.date_from is None or query.date_to is None:
        raise QueryError(
            "the server groups at most 7 days by the hour, and a range that is open at one end may be longer; "
            "write date_from and date_to, or e.g. query.over('last 7 days', now=...)"
        )
    if query.limit is not None and not _sorts_exactly(query):
        raise QueryError(
            f"limit={query.limit} over more than 7 days by the hour is several requests, and which rows come "
            "first is known only by 'timestamp' or an aggregate; sort by one of these, or leave out limit"
        )
    spans = _spans(query.date_from, query.date_to)
    return [query.replace(date_from=first, date_to=last) for first, last in spans]


def _sorts_exactly(query: Query[Row]) -> bool:
    """Whether the first rows of the whole are among the first rows of the chunks."""
    column = (query.sort_by or "").partition(":")[0]
    return column in {DATE_COLUMN, TIMESTAMP, *query.aggregates}


def _spans(first: datetime, last: datetime) -> Iterator[tuple[datetime, datetime]]:
    while last - first > HOUR_GROUPING_SPAN:
        cut = _cut(first, last)
        yield first, cut - SECOND
        first = cut
    yield first, last


def _cut(first: datetime, last: datetime) -> datetime:
    """Return where the second chunk begins: at noon unless that takes one chunk more."""
    latest = (first + HOUR_GROUPING_SPAN).replace(minute=0, second=0)
    noon = latest.replace(hour=_NOON) - timedelta(days=latest.hour < _NOON)
    after = math.ceil((last - latest) / HOUR_GROUPING_SPAN)
    return noon if last - noon < after * HOUR_GROUPING_SPAN else latest
