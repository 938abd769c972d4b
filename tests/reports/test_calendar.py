"""Periods as numbers."""

# ruff: noqa: DTZ001 - the clock of a site has no time zone of its own

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom_async._reports.calendar import Unit
from fathom_async._reports.fields import DateGrouping


@pytest.mark.parametrize(
    ("unit", "value", "end"),
    [
        ("hour", datetime(2026, 2, 28, 15), datetime(2026, 2, 28, 15, 59, 59)),
        ("day", date(2026, 2, 28), datetime(2026, 2, 28, 23, 59, 59)),
        ("month", date(2026, 2, 1), datetime(2026, 2, 28, 23, 59, 59)),
        ("year", date(2026, 1, 1), datetime(2026, 12, 31, 23, 59, 59)),
    ],
)
def test_a_period_has_a_first_and_a_last_second(unit: DateGrouping, value: date, end: datetime) -> None:
    index = Unit(unit).index(datetime(2026, 2, 28, 15, 30, 1))
    assert Unit(unit).value(index) == value
    assert Unit(unit).end(index) == end
    assert Unit(unit).index(value) == Unit(unit).index(end) == index


@given(st.datetimes(max_value=datetime(9998, 1, 1)), st.sampled_from(["hour", "day", "month", "year"]))
def test_every_moment_is_in_one_period(moment: datetime, unit: DateGrouping) -> None:
    index = Unit(unit).index(moment)
    assert Unit(unit).start(index) <= moment < Unit(unit).start(index + 1)
    assert Unit(unit).end(index) + timedelta(seconds=1) == Unit(unit).start(index + 1)
