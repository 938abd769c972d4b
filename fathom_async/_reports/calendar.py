"""Hours, days, months and years of the calendar as whole numbers, so that ranges of them are ranges of numbers.

Moments are those on the site's wall clock, without a time zone.
"""

from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, Self
from zoneinfo import ZoneInfo

import attrs

from fathom_async._reports.fields import DateGrouping

SECOND: Final = timedelta(seconds=1)

_MONTHS: Final = 12
_HOURS: Final = 24
_LAST_YEAR: Final = 9999


@attrs.frozen
class Unit:
    """Hours, days, months or years, counted from the start of the calendar.

    >>> month = Unit("month")
    >>> month.start(month.index(date(2026, 1, 31)) + 1)
    datetime.datetime(2026, 2, 1, 0, 0)
    """

    name: DateGrouping

    def index(self, moment: date) -> int:
        """Return the number of the period that contains a moment; the next period has the next number."""
        match self.name:
            case "hour":
                return moment.toordinal() * _HOURS + (moment.hour if isinstance(moment, datetime) else 0)
            case "day":
                return moment.toordinal()
            case "month":
                return moment.year * _MONTHS + moment.month - 1
            case "year":
                return moment.year

    def start(self, index: int) -> datetime:
        """Return the first moment of a period."""
        match self.name:
            case "hour":
                return datetime.combine(date.fromordinal(index // _HOURS), time(index % _HOURS))
            case "day":
                return datetime.fromordinal(index)
            case "month":
                return datetime(index // _MONTHS, index % _MONTHS + 1, 1)  # noqa: DTZ001 - the site's clock
            case "year":
                return datetime(index, 1, 1)  # noqa: DTZ001 - the site's clock

    def end(self, index: int) -> datetime:
        """Return the last second of a period."""
        return self.start(index + 1) - SECOND

    def value(self, index: int) -> date:
        """Return the date column of a period's row: a datetime for hours, otherwise a date."""
        start = self.start(index)
        return start if self.name == "hour" else start.date()


@attrs.frozen
class Buckets:
    """Consecutive whole periods of one unit, by their numbers; the last is included."""

    unit: DateGrouping
    first: int
    last: int

    @classmethod
    def of(cls, name: DateGrouping, first: datetime | None, last: datetime | None) -> Self | None:
        """Return the periods from a first to a last second; None if the range is open or cuts one."""
        if first is None or last is None or last.year == _LAST_YEAR:
            return None
        unit = Unit(name)
        low, behind = unit.index(first), unit.index(last + SECOND)
        is_whole = unit.start(low) == first and unit.start(behind) == last + SECOND
        return cls(name, low, behind - 1) if is_whole else None

    @property
    def begin(self) -> datetime:
        return Unit(self.unit).start(self.first)

    @property
    def end(self) -> datetime:
        """The last second."""
        return Unit(self.unit).end(self.last)

    def holds(self, moment: date) -> bool:
        """Whether a row's date is in one of these periods."""
        return self.first <= Unit(self.unit).index(moment) <= self.last


def count_periods(name: DateGrouping, first: datetime | None, last: datetime | None) -> int | None:
    """Return the number of periods that a range touches, or None if it is open."""
    return None if first is None or last is None else Unit(name).index(last) - Unit(name).index(first) + 1


_MIDNIGHT_CHANGES: Final = (
    # Between them, all midnights since 2014 that some clock of the world showed twice or never.
    *(
        "America/Asuncion",
        "America/Campo_Grande",
        "America/Ciudad_Juarez",
        "America/Godthab",
        "America/Havana",
    ),
    *("America/Santiago", "Africa/Cairo", "Africa/Juba", "Africa/Khartoum", "Antarctica/Casey"),
    *("Antarctica/Vostok", "Asia/Almaty", "Asia/Amman", "Asia/Beirut", "Asia/Choibalsan", "Asia/Damascus"),
    *("Asia/Gaza", "Asia/Pyongyang", "Asia/Qyzylorda", "Asia/Tehran", "Atlantic/Azores"),
)


def is_shown_once(moment: datetime, unit: Unit, clock: ZoneInfo | None) -> bool:
    """Whether clocks show the end of a bucket once, in this time zone or else in all of them; see rule 6."""
    if clock is not None:
        return _has_one_offset(moment, clock)
    return unit.name != "hour" and _is_plain_midnight(moment)


@lru_cache(4096)
def _is_plain_midnight(moment: datetime) -> bool:
    names = (
        _MIDNIGHT_CHANGES
        if moment.hour
        else [name for name in _MIDNIGHT_CHANGES if name != "Atlantic/Azores"]
    )
    return all(_has_one_offset(moment, ZoneInfo(name)) for name in names)


def _has_one_offset(moment: datetime, clock: ZoneInfo) -> bool:
    """Whether a clock shows a moment once: neither twice nor never."""
    first, second = (moment.replace(tzinfo=clock, fold=fold).utcoffset() for fold in (0, 1))
    return first == second
