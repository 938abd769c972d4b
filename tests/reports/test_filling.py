"""Reports with a row for every bucket of their range."""

# ruff: noqa: DTZ001 - the clock of a site has no time zone of its own

from datetime import UTC, date, datetime, timedelta
from typing import get_args
from zoneinfo import ZoneInfo

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from fathom_async import EventQuery, PageviewQuery, QueryError, Report
from fathom_async._core.codec.rows import Row
from fathom_async._reports.calendar import Unit
from fathom_async._reports.fields import DateGrouping
from fathom_async._reports.query import Query

BERLIN = ZoneInfo("Europe/Berlin")
DAYS = PageviewQuery(
    "CDBUGS",
    aggregates=["visits", "avg_duration"],
    date_grouping="day",
    date_from="2026-01-01",
    date_to="2026-01-03",
)


def report_of(query: Query[Row], *rows: tuple[object, ...]) -> Report[Row]:
    return Report(query, tuple(query.codec.row(*row) for row in rows))


def cells(report: Report[Row]) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in report.to_dicts()]


def hours_of(day: str, now: datetime | None, **more: object) -> list[int]:
    query = DAYS.replace(date_grouping="hour", date_from=day, date_to=day, **more)
    return [row.date.hour for row in report_of(query).filled(now=now) if isinstance(row.date, datetime)]  # type: ignore[attr-defined]


def test_a_date_without_a_row_counts_nothing_and_has_no_average() -> None:
    report = report_of(DAYS, (date(2026, 1, 2), 5, 61.5))
    assert cells(report.filled()) == [
        (date(2026, 1, 1), 0, None),
        (date(2026, 1, 2), 5, 61.5),
        (date(2026, 1, 3), 0, None),
    ]
    assert not report.filled().truncated


def test_every_group_that_occurs_has_every_date() -> None:
    query = DAYS.replace(field_grouping=["browser"], aggregates=["visits"], date_to="2026-01-02")
    report = report_of(query, (date(2026, 1, 1), "Chrome", 5), (date(2026, 1, 2), None, 2))
    assert cells(report.filled()) == [
        (date(2026, 1, 1), "Chrome", 5),
        (date(2026, 1, 1), None, 0),
        (date(2026, 1, 2), None, 2),
        (date(2026, 1, 2), "Chrome", 0),
    ]
    by_visits = evolve(report, query=query.replace(sort_by="visits:desc")).filled()
    assert [row[2] for row in cells(by_visits)] == [5, 2, 0, 0]
    assert cells(report_of(query).filled()) == [], "no group occurs"


def test_groups_without_dates_stay_and_a_total_of_nothing_is_zero() -> None:
    pages = DAYS.replace(field_grouping=["pathname"], date_grouping=None)
    assert cells(report_of(pages, ("/", 3, None)).filled()) == [("/", 3, None)]
    assert cells(report_of(pages).filled()) == []
    total = DAYS.replace(date_grouping=None)
    assert cells(report_of(total).filled()) == [(0, None)]
    assert cells(report_of(total, (7, 1.5)).filled()) == [(7, 1.5)]
    sales = EventQuery("CDBUGS", "purchase", aggregates=["conversions", "value"])
    assert cells(report_of(sales).filled()) == [(0, 0)]


def test_what_this_version_does_not_know_is_neither_zero_nor_an_error() -> None:
    query = DAYS.replace(date_to="2026-01-01", extra={"aggregates": ["scrolls"], "field_grouping": ["theme"]})
    report = report_of(query.replace(date_to="2026-01-02"), (date(2026, 1, 2), "dark", 1, 2.5, 3.0))
    assert cells(report.filled())[0] == (date(2026, 1, 1), "dark", 0, None, None)


def test_an_open_range_goes_from_its_first_row_to_the_present() -> None:
    report = report_of(DAYS.replace(date_from=None, date_to=None), (date(2026, 1, 3), 5, 1.0))
    late = datetime(2026, 1, 5, 23, 30, tzinfo=BERLIN)
    assert [row[0] for row in cells(report.filled(now=late))] == [date(2026, 1, day) for day in (3, 4, 5)]
    assert len(report.filled(now=date(2026, 1, 4))) == 2
    assert len(report.filled()) == 1, "the last row is the end of what is known"
    assert cells(report_of(report.query).filled(now=late)) == [], "no row says when it began"
    since = report.query.replace(date_from="2026-01-01")
    assert len(report_of(since).filled(now=late)) == 5
    assert len(report_of(since).filled()) == 0


def test_what_is_still_to_come_is_left_out() -> None:
    year = DAYS.replace(date_grouping="month", date_to="2026-12-31")
    assert len(report_of(year).filled()) == 12
    assert len(report_of(year).filled(now=date(2026, 3, 1))) == 3
    early = report_of(year, (date(2026, 12, 1), 1, None)).filled(now=date(2026, 3, 1))
    assert [row[0] for row in cells(early)][-2:] == [date(2026, 3, 1), date(2026, 12, 1)], "no row is lost"
    assert hours_of("2026-01-15", datetime(2026, 1, 15, 3, 59)) == [0, 1, 2, 3]
    assert cells(report_of(year).filled(now=date(2025, 3, 1))) == []


def test_hours_follow_the_clock_of_the_site() -> None:
    later = datetime(2026, 11, 1, tzinfo=BERLIN)
    assert len(hours_of("2026-03-29", None)) == 24, "the zone is not known"
    assert hours_of("2026-03-29", later) == [0, 1, *range(3, 24)]
    assert hours_of("2026-10-25", later) == [*range(24)], "02:00 comes twice, and has one row in the API"
    assert hours_of("2026-03-29", later.astimezone(UTC), timezone="Europe/Berlin") == [0, 1, *range(3, 24)]
    half_an_hour = datetime(2026, 11, 1, tzinfo=ZoneInfo("Australia/Lord_Howe"))
    assert hours_of("2026-10-04", half_an_hour) == [*range(24)], "from 02:30 there is a 02:xx"


def test_the_present_is_that_of_the_querys_time_zone() -> None:
    query = DAYS.replace(timezone="Asia/Tokyo", date_to=None)
    now = datetime(2026, 1, 1, 23, tzinfo=UTC)
    assert len(report_of(query).filled(now=now)) == 2
    assert len(report_of(query.replace(timezone=None)).filled(now=now)) == 1


def test_a_report_that_may_lack_rows_is_not_filled() -> None:
    pages = DAYS.replace(field_grouping=["pathname"], limit=1, sort_by="visits:desc")
    report = report_of(pages, (date(2026, 1, 1), "/", 5, None))
    with pytest.raises(QueryError, match=r"reports\.complete\(query\.replace\(limit=None\)\)"):
        report.filled()


MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1)).map(lambda at: at.replace(microsecond=0))
GROUPINGS: tuple[DateGrouping, ...] = get_args(DateGrouping)


@given(
    st.sampled_from(GROUPINGS),
    MOMENTS,
    st.integers(0, 5_000_000),
    st.dictionaries(
        st.tuples(st.integers(0, 60), st.sampled_from(["/", "/a", None])), st.integers(0, 99), max_size=9
    ),
    st.booleans(),
    st.none() | MOMENTS,
)
def test_filling_adds_each_missing_bucket_once_and_changes_nothing_else(  # noqa: PLR0917 - drawn values
    grouping: DateGrouping,
    start: datetime,
    seconds: int,
    counted: dict[tuple[int, str | None], int],
    is_grouped: bool,
    now: datetime | None,
) -> None:
    end, unit = start + timedelta(seconds=seconds), Unit(grouping)
    first, last = unit.index(start), unit.index(end)
    query = PageviewQuery(
        "CDBUGS",
        aggregates=["pageviews"],
        date_grouping=grouping,
        field_grouping=["pathname"] if is_grouped else [],
        date_from=start,
        date_to=end,
    )
    rows = {
        (unit.value(first + place), *([page] if is_grouped else [])): number
        for (place, page), number in sorted(counted.items(), key=lambda item: item[0][0])
        if first + place <= last
    }
    report = report_of(query, *[(*key, number) for key, number in rows.items()])
    filled = report.filled(now=now)
    keys = [row[:-1] for row in cells(filled)]
    groups = {key[1:] for key in rows} if is_grouped else {()}
    shown = last if now is None else min(last, unit.index(now))
    expected = {(unit.value(index), *group) for index in range(first, shown + 1) for group in groups}
    assert len(keys) == len({*keys})
    assert {*keys} == expected | {*rows}
    assert [row for row in filled if row in {*report.rows}] == list(report.rows) or 0 in rows.values()
    assert {row[:-1]: row[-1] for row in cells(filled)} == dict.fromkeys(keys, 0) | rows
    assert filled.total("pageviews") == report.total("pageviews")
    assert filled.filled(now=now) == filled
