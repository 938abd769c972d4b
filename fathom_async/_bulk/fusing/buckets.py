"""Whole hours, days, months and years of the calendar, numbered in a row."""

from datetime import date, datetime, timedelta
from typing import Final, Self
from zoneinfo import ZoneInfo

import attrs

from fathom_async._reports.fields import DateGrouping

_UNITS: Final[tuple[DateGrouping, ...]] = ("hour", "day", "month", "year")
_SECOND: Final = timedelta(seconds=1)
_LAST_YEAR: Final = 9999
_MONTHS: Final = 12
_HOURS: Final = 24


def number(unit: DateGrouping, moment: date) -> int:
    """Return the number of the bucket that a moment lies in; the next bucket has the next number.

    Args:
        unit: The kind of bucket.
        moment: A datetime; for days and longer buckets, a date will do.
    """
    match unit:
        case "year":
            return moment.year
        case "month":
            return moment.year * _MONTHS + moment.month - 1
        case "day":
            return moment.toordinal()
        case "hour":
            return moment.toordinal() * _HOURS + (moment.hour if isinstance(moment, datetime) else 0)


def _begin(unit: DateGrouping, bucket: int) -> datetime:
    match unit:
        case "year":
            return datetime(bucket, 1, 1)  # noqa: DTZ001 - the site's clock
        case "month":
            return datetime(bucket // _MONTHS, bucket % _MONTHS + 1, 1)  # noqa: DTZ001 - the site's clock
        case "day":
            return datetime.fromordinal(bucket)
        case "hour":
            return datetime.fromordinal(bucket // _HOURS) + timedelta(hours=bucket % _HOURS)


@attrs.frozen
class Buckets:
    """Successive whole buckets of one unit.

    Attributes:
        unit: The kind of bucket.
        first: The number of the first one.
        last: The number of the last one, which is included.
    """

    unit: DateGrouping
    first: int
    last: int

    @classmethod
    def of(cls, unit: DateGrouping, first: datetime | None, last: datetime | None) -> Self | None:
        """Return the buckets that a range is made of, or None if it cuts one, or is open.

        Args:
            unit: The kind of bucket.
            first: The first second of the range.
            last: Its last second: a whole day ends at 23:59:59.
        """
        if first is None or last is None or last.year == _LAST_YEAR:
            return None
        low, behind = number(unit, first), number(unit, last + _SECOND)
        is_whole = _begin(unit, low) == first and _begin(unit, behind) == last + _SECOND
        return cls(unit, low, behind - 1) if is_whole else None

    @classmethod
    def single(cls, first: datetime | None, last: datetime | None) -> Self | None:
        """Return the one hour, day, month or year that a range is, or None if it is none."""
        found = (cls.of(unit, first, last) for unit in _UNITS)
        return next((each for each in found if each and each.first == each.last), None)

    @property
    def begin(self) -> datetime:
        """The first second."""
        return _begin(self.unit, self.first)

    @property
    def end(self) -> datetime:
        """The last second."""
        return _begin(self.unit, self.last + 1) - _SECOND

    def holds(self, moment: date) -> bool:
        """Whether a row's date is one of these buckets."""
        return self.first <= number(self.unit, moment) <= self.last

    def is_steady(self, zone: ZoneInfo) -> bool:
        """Whether no clock of the zone is changed on the days of these buckets."""
        first, last = self.begin.toordinal(), self.end.toordinal()
        midnights = (datetime.fromordinal(day).replace(tzinfo=zone) for day in range(first, last + 2))
        return len({midnight.utcoffset() for midnight in midnights}) == 1


def count(unit: DateGrouping, first: datetime | None, last: datetime | None) -> int | None:
    """Return the number of buckets that a range touches, or None if it is open."""
    return None if first is None or last is None else number(unit, last) - number(unit, first) + 1
