"""Periods are read against a given moment: here, Saturday 21 November 2026, 14:35:20."""

# ruff: noqa: DTZ001 - the clock of a site has no time zone of its own

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom_async._reports.periods import Period
from fathom_async.errors import QueryError

NOW = datetime(2026, 11, 21, 14, 35, 20)
UNITS = ["hour", "day", "week", "month", "quarter", "year"]
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("today", "2026-11-21 00:00:00", "2026-11-21 23:59:59"),
        ("yesterday", "2026-11-20 00:00:00", "2026-11-20 23:59:59"),
        ("last 24 hours", "2026-11-20 15:00:00", "2026-11-21 14:59:59"),
        ("last 7 days", "2026-11-15 00:00:00", "2026-11-21 23:59:59"),
        ("Last  30 Days", "2026-10-23 00:00:00", "2026-11-21 23:59:59"),
        ("previous 7 days", "2026-11-14 00:00:00", "2026-11-20 23:59:59"),
        ("week to date", "2026-11-16 00:00:00", "2026-11-21 23:59:59"),
        ("this week", "2026-11-16 00:00:00", "2026-11-21 23:59:59"),
        ("previous week", "2026-11-09 00:00:00", "2026-11-15 23:59:59"),
        ("month to date", "2026-11-01 00:00:00", "2026-11-21 23:59:59"),
        ("previous month", "2026-10-01 00:00:00", "2026-10-31 23:59:59"),
        ("last 12 months", "2025-12-01 00:00:00", "2026-11-21 23:59:59"),
        ("quarter to date", "2026-10-01 00:00:00", "2026-11-21 23:59:59"),
        ("previous quarter", "2026-07-01 00:00:00", "2026-09-30 23:59:59"),
        ("year to date", "2026-01-01 00:00:00", "2026-11-21 23:59:59"),
        ("previous year", "2025-01-01 00:00:00", "2025-12-31 23:59:59"),
        ("previous 2 years", "2024-01-01 00:00:00", "2025-12-31 23:59:59"),
    ],
)
def test_words_are_calendar_units(text: str, start: str, end: str) -> None:
    assert Period.parse(text, NOW) == Period(datetime.fromisoformat(start), datetime.fromisoformat(end))


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026", "2026-01-01", "2026-12-31"),
        ("Q1 2026", "2026-01-01", "2026-03-31"),
        ("q4 2026", "2026-10-01", "2026-12-31"),
        ("2026-01", "2026-01-01", "2026-01-31"),
        ("2026-02", "2026-02-01", "2026-02-28"),
        ("2024-02", "2024-02-01", "2024-02-29"),
        ("2000-02", "2000-02-01", "2000-02-29"),
        ("2100-02", "2100-02-01", "2100-02-28"),
        ("2024-02-29", "2024-02-29", "2024-02-29"),
        ("2026-01-01 to 2026-01-31", "2026-01-01", "2026-01-31"),
        (" 2026-01-01  TO 2026-01-01", "2026-01-01", "2026-01-01"),
        ("2025-11 to Q1 2026", "2025-11-01", "2026-03-31"),
        ("9999", "9999-01-01", "9999-12-31"),
        ("0001-01-01", "0001-01-01", "0001-01-01"),
    ],
)
def test_dated_ranges_are_the_same_at_every_moment(text: str, start: str, end: str) -> None:
    period = Period(datetime.fromisoformat(start), datetime.fromisoformat(f"{end} 23:59:59"))
    assert Period.parse(text, NOW) == Period.dated(text) == period


@pytest.mark.parametrize("text", ["today", "last 7 days", "7 days", "year to date", "when the moon is full"])
def test_other_words_have_no_dates_of_their_own(text: str) -> None:
    assert Period.dated(text) is None


def test_the_end_of_a_long_month_has_a_previous_month() -> None:
    assert Period.parse("previous month", date(2026, 3, 31)).start == datetime(2026, 2, 1)


def test_a_day_is_enough_unless_hours_are_asked_for() -> None:
    assert Period.parse("last 7 days", NOW.date()) == Period.parse("last 7 days", NOW)
    with pytest.raises(QueryError, match="needs to know the hour"):
        Period.parse("last 24 hours", NOW.date())


def test_only_the_wall_clock_counts() -> None:
    assert Period.parse("today", NOW.replace(tzinfo=UTC)) == Period.parse("today", NOW)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("last month", "two ways; write 'previous month'"),
        ("this 2 months", "two ways"),
        ("last 30 dyas", "did you mean 'last 30 days'"),
        ("when the moon is full", "there are, for example"),
        ("last 0 days", "empty range"),
        ("previous 9999 years", "before the year 1"),
        ("previous 999999 weeks", "before the year 1"),
        ("", "no period"),
        ("2026-13", "not in the calendar: no '2026-13'; write a year '2026', a quarter 'Q1 2026', a month"),
        ("2026-00", "not in the calendar"),
        ("0000", "not in the calendar"),
        ("Q5 2026", "not in the calendar: no 'Q5 2026'"),
        ("Q0 2026", "not in the calendar"),
        ("2026-02-29", "2026-02 has the days 01 to 28; write '2026-02' for the whole month"),
        ("2026-02-00", "2026-02 has the days 01 to 28"),
        ("2026-02-01 to 2026-02-30", "2026-02 has the days 01 to 28"),
        ("2026-02-01 to 2026-01-01", "ends before it begins; write '2026-01-01 to 2026-02-01'"),
        ("2026-1", "no period is called '2026-1'; write a year '2026'"),
        ("2026-01-01 - 2026-01-31", "days '2026-01-01 to 2026-01-31'"),
        ("2026-01-01 to yesterday", "days '2026-01-01 to 2026-01-31'"),
        ("2026-01-01 to", "days '2026-01-01 to 2026-01-31'"),
        ("31.01.2026", "days '2026-01-01 to 2026-01-31'"),
        ("30 days", "write 'last 30 days' .* or 'previous 30 days'"),
        ("24 Hours", "write 'last 24 hours' .* or 'previous 24 hours'"),
        ("12 months", "write 'last 12 months' .* or 'previous 12 months'"),
        ("1 year", "write 'this year' .* or 'previous year'"),
        ("30-day", "write 'last 30 days'"),
        ("7 days to date", "write 'last 7 days'"),
        ("0 days", "empty range; write a number from 1"),
        ("30 dyas", "or words such as 'last 30 days'"),
        ("２０２６", "no period is called '２０２６'"),  # noqa: RUF001 - digits of another script
        ("٢٠٢٦-٠١", "no period is called"),  # noqa: RUF001 - the same
        ("last ３０ days", "no period is called 'last ３０ days'"),  # noqa: RUF001 - the same
    ],
)
def test_other_words_are_refused_with_a_hint(text: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        Period.parse(text, NOW)


@given(first=st.dates(), last=st.dates())
def test_two_days_are_both_of_them_whole(first: date, last: date) -> None:
    first, last = min(first, last), max(first, last)
    period = Period.parse(f"{first} to {last}", NOW)
    assert (period.start.date(), period.end.date()) == (first, last)
    assert period == Period(Period.parse(str(first), NOW).start, Period.parse(str(last), NOW).end)


@given(month=st.dates(max_value=date(9998, 12, 31)))
def test_months_make_quarters_and_quarters_make_years(month: date) -> None:
    year, quarter = f"{month:%Y}".zfill(4), (month.month - 1) // 3 + 1
    whole = Period.parse(year, NOW)
    part = Period.parse(f"Q{quarter} {year}", NOW)
    single = Period.parse(month.isoformat()[:7], NOW)
    assert whole.start <= part.start <= single.start <= single.end <= part.end <= whole.end
    assert Period.parse(f"Q1 {year} to Q4 {year}", NOW) == whole
    assert part == Period.parse(f"{year}-{quarter * 3 - 2:02} to {year}-{quarter * 3:02}", NOW)


moments = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2200, 1, 1))
counts = st.integers(min_value=1, max_value=100)


@given(now=moments, unit=st.sampled_from(UNITS), count=counts)
def test_previous_ends_one_second_before_this_starts(now: datetime, unit: str, count: int) -> None:
    previous, this = Period.parse(f"previous {count} {unit}s", now), Period.parse(f"this {unit}", now)

    assert previous.end + SECOND == this.start
    assert this.start <= now.replace(microsecond=0) <= this.end


@given(now=moments, unit=st.sampled_from(UNITS), count=counts)
def test_last_is_this_and_the_previous_ones_but_one(now: datetime, unit: str, count: int) -> None:
    last, this = Period.parse(f"last {count + 1} {unit}s", now), Period.parse(f"this {unit}", now)

    assert last == Period(Period.parse(f"previous {count} {unit}s", now).start, this.end)


@given(now=moments, unit=st.sampled_from(UNITS), count=counts)
def test_more_units_are_the_same_and_one_before(now: datetime, unit: str, count: int) -> None:
    before = Period.parse(f"previous {count} {unit}s", now)

    assert Period.parse(f"previous {count + 1} {unit}s", now).start == (
        Period.parse(f"previous {unit}", before.start).start
    )
