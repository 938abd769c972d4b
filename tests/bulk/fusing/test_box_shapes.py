"""What a query needs of an answer: which values it fixes, in what order its rows come, and at what times."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from fathom_async import EventQuery, Filter, PageviewQuery
from fathom_async._bulk.fusing.box import Time, depends_on_zone, shape_of
from fathom_async._core.codec.rows import Row
from fathom_async._reports.calendar import Unit
from fathom_async._reports.fields import DATE_GROUPINGS, MAX_ROWS, DateGrouping
from fathom_async._reports.implication import implies
from fathom_async._reports.query import AnyQuery, Query
from tests.bulk.fusing.world import BY_PATH, DAILY, HAVANA, SALES, TOTAL, VISITS, during, on, shape

# Times

RANGES = (
    *(("2026-01-01", "2026-01-01"), ("2026-01-01", "2026-01-31"), ("2026-01-31", "2026-03-01")),
    *(("2025-01-01", "2025-12-31"), ("2024-01-01", "2025-12-31"), ("2026-01-01", "2026-01-07")),
    *(("2026-01-01 00:00:00", "2026-01-07 23:59:58"), ("2026-01-01", "2026-01-08 00:59:59")),
    *(("2026-01-01 09:00:00", "2026-01-01 09:59:59"), ("2026-01-01 09:30:00", "2026-01-02 09:59:59")),
    *(("2025-11-02", "2025-11-02"), ("2025-11-02 00:00:00", "2025-11-02 00:59:59")),  # comes twice in Havana
    *((None, "2026-01-01"), ("2026-01-01", None), (None, None)),
)
"""A second more or less, and an hour more than a week, make a difference."""


@cache
def moments(first: datetime | None, last: datetime | None, unit: str) -> int | None:
    """Return how many hours, days, months or years a range touches, by walking through its hours."""
    if first is None or last is None:
        return None
    hours = int((last - first.replace(minute=0)) / timedelta(hours=1)) + 1
    length = {"hour": 13, "day": 10, "month": 7, "year": 4}[unit]
    return len({str(first + timedelta(hours=n))[:length] for n in range(hours)})


def wider(query: Query[Row], unit: DateGrouping) -> Query[Row] | None:
    """Return a query by a unit, over one more of it at either end; None if it has an open end."""
    if query.date_from is None or query.date_to is None:
        return None
    its = Unit(unit)
    first, last = its.index(query.date_from), its.index(query.date_to)
    return plain(query, unit).replace(date_from=its.start(first - 1), date_to=its.end(last + 1))


def plain(query: Query[Row], unit: str) -> Query[Row]:
    return query.replace(date_grouping=unit, sort_by=None, limit=None)


def times(query: Query[Row], zone: ZoneInfo | None) -> Iterator[tuple[Time, tuple[int, int]]]:
    """Yield the times of a query as the rules of implication have them: those whose answers contain its own."""
    own, ends = query.date_grouping, (query.date_from, query.date_to)
    yield Time(own, ends), (1, moments(*ends, own) or MAX_ROWS if own else 1)
    if query.exceeds_hour_span:
        return
    for unit in DATE_GROUPINGS:
        parts = moments(*ends, unit)
        if unit == "hour" and (parts is None or parts > 7 * 24):
            continue
        if unit not in {own, "hour"} and parts != 1 and implies(plain(query, unit), query, zone=zone):
            yield Time(unit, ends), (1, parts or MAX_ROWS)
        more = wider(query, unit)
        if more is not None and implies(more, query, zone=zone):
            assert query.date_from is not None
            assert query.date_to is not None
            yield Time(unit), (Unit(unit).index(query.date_from), Unit(unit).index(query.date_to))


def test_times_are_those_of_answers_that_contain_the_query() -> None:
    tried = 0
    for (first, last), unit, base, zone, named in product(
        RANGES, (None, *DATE_GROUPINGS), (TOTAL, VISITS), (None, ZoneInfo(HAVANA)), (None, HAVANA)
    ):
        query = base.replace(date_grouping=unit, date_from=first, date_to=last, timezone=named)
        assert [*shape(query, zone).times.items()] == [*times(query, zone)], (query, zone)
        tried += 1
    assert tried > 500


# What a query fixes, and what is one subject

CHROME = Filter("browser", "is", "Chrome")
NOT_A = Filter("pathname", "is not", "/a")


def test_a_filter_fixes_the_value_of_a_group_and_others_are_shared() -> None:
    found = shape(TOTAL.replace(filters=[Filter("pathname", "is", "/a"), CHROME, NOT_A]))
    assert found.fixed == {"pathname": "/a", "browser": "Chrome"}
    assert found.others == {NOT_A}
    for free in (
        [Filter("pathname", "is", "/a"), Filter("pathname", "is", "/b")],
        [Filter("pathname", "is", "")],
        [Filter("pathname", "matching", "^/a$")],
        [Filter("domain", "is", "x.com")],
    ):
        found = shape(TOTAL.replace(filters=[*free, CHROME]))
        assert found.fixed == {"browser": "Chrome"}
        assert found.others == {*free}


def test_queries_share_a_subject_unless_they_ask_about_something_else() -> None:
    queries: list[AnyQuery] = [
        *(TOTAL, SALES, TOTAL.replace(timezone="UTC"), TOTAL.replace(filters=[NOT_A])),
        *(
            PageviewQuery("OTHER", aggregates=["pageviews"]),
            EventQuery("CDBUGS", "call", aggregates=["value"]),
        ),
    ]
    assert len({shape(query).subject for query in queries}) == len(queries)
    for alike in (VISITS, on("/a"), BY_PATH.replace(sort_by="pathname:asc"), DAILY, during("2026-01-01")):
        assert shape(alike).subject == shape(TOTAL).subject


def test_only_figures_that_all_add_up_are_additive() -> None:
    assert shape(SALES.replace(aggregates=["value", "conversions"])).is_additive
    assert not shape(SALES.replace(aggregates=["value", "unique_conversions"])).is_additive
    assert not shape(TOTAL.replace(aggregates=["pageviews", "visits"])).is_additive


TWO = BY_PATH.replace(field_grouping=["pathname", "browser"])


@pytest.mark.filterwarnings("ignore::fathom_async.UnsortedLimitWarning")
def test_more_than_one_sequence_of_rows_has_no_shape() -> None:
    for query in (
        BY_PATH,
        BY_PATH.replace(limit=5),
        TWO.replace(sort_by="pathname:asc"),
        BY_PATH.replace(date_grouping="day", sort_by="pathname:asc"),
        BY_PATH.replace(date_grouping="day", sort_by="timestamp:asc"),
        BY_PATH.replace(sort_by="pageviews:desc"),
        BY_PATH.replace(sort_by="pageviews:desc", limit=101),
        DAILY.replace(sort_by="pageviews:desc"),
        DAILY.replace(limit=5),
        on("/a", BY_PATH.replace(date_grouping="day", sort_by="pathname:asc")),
        TOTAL.replace(extra={"field_grouping": ["new"]}),
    ):
        assert shape_of(query) is None


@pytest.mark.filterwarnings("ignore::fathom_async.UnsortedLimitWarning")
def test_texts_keep_the_order_of_the_server_and_all_else_is_put_in_order_here() -> None:
    for query, order in (
        (TOTAL, None),
        (DAILY, None),
        (DAILY.replace(sort_by="timestamp:asc", limit=5), None),
        (DAILY.replace(sort_by="pageviews:desc", limit=100), None),
        (BY_PATH.replace(sort_by="pageviews:desc", limit=100), None),
        (BY_PATH.replace(sort_by="pathname:asc"), "pathname:asc"),
        (BY_PATH.replace(sort_by="pathname:desc", limit=1000), "pathname:desc"),
        (on("/a", BY_PATH), None),
        (on("/a", BY_PATH.replace(limit=5)), None),
        (on("/a", BY_PATH.replace(sort_by="pathname:asc")), None),
        (on("/a", BY_PATH.replace(sort_by="pageviews:desc")), None),
        (on("/a", TWO.replace(sort_by="browser:asc")), "browser:asc"),
    ):
        assert shape(query).order == order, query


def test_a_top_has_first_rows_by_a_figure() -> None:
    assert shape(BY_PATH.replace(sort_by="pageviews:desc", limit=5)).is_top
    assert shape(DAILY.replace(sort_by="pageviews:desc", limit=5)).is_top
    assert not shape(BY_PATH.replace(sort_by="pathname:asc", limit=5)).is_top
    assert not shape(TOTAL.replace(sort_by="pageviews:desc")).is_top, "it has one row"


def test_the_natural_time_is_whole_buckets_as_long_as_can_be() -> None:
    assert shape(during("2026-01-01", "2026-01-31")).natural == Time("month")
    assert shape(during("2026-01-01", "2026-01-30")).natural == Time("day")
    assert shape(during("2026-01-01", "2026-12-31", DAILY)).natural == Time("day")
    assert shape(during("2026-01-01", "2026-01-02", VISITS)).natural.ends is not None


def test_a_range_depends_on_the_zone_if_some_clock_shows_an_end_of_it_twice() -> None:
    assert depends_on_zone(during("2025-11-02", "2025-11-03")), "midnight comes twice in Havana"
    assert depends_on_zone(during("2025-10-31", "2025-11-01 23:59:59").replace(date_to="2025-11-02 00:59:59"))
    assert not depends_on_zone(during("2025-11-02", "2025-11-03").replace(timezone="UTC"))
    assert not depends_on_zone(during("2026-01-01"))
    assert not depends_on_zone(TOTAL)
    assert depends_on_zone(TOTAL.replace(date_from="2025-11-02"))
    assert depends_on_zone(TOTAL.replace(date_to="2025-11-02 00:59:59"))
