"""Fused and separate answers are equal: each rule by itself, and all of them over anything."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from benchmarks import fusing
from fathom_async import EventQuery, Filter, PageviewQuery
from fathom_async._reports.collation import is_certain
from fathom_async._reports.query import AnyQuery
from fathom_async.testing import Dataset
from tests.bulk.fusing.world import (
    BROWSERS,
    DATASETS,
    EVENTS,
    PAGEVIEWS,
    PERIODS,
    TEXTS,
    ZONE,
    compare,
    queries,
    same,
    some_of,
)
from tests.support.soak import tries

pytestmark = pytest.mark.filterwarnings("ignore::fathom_async.UnsortedLimitWarning")

KNOWN_TEXTS = tuple(filter(is_certain, TEXTS))


def texts(least: int) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(KNOWN_TEXTS), min_size=least, max_size=8, unique=True)


def in_one(data: Dataset, asked: Sequence[AnyQuery]) -> None:
    """Expect one request, with the answers of all queries."""
    comparison = compare(data, asked)
    assert same(comparison)
    assert comparison.requests == 1
    event(f"trusted: {not comparison.distrusted}")


@st.composite
def ordered(draw: st.DrawFn) -> PageviewQuery:
    """A query whose rows have one order, and one aggregate of any."""
    base = PageviewQuery("CDBUGS", aggregates=["visits"], date_to="2025-11-03")
    field, unit, direction = (
        draw(st.sampled_from(["pathname", "browser"])),
        draw(st.sampled_from(["day", "month"])),
        draw(st.sampled_from(["asc", "desc"])),
    )
    limit = draw(st.none() | st.integers(1, 5))
    changes: dict[str, object] = draw(
        st.sampled_from(
            [
                {"limit": limit},
                {"date_grouping": unit},
                {"date_grouping": unit, "sort_by": f"timestamp:{direction}", "limit": limit},
                {"field_grouping": [field], "sort_by": f"{field}:{direction}", "limit": limit},
            ]
        )
    )
    filters = draw(
        st.lists(st.sampled_from(KNOWN_TEXTS).map(lambda text: Filter("pathname", "is", text)), max_size=1)
    )
    return base.replace(filters=filters, **changes)


@settings(max_examples=tries(25, soak=50))
@given(DATASETS, ordered(), st.lists(some_of(PAGEVIEWS), min_size=2, max_size=5, unique_by=tuple))
def test_a_different_aggregates(data: Dataset, query: PageviewQuery, aggregates: list[list[str]]) -> None:
    in_one(data, [query.replace(aggregates=each) for each in aggregates])


@settings(max_examples=tries(25, soak=50))
@given(DATASETS, st.sampled_from(["pathname", "entry_page"]), texts(2), some_of(PAGEVIEWS), st.booleans())
def test_b_different_values_of_a_text(
    data: Dataset, name: str, values: list[str], aggregates: list[str], is_grouped: bool
) -> None:
    grouping = [name] if is_grouped else []
    query = PageviewQuery("CDBUGS", aggregates=["visits"], field_grouping=[], date_to="2025-11-03")
    query = query.replace(aggregates=aggregates, field_grouping=grouping)
    in_one(data, [query.replace(filters=[Filter.from_dict(_is(name, value))]) for value in values])


@settings(max_examples=tries(25, soak=50))
@given(DATASETS, texts(2), some_of(BROWSERS[:3], 2), st.randoms(use_true_random=False))
def test_b_different_values_of_several_properties(
    data: Dataset, paths: list[str], browsers: list[str], chance: random.Random
) -> None:
    base = PageviewQuery("CDBUGS", aggregates=["visits", "bounce_rate"], date_to="2025-11-03")
    pairs = [(path, browser) for path in paths for browser in browsers]
    chance.shuffle(pairs)
    in_one(
        data,
        [
            base.replace(filters=[Filter("pathname", "is", path), Filter("browser", "is", browser)])
            for path, browser in pairs[1:]
        ],
    )


@settings(max_examples=tries(25, soak=50))
@given(DATASETS, some_of(PAGEVIEWS), st.lists(st.integers(30, 35), min_size=2, unique=True), st.booleans())
def test_c_different_days(data: Dataset, aggregates: list[str], days: list[int], is_dated: bool) -> None:
    base = PageviewQuery("CDBUGS", aggregates=["visits"], timezone=ZONE).replace(aggregates=aggregates)
    dates = [f"2025-10-{day}" if day < 32 else f"2025-11-{day - 31:02}" for day in days]
    asked = [base.replace(date_from=date, date_to=date) for date in dates]
    if is_dated:
        week = base.replace(date_grouping="day", date_from="2025-10-28", date_to="2025-11-03")
        asked += [week, week.replace(sort_by="timestamp:desc", limit=3)]
    in_one(data, asked)


HOURS = [f"2025-{hour}" for hour in ("11-01 13", "11-01 14", "11-03 01", "11-04 02")]
LONG_PERIODS = {
    "hour": [(f"{hour}:00:00", f"{hour}:59:59") for hour in HOURS],
    "month": [("2025-10-01", "2025-10-31"), ("2025-12-01", "2025-12-31"), ("2025-11-01", "2025-11-30")],
    "year": [("2025-01-01", "2025-12-31"), ("2023-01-01", "2023-12-31")],
}


@settings(max_examples=tries(25, soak=50))
@given(DATASETS, some_of(EVENTS), st.sampled_from([*LONG_PERIODS]))
def test_c_different_hours_months_and_years(data: Dataset, aggregates: list[str], unit: str) -> None:
    base = EventQuery("CDBUGS", "buy", aggregates=["value"], timezone=ZONE).replace(aggregates=aggregates)
    in_one(data, [base.replace(date_from=first, date_to=last) for first, last in LONG_PERIODS[unit]])


@settings(max_examples=tries(25, soak=50))
@given(DATASETS, queries(), st.integers(2, 4))
def test_d_equal_queries_once(data: Dataset, query: AnyQuery, times: int) -> None:
    in_one(data, [query] * times)


def test_anything_at_all() -> None:
    asked = saved = 0

    @settings(max_examples=tries(75, soak=150))
    @given(DATASETS, st.lists(variations(), min_size=1, max_size=4))
    def check(data: Dataset, sets: list[list[AnyQuery]]) -> None:
        nonlocal asked, saved
        together = [query for variants in sets for query in variants]
        comparison = compare(data, together)
        assert same(comparison)
        asked += len(together)
        saved += len(together) - comparison.requests

    check()
    assert saved > asked / 5


@st.composite
def variations(draw: st.DrawFn) -> list[AnyQuery]:
    """A query, and some that differ from it in values of filters, time, aggregates or limit, or in nothing."""
    query = draw(queries())
    names = PAGEVIEWS if isinstance(query, PageviewQuery) else EVENTS
    others = [each for each in query.filters if each.operator != "is"]
    values = {name: draw(some_of(POOLS[name])) for name in draw(some_of([*POOLS], 0))}
    times = draw(st.lists(PERIODS, max_size=3)) if query.date_grouping != "hour" else []
    asked: list[AnyQuery] = []
    for _ in range(draw(st.integers(2, 8))):
        fixed = [Filter.from_dict(_is(name, draw(st.sampled_from(pool)))) for name, pool in values.items()]
        changes: dict[str, object] = {"filters": [*others, *fixed]}
        if (query.sort_by or "").partition(":")[0] not in query.aggregates:
            changes["aggregates"] = draw(some_of(names))
        if times:
            changes["date_from"], changes["date_to"] = draw(st.sampled_from(times))
        if draw(st.integers(0, 3)) == 0:
            changes["limit"] = draw(st.integers(1, 4))
        asked.append(query.replace(**changes))
    return asked


POOLS = {
    "pathname": TEXTS,
    "entry_page": TEXTS[:4],
    "browser": BROWSERS,
    "country_code": ("US", "DE", "FR"),
    "domain": ("x.com", "y.com"),
}


def _is(name: str, value: str) -> dict[str, str]:
    return {"property": name, "operator": "is", "value": value}


def test_a_dashboard_takes_a_tenth_of_its_requests() -> None:
    data = Dataset.synthetic(until=fusing.TODAY)
    asked = list(fusing.dashboard(data))
    comparison = compare(data, asked)
    assert same(comparison)
    assert len(asked) >= 110
    assert comparison.requests + comparison.distrusted <= 11
