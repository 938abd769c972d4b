"""Freshness: a range is over when the site's clock can no longer show any second of it."""

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fathom_async import PageviewQuery
from fathom_async._cache.entry import SKEW, CacheEntry, CachePolicy, Freshness, freshness, is_over
from fathom_async.errors import ArgumentError

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = 3_600.0
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC).timestamp()
OVER = PageviewQuery("CDBUGS", aggregates=["visits"], date_to="2026-05-31")
OPEN = OVER.replace(date_to="2026-06-01")


def unix(written: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(written).replace(tzinfo=ZoneInfo(zone)).timestamp()


def until(date_to: str | datetime, **others: Any) -> PageviewQuery:
    return PageviewQuery("CDBUGS", aggregates=["visits"], date_to=date_to, **others)


@pytest.mark.parametrize(
    ("date_to", "over_at"),
    [
        ("2026-01-31", "2026-02-01 00:00:00"),
        ("2026-01-31 23:59:59", "2026-02-01 00:00:00"),
        ("2026-01-31 15:00:00", "2026-01-31 15:00:01"),
        ("2026-03-28", "2026-03-29 00:00:00"),
        ("2026-03-29", "2026-03-30 00:00:00"),
    ],
)
def test_a_range_is_over_after_its_last_second_on_the_wall_and_the_grace(date_to: str, over_at: str) -> None:
    end = unix(over_at, "Europe/Berlin")
    assert is_over(until(date_to), end, BERLIN, grace=0.0)
    assert not is_over(until(date_to), end - 0.001, BERLIN, grace=0.0)
    assert is_over(until(date_to), end + HOUR, BERLIN, grace=HOUR)
    assert not is_over(until(date_to), end + HOUR - 0.001, BERLIN, grace=HOUR)


def test_a_second_that_clocks_show_twice_is_over_the_second_time() -> None:
    both = until("2026-10-25 02:30:00")
    assert not is_over(both, unix("2026-10-25 00:30:01"), BERLIN, grace=0.0)
    assert is_over(both, unix("2026-10-25 01:30:01"), BERLIN, grace=0.0)


def test_an_open_end_is_never_over_and_an_open_start_does_not_matter() -> None:
    assert not is_over(
        PageviewQuery("CDBUGS", aggregates=["visits"], date_from="2001-01-01"), NOW, BERLIN, 0.0
    )
    assert is_over(until("2026-01-31"), NOW, BERLIN, 0.0)
    assert is_over(until("2026-01-31", date_from="2026-01-01"), NOW, BERLIN, 0.0)


def test_without_a_zone_it_must_be_over_everywhere_on_earth() -> None:
    end = unix("2026-02-01 12:00:00")
    assert is_over(until("2026-01-31"), end, None, grace=0.0)
    assert not is_over(until("2026-01-31"), end - 0.001, None, grace=0.0)


@pytest.mark.parametrize("zone", [None, ZoneInfo("Pacific/Kiritimati"), ZoneInfo("America/Adak")])
def test_the_zone_of_the_query_goes_before_that_of_the_site(zone: ZoneInfo | None) -> None:
    query = until("2026-01-31", timezone="Europe/Berlin")
    assert is_over(query, unix("2026-01-31 23:00:00"), zone, grace=0.0)
    assert not is_over(query, unix("2026-01-31 22:59:59"), zone, grace=0.0)


@pytest.mark.parametrize("written", ["0001-01-01", "9999-12-31"])
@pytest.mark.parametrize("zone", [None, ZoneInfo("Asia/Tokyo"), ZoneInfo("America/Adak")])
def test_the_ends_of_the_calendar_are_no_trouble(written: str, zone: ZoneInfo | None) -> None:
    assert is_over(until(written), NOW, zone, HOUR) is (written < "2026")


ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Pacific/Apia",
    "Asia/Kathmandu",
    "Antarctica/Troll",
]


@given(
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    date_to=st.datetimes(datetime(2005, 1, 1), datetime(2030, 1, 1)),  # noqa: DTZ001 - a wall clock
    seconds=st.integers(-4 * 3_600, 4 * 3_600) | st.integers(-2, 2),
    grace=st.sampled_from([0.0, 0.5, 60.0, HOUR]),
)
@example(BERLIN, datetime(2026, 10, 25, 2, 30), 1, 0.0)  # noqa: DTZ001
@example(BERLIN, datetime(2026, 10, 25, 2, 59, 59), 1, 0.0)  # noqa: DTZ001
@example(BERLIN, datetime(2026, 10, 25, 1, 59, 59), 1, 0.0)  # noqa: DTZ001
@example(BERLIN, datetime(2026, 3, 29, 2, 30), 1, 0.0)  # noqa: DTZ001
@example(ZoneInfo("Australia/Lord_Howe"), datetime(2026, 4, 5, 1, 45), 1, 0.0)  # noqa: DTZ001
@example(ZoneInfo("America/Havana"), datetime(2026, 11, 1, 0, 30), 3_601, 0.0)  # noqa: DTZ001
@example(ZoneInfo("Pacific/Apia"), datetime(2011, 12, 30, 12), 1, 0.0)  # noqa: DTZ001
def test_over_is_what_no_later_look_at_the_wall_can_find(
    zone: ZoneInfo, date_to: datetime, seconds: int, grace: float
) -> None:
    query = until(date_to)
    assert query.date_to is not None
    asked_at = query.date_to.replace(tzinfo=zone).timestamp() + grace + seconds

    start = datetime.fromtimestamp(asked_at - grace, UTC)
    minute = start.replace(second=0, microsecond=0)
    looks = [start, *(minute + timedelta(minutes=number) for number in range(1, 240))]
    walls = [look.astimezone(zone).replace(tzinfo=None, microsecond=0) for look in looks]
    is_past = all(wall > query.date_to for wall in walls)

    if is_over(query, asked_at, zone, grace):
        assert is_past
    elif is_past:
        # A second that clocks leave out is taken for one that comes after the gap.
        there = query.date_to.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None)
        assert there != query.date_to


@given(
    zone=st.sampled_from(ZONES).map(ZoneInfo),
    date_to=st.dates(datetime(2005, 1, 1).date(), datetime(2030, 1, 1).date()),  # noqa: DTZ001
    seconds=st.floats(-200_000, 200_000),
)
def test_what_is_over_everywhere_is_over_in_each_zone_and_stays_so(
    zone: ZoneInfo, date_to: datetime, seconds: float
) -> None:
    query = PageviewQuery("CDBUGS", aggregates=["visits"], date_to=date_to)
    asked_at = unix(str(date_to)) + seconds
    assert is_over(query, asked_at, zone, HOUR) or not is_over(query, asked_at, None, HOUR)
    times = sorted([asked_at, asked_at + 600, asked_at + HOUR])
    found = [is_over(query, time, zone, HOUR) for time in times]
    assert all(later or not earlier for earlier, later in pairwise(found))


KEEPING = CachePolicy(max_age=300, grace=HOUR, stale_while_revalidate=60)


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0.0, "fresh"),
        (300.0, "fresh"),
        (300.5, "stale"),
        (360.0, "stale"),
        (360.5, "expired"),
        (-SKEW, "fresh"),
        (-SKEW - 0.5, "expired"),
    ],
)
def test_the_answer_to_an_open_range_ages(age: float, expected: Freshness) -> None:
    assert freshness(CacheEntry(b"", NOW - age), OPEN, KEEPING, now=NOW, zone=BERLIN) == expected


def test_the_answer_to_a_range_that_was_over_is_good_for_good_until_it_is_dropped() -> None:
    kept, years = CacheEntry(b"", NOW), 800 * 86_400
    assert freshness(kept, OVER, KEEPING, now=NOW + years, zone=BERLIN) == "fresh"
    assert freshness(kept, OVER, KEEPING, now=NOW + years + 1, zone=BERLIN) == "expired"


def test_an_answer_from_before_the_end_of_its_range_is_not_good_for_good() -> None:
    kept = CacheEntry(b"", unix("2026-05-31 23:30:00", "Europe/Berlin"))
    assert freshness(kept, OVER, KEEPING, now=NOW, zone=BERLIN) == "expired"


def test_an_answer_that_a_wrong_clock_stamped_is_not_good_for_good() -> None:
    kept = CacheEntry(b"", NOW + 365 * 86_400)
    assert freshness(kept, OPEN, KEEPING, now=NOW, zone=BERLIN) == "expired"


@pytest.mark.parametrize(
    ("kept", "site", "own", "expected"),
    [
        ("Europe/Berlin", "Europe/Berlin", None, "fresh"),
        ("Europe/Berlin", "America/New_York", None, "expired"),
        ("Europe/Berlin", None, None, "fresh"),
        (None, "Europe/Berlin", None, "fresh"),
        ("Europe/Berlin", "America/New_York", "UTC", "fresh"),
    ],
)
def test_a_site_that_moves_to_another_zone_is_asked_anew(
    kept: str | None, site: str | None, own: str | None, expected: Freshness
) -> None:
    zone = None if site is None else ZoneInfo(site)
    query = OVER.replace(timezone=own)
    assert freshness(CacheEntry(b"", NOW, timezone=kept), query, KEEPING, now=NOW, zone=zone) == expected


def test_nothing_stale_is_served_unless_that_is_wanted() -> None:
    kept = CacheEntry(b"", NOW - 301)
    assert freshness(kept, OPEN, CachePolicy(), now=NOW, zone=BERLIN) == "expired"
    ever = CachePolicy(stale_while_revalidate=math.inf)
    assert freshness(kept, OPEN, ever, now=NOW + 1e9, zone=BERLIN) == "stale"


@given(
    query=st.sampled_from([OVER, OPEN]),
    asked_at=st.floats(NOW - 1e5, NOW + 1e5),
    beyond=st.floats(0.001, 2e5),
    keeping=st.builds(
        CachePolicy,
        max_age=st.floats(0, 1e5) | st.just(math.inf),
        grace=st.floats(0, 1e5),
        stale_while_revalidate=st.floats(0, 1e5) | st.just(math.inf),
        keep_for=st.floats(0, 1e5) | st.just(math.inf),
    ),
)
def test_what_may_be_dropped_is_of_no_use_any_more(
    query: PageviewQuery, asked_at: float, beyond: float, keeping: CachePolicy
) -> None:
    drop_after = keeping.drop_after(query, asked_at, BERLIN)
    now = (asked_at if drop_after is None else drop_after) + beyond
    found = freshness(CacheEntry(b"", asked_at, drop_after=drop_after), query, keeping, now=now, zone=BERLIN)
    assert (found == "expired") is (drop_after is not None)


def test_what_is_good_for_good_is_dropped_after_two_years_and_a_while_or_never() -> None:
    assert KEEPING.drop_after(OVER, NOW, BERLIN) == NOW + 800 * 86_400
    assert CachePolicy(keep_for=math.inf).drop_after(OVER, NOW, BERLIN) is None
    assert CachePolicy(stale_while_revalidate=math.inf).drop_after(OPEN, NOW, BERLIN) is None


def test_those_who_waited_find_an_answer_that_came_too_late_to_be_fresh() -> None:
    drop_after = CachePolicy(max_age=0).drop_after(OPEN, NOW, BERLIN)
    assert drop_after is not None
    assert drop_after >= NOW + HOUR


@pytest.mark.parametrize("name", ["max_age", "grace", "stale_while_revalidate", "keep_for"])
@pytest.mark.parametrize("value", [-1, math.nan, "60", None, True])
def test_what_is_no_duration_is_refused(name: str, value: object) -> None:
    with pytest.raises(ArgumentError, match=f"{name} must be a number of seconds of at least 0"):
        CachePolicy(**{name: value})  # type: ignore[arg-type]


def test_an_answer_is_served_for_ever_if_that_is_wanted_but_a_range_ends_some_time() -> None:
    ever = CachePolicy(max_age=math.inf)
    assert freshness(CacheEntry(b"", NOW), OPEN, ever, now=NOW + 1e9, zone=BERLIN) == "fresh"
    assert ever.drop_after(OPEN, NOW, BERLIN) is None
    with pytest.raises(ArgumentError, match="grace must be a number of seconds of at least 0, not inf"):
        CachePolicy(grace=math.inf)
