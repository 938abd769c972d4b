"""Ranges of days said in words, such as ``last 30 days``, resolved against a given moment."""

import difflib
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Final

import attrs

from fathom_async.errors import QueryError

_MONTHS_A_YEAR: Final = 12
_MONTHS_A_QUARTER: Final = 3
_SECOND: Final = timedelta(seconds=1)

_EXAMPLES: Final = (
    "today",
    "yesterday",
    "last 24 hours",
    "last 7 days",
    "last 30 days",
    "last 12 months",
    "week to date",
    "month to date",
    "quarter to date",
    "year to date",
    "previous 7 days",
    "previous week",
    "previous month",
    "previous quarter",
    "previous year",
)
_WORDS: Final = re.compile(
    r"(?P<which>last|previous|this) (?:(?P<count>\d{1,6}) )?(?P<unit>hour|day|week|month|quarter|year)s?"
)
_TO_DATE: Final = re.compile(r"(?P<unit>day|week|month|quarter|year) to date")


@attrs.frozen
class Period:
    """A range of whole seconds on the wall clock of a site; both ends belong to it.

    Args:
        start: The first second, without a time zone.
        end: The last second, without a time zone.
    """

    start: datetime
    end: datetime

    @classmethod
    def parse(cls, text: str, now: date) -> "Period":
        """Return the period that the words mean at a moment.

        - ``today``, ``yesterday``
        - ``this week``, or ``week to date``: the running unit, through the end of today
        - ``last 30 days``: the running unit and the 29 before it, through the end of today
        - ``previous month``, ``previous 7 days``: complete units before the running one

        Units are ``hour``, ``day``, ``week`` (from Monday), ``month``, ``quarter`` and ``year`` of the
        calendar: ``last 12 months`` starts with the first day of a month. Hours end with the running hour.

        Args:
            text: The words.
            now: Today, or the moment, as the site's clock shows it: a time zone of its own is not looked at.

        Raises:
            QueryError: The words mean nothing, or a range that no calendar has.
        """
        which, count, unit = _understood(text)
        if unit == "hour" and not isinstance(now, datetime):
            raise QueryError(f"{text!r} needs to know the hour; give now as a datetime")
        moment = now if isinstance(now, datetime) else datetime.combine(now, time())
        try:
            return _resolve(which, count, unit, moment.replace(tzinfo=None, microsecond=0))
        except (OverflowError, ValueError):
            raise QueryError(f"{text!r} reaches back before the year 1") from None


def _understood(text: str) -> tuple[str, int, str]:
    """Return which units the words mean (this, last, previous), how many, and the unit."""
    words = " ".join(text.lower().split())
    if found := _TO_DATE.fullmatch(words):
        return "this", 1, found["unit"]
    found = _WORDS.fullmatch({"today": "this day", "yesterday": "previous day"}.get(words, words))
    if found is None:
        close = difflib.get_close_matches(words, _EXAMPLES, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are, for example: {', '.join(_EXAMPLES)}"
        raise QueryError(f"no period is called {text!r}; {hint}")
    which, count, unit = found.groups()
    if which == ("this" if count else "last"):
        raise QueryError(
            f"{text!r} can be read in two ways; write 'previous {unit}' for the complete one before this, "
            f"'this {unit}' for the running one, or 'last 2 {unit}s' for the running one and one before"
        )
    if count is not None and int(count) == 0:
        raise QueryError(f"{text!r} is an empty range; write a number from 1")
    return which, int(count or 1), unit


def _resolve(which: str, count: int, unit: str, now: datetime) -> Period:
    start_of, back = _UNITS[unit]
    running = start_of(now)
    if which == "previous":
        return Period(back(running, count), running - _SECOND)
    end = now.replace(minute=59, second=59) if unit == "hour" else now.replace(hour=23, minute=59, second=59)
    return Period(back(running, count - 1), end)


def _start_of_hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0)


def _start_of_day(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0)


def _start_of_week(now: datetime) -> datetime:
    return _start_of_day(now) - timedelta(days=now.weekday())


def _start_of_month(now: datetime) -> datetime:
    return _start_of_day(now).replace(day=1)


def _start_of_quarter(now: datetime) -> datetime:
    return _start_of_month(now).replace(month=now.month - (now.month - 1) % _MONTHS_A_QUARTER)


def _start_of_year(now: datetime) -> datetime:
    return _start_of_month(now).replace(month=1)


def _months_back(start: datetime, months: int) -> datetime:
    year, month = divmod(start.year * _MONTHS_A_YEAR + start.month - 1 - months, _MONTHS_A_YEAR)
    return start.replace(year=year, month=month + 1)


_UNITS: Final[dict[str, tuple[Callable[[datetime], datetime], Callable[[datetime, int], datetime]]]] = {
    "hour": (_start_of_hour, lambda start, count: start - timedelta(hours=count)),
    "day": (_start_of_day, lambda start, count: start - timedelta(days=count)),
    "week": (_start_of_week, lambda start, count: start - timedelta(weeks=count)),
    "month": (_start_of_month, _months_back),
    "quarter": (_start_of_quarter, lambda start, count: _months_back(start, count * _MONTHS_A_QUARTER)),
    "year": (_start_of_year, lambda start, count: _months_back(start, count * _MONTHS_A_YEAR)),
}
