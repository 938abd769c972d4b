from datetime import datetime
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from fathom_async._reports.calendar import Buckets, Unit, count_periods
from fathom_async._reports.fields import DateGrouping

UNITS: tuple[DateGrouping, ...] = get_args(DateGrouping)
MOMENTS = st.datetimes(datetime(1, 1, 1), datetime(9998, 12, 31)).map(lambda at: at.replace(microsecond=0))  # noqa: DTZ001


@given(st.sampled_from(UNITS), MOMENTS, MOMENTS)
def test_buckets_begin_and_end_where_their_numbers_change(
    unit: DateGrouping, one: datetime, other: datetime
) -> None:
    low, high = sorted((Unit(unit).index(one), Unit(unit).index(other)))
    buckets = Buckets(unit, low, high)
    assert Buckets.of(unit, buckets.begin, buckets.end) == buckets
    assert buckets.holds(one)
    is_last = high == Unit(unit).index(datetime.max)  # noqa: DTZ901
    assert not buckets.holds(Buckets(unit, high + 1, high + 1).begin) or is_last
    assert count_periods(unit, buckets.begin, buckets.end) == high - low + 1


def test_a_range_that_cuts_a_bucket_is_none() -> None:
    noon, night = datetime(2026, 1, 1, 12), datetime(2026, 1, 31, 23, 59, 59)  # noqa: DTZ001
    assert Buckets.of("day", noon, night) is None
    assert Buckets.of("hour", noon, night) is not None
    assert Buckets.of("day", None, night) is None
    assert Buckets.of("year", datetime(9999, 1, 1), datetime(9999, 12, 31, 23, 59, 59)) is None  # noqa: DTZ001
    assert count_periods("day", noon, None) is None
