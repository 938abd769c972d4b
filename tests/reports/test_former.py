"""The period that another one is compared to."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta

import pytest

from fathom_async import PageviewQuery, Period, QueryError
from fathom_async._reports.calendar import count_periods
from fathom_async._reports.fields import DateGrouping
from fathom_async._reports.former import Question, compared

NOON = datetime.fromisoformat("2026-11-30 14:06:09")  # a Monday
VISITS = PageviewQuery("CDBUGS", aggregates=["visits"])


def ranges(
    over: str | Period | None,
    to: str | Period = "previous period",
    *,
    now: date = NOON,
    query: PageviewQuery = VISITS,
    by_weekday: bool = False,
) -> list[str]:
    both = Question(query, to, over, by_weekday).queries(now)
    return [f"{each.date_from:%Y-%m-%d %H:%M:%S} {each.date_to:%Y-%m-%d %H:%M:%S}" for each in both]


@pytest.mark.parametrize(
    ("over", "former"),
    [
        ("2026-03", "2026-02-01 00:00:00 2026-02-28 23:59:59"),
        ("Q1 2026", "2025-10-01 00:00:00 2025-12-31 23:59:59"),
        ("2025", "2024-01-01 00:00:00 2024-12-31 23:59:59"),
        ("2026-03-02 to 2026-03-08", "2026-02-23 00:00:00 2026-03-01 23:59:59"),
        ("previous week", "2026-11-16 00:00:00 2026-11-22 23:59:59"),
        ("previous month", "2026-09-01 00:00:00 2026-09-30 23:59:59"),
        ("previous 2 quarters", "2025-10-01 00:00:00 2026-03-31 23:59:59"),
        ("yesterday", "2026-11-28 00:00:00 2026-11-28 23:59:59"),
        (
            Period(datetime.fromisoformat("2026-01-05 10:00"), datetime.fromisoformat("2026-01-05 11:29:59")),
            "2026-01-05 08:30:00 2026-01-05 09:59:59",
        ),
    ],
)
def test_the_previous_period_has_the_same_length_in_its_own_units(over: str | Period, former: str) -> None:
    assert ranges(over)[1] == former


@pytest.mark.parametrize(
    ("over", "current", "former"),
    [
        ("today", "2026-11-30 00:00:00 2026-11-30 13:59:59", "2026-11-29 00:00:00 2026-11-29 13:59:59"),
        (
            "week to date",
            "2026-11-30 00:00:00 2026-11-30 13:59:59",
            "2026-11-23 00:00:00 2026-11-23 13:59:59",
        ),
        (
            "month to date",
            "2026-11-01 00:00:00 2026-11-30 13:59:59",
            "2026-10-01 00:00:00 2026-10-30 13:59:59",
        ),
        (
            "year to date",
            "2026-01-01 00:00:00 2026-11-30 13:59:59",
            "2025-01-01 00:00:00 2025-11-30 13:59:59",
        ),
        (
            "last 30 days",
            "2026-11-01 00:00:00 2026-11-30 13:59:59",
            "2026-10-02 00:00:00 2026-10-31 13:59:59",
        ),
        (
            "last 24 hours",
            "2026-11-29 15:00:00 2026-11-30 13:59:59",
            "2026-11-28 15:00:00 2026-11-29 13:59:59",
        ),
    ],
)
def test_a_running_period_is_compared_up_to_the_last_whole_hour(over: str, current: str, former: str) -> None:
    assert ranges(over) == [current, former]


def test_before_the_first_whole_hour_it_is_compared_up_to_now() -> None:
    early = datetime.fromisoformat("2026-11-30 00:20:05")
    assert ranges("today", now=early) == [
        "2026-11-30 00:00:00 2026-11-30 00:20:04",
        "2026-11-29 00:00:00 2026-11-29 00:20:04",
    ]


def test_a_former_month_that_is_shorter_ends_where_it_ends() -> None:
    last = datetime.fromisoformat("2026-03-31 14:06")
    assert ranges("month to date", now=last)[1] == "2026-02-01 00:00:00 2026-02-28 23:59:59"


@pytest.mark.parametrize(
    ("over", "former"),
    [
        ("2024-02", "2023-02-01 00:00:00 2023-02-28 23:59:59"),
        ("2024-02-29", "2023-02-28 00:00:00 2023-02-28 23:59:59"),
        ("2023-02", "2022-02-01 00:00:00 2022-02-28 23:59:59"),
        ("2024-02-26 to 2024-03-03", "2023-02-26 00:00:00 2023-03-04 23:59:59"),
        ("last 30 days", "2025-11-01 00:00:00 2025-11-30 13:59:59"),
    ],
)
def test_a_year_back_is_the_same_dates(over: str, former: str) -> None:
    assert ranges(over, "previous year")[1] == former


@pytest.mark.parametrize("over", ["today", "last 24 hours", "week to date", "last 7 days", "last 30 days"])
def test_on_29_february_a_year_back_is_as_long(over: str) -> None:
    leap_day = datetime.fromisoformat("2024-02-29 10:30")
    current, former = Question(VISITS, "previous year", over, by_weekday=False).queries(leap_day)
    assert former.date_from is not None
    assert former.date_to is not None
    assert current.date_from is not None
    assert current.date_to is not None
    assert former.date_to - former.date_from == current.date_to - current.date_from


@pytest.mark.parametrize(
    ("over", "former"),
    [
        ("2023-02", "2023-01-04 00:00:00 2023-01-31 23:59:59"),
        ("2026-03", "2026-01-25 00:00:00 2026-02-24 23:59:59"),
        ("month to date", "2026-09-27 00:00:00 2026-10-26 13:59:59"),
        ("today", "2026-11-23 00:00:00 2026-11-23 13:59:59"),
    ],
)
def test_by_weekday_it_goes_back_by_the_weeks_that_come_closest(over: str, former: str) -> None:
    assert ranges(over, by_weekday=True)[1] == former


@pytest.mark.parametrize("grouping", ["month", "year"])
def test_months_are_not_aligned_by_weekday(grouping: str) -> None:
    with pytest.raises(QueryError, match="group by day, or leave it out"):
        ranges("year to date", query=VISITS.replace(date_grouping=grouping), by_weekday=True)


@pytest.mark.parametrize(
    ("grouping", "over", "former"),
    [
        ("month", "2026-01-01 to 2026-12-01", "2025-01-01 00:00:00 2025-11-30 13:59:59"),
        ("month", "2026-01-01 to 2026-11-30", "2025-02-01 00:00:00 2025-12-30 13:59:59"),
        ("month", "2026-01-15 to 2026-03-14", "2025-11-15 00:00:00 2026-01-14 23:59:59"),
        ("month", "2026-01-15 to 2026-03-15", "2025-10-15 00:00:00 2025-12-15 23:59:59"),
        ("month", "2024-01-01 to 2024-02-29", "2023-11-01 00:00:00 2023-12-31 23:59:59"),
        ("month", "2024-03-01 to 2024-03-30", "2024-02-01 00:00:00 2024-02-29 23:59:59"),
        ("month", "last 12 weeks", "2026-06-14 00:00:00 2026-08-30 13:59:59"),
        ("month", "year to date", "2025-01-01 00:00:00 2025-11-30 13:59:59"),
        ("year", "2025-06-01 to 2026-11-30", "2023-06-01 00:00:00 2024-11-30 13:59:59"),
        ("year", "last 18 months", "2023-06-01 00:00:00 2024-11-30 13:59:59"),
        ("year", "2024-01-01 to 2024-02-29", "2023-01-01 00:00:00 2023-02-28 23:59:59"),
        ("day", "last 36 hours", "2026-11-27 03:00:00 2026-11-28 13:59:59"),
        ("day", "month to date", "2026-10-01 00:00:00 2026-10-30 13:59:59"),
        ("hour", "last 36 hours", "2026-11-27 15:00:00 2026-11-29 01:59:59"),
    ],
)
def test_what_is_grouped_by_date_goes_back_by_whole_groups(grouping: str, over: str, former: str) -> None:
    assert ranges(over, query=VISITS.replace(date_grouping=grouping))[1] == former


def test_a_running_year_has_the_same_months_a_year_back() -> None:
    january = VISITS.replace(date_grouping="month", date_from="2024-01-01")
    noon = datetime.fromisoformat("2024-11-30 12:00")
    assert ranges(None, "previous year", now=noon, query=january)[1] == (
        "2023-01-01 00:00:00 2023-11-30 11:59:59"
    )


@pytest.mark.parametrize("grouping", ["month", "year"])
@pytest.mark.parametrize("days", [1, 27, 29, 31, 58, 90, 181, 336, 366, 400, 800])
@pytest.mark.parametrize("first", ["2023-12-31", "2024-01-01", "2024-01-31", "2024-02-29", "2024-03-15"])
def test_the_former_range_covers_as_many_groups_and_shares_no_day(
    grouping: DateGrouping, days: int, first: str
) -> None:
    period = Period(start := datetime.fromisoformat(first), start + timedelta(days=days, seconds=-1))
    current, former = compared(period, "previous period", NOON, grouping=grouping)
    assert current == period
    assert former.end < current.start
    assert former.start.time() == current.start.time()
    assert count_periods(grouping, former.start, former.end) == count_periods(grouping, start, period.end)


def test_a_date_is_the_end_of_that_day() -> None:
    assert ranges("today", now=date(2026, 11, 30)) == [
        "2026-11-30 00:00:00 2026-11-30 23:59:59",
        "2026-11-29 00:00:00 2026-11-29 23:59:59",
    ]
    assert ranges(None, now=date(2026, 11, 30), query=VISITS.replace(date_from="2026-11-01"))[0].endswith(
        "2026-11-30 23:59:59"
    )


@pytest.mark.parametrize("over", ["2026-03", "2026-02", "Q1 2026", "last 30 days", "last 7 days", "today"])
@pytest.mark.parametrize("to", ["previous period", "previous year"])
def test_by_weekday_both_begin_on_the_same_day_of_the_week_and_share_no_day(over: str, to: str) -> None:
    current, former = Question(VISITS, to, over, by_weekday=True).queries(NOON)
    assert current.date_from is not None
    assert current.date_to is not None
    assert former.date_from is not None
    assert former.date_to is not None
    assert current.date_from.weekday() == former.date_from.weekday()
    assert former.date_to < current.date_from
    assert current.date_to - current.date_from == former.date_to - former.date_from


def test_a_period_of_ones_own_is_cut_as_far_as_the_running_one() -> None:
    own = Period.parse("2026-05", NOON)
    assert ranges("month to date", own)[1] == "2026-05-01 00:00:00 2026-05-30 13:59:59"
    assert ranges("2026-04", own)[1] == "2026-05-01 00:00:00 2026-05-31 23:59:59"


def test_the_range_of_the_query_is_the_period_unless_one_is_named() -> None:
    query = VISITS.replace(date_from="2026-11-24")
    assert ranges(None, query=query) == [
        "2026-11-24 00:00:00 2026-11-30 13:59:59",
        "2026-11-17 00:00:00 2026-11-23 13:59:59",
    ]


@pytest.mark.parametrize(
    ("over", "to", "told"),
    [
        (None, "previous period", "needs a range; write over='last 30 days'"),
        ("2027-01", "previous period", "nothing of a period that begins at 2027-01-01"),
        (
            "2026-01",
            "last year",
            "to must be 'previous period', 'previous year' or a Period, not 'last year'",
        ),
        ("0001", "previous year", "before the year 1"),
        ("last 30 dayz", "previous year", "did you mean"),
    ],
)
def test_what_cannot_be_compared_is_told(over: str | None, to: str, told: str) -> None:
    with pytest.raises(QueryError, match=told):
        ranges(over, to)


@pytest.mark.parametrize(
    "groups", [{"field_grouping": ["pathname"]}, {"extra": {"field_grouping": "ai_source"}}]
)
def test_all_groups_are_asked_for(groups: Mapping[str, object]) -> None:
    query = VISITS.replace(**groups, sort_by="visits:desc", limit=10)
    for each in Question(query, "previous period", "2026-01", by_weekday=False).queries(NOON):
        assert each.limit is None


def test_the_clock_matters_for_words_and_while_the_period_may_run() -> None:
    def depends(over: str | None, **changes: object) -> bool:
        question = Question(VISITS.replace(**changes), "previous period", over, by_weekday=False)
        return question.depends_on_clock(NOON)

    assert depends("last 30 days")
    assert depends("2026-11")
    assert depends(None, date_from="2026-01-01")
    assert not depends("2026-10")
    assert not depends(None, date_from="2026-01-01", date_to="2026-11-29")
