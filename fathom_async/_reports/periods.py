"""Ranges of days: in words, such as ``last 30 days``, against a given moment, or dated, such as ``2026-01``."""

import re
from calendar import monthrange
from datetime import date, datetime, time
from typing import Final, cast

import attrs

from fathom_async._reports.calendar import Unit
from fathom_async._reports.fields import DateGrouping
from fathom_async._util.checks import similar
from fathom_async.errors import QueryError

_MONTHS_A_YEAR: Final = 12
_MONTHS_A_QUARTER: Final = 3
_FIRST_MONDAY: Final = date.min.toordinal()
_MULTIPLES: Final = {"week": ("day", 7), "quarter": ("month", _MONTHS_A_QUARTER)}

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
    "2026",
    "Q1 2026",
    "2026-01",
    "2026-01-31",
    "2026-01-01 to 2026-01-31",
)
_WORDS: Final = re.compile(
    r"(?P<which>last|previous|this) (?:(?P<count>[0-9]{1,6}) )?(?P<unit>hour|day|week|month|quarter|year)s?"
)
_TO_DATE: Final = re.compile(r"(?P<unit>day|week|month|quarter|year) to date")
_COUNTED: Final = re.compile(r"(?P<count>[0-9]{1,6})[ -]?(?P<unit>hour|day|week|month|quarter|year)s?\b.*")
_DATED: Final = re.compile(
    r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2})(?:-(?P<day>[0-9]{2}))?)?"
    r"|q(?P<quarter>[0-9]) (?P<its_year>[0-9]{4})"
)
_LOOKS_DATED: Final = re.compile(r"q?[0-9].*|.* to .*")
_FORMS: Final = (
    "write a year '2026', a quarter 'Q1 2026', a month '2026-01', days '2026-01-01 to 2026-01-31', "
    "or words such as 'last 30 days'"
)


@attrs.frozen
class Period:
    """A range of whole seconds in a site's local time, inclusive of both ends.

    Args:
        start: The first second, without a time zone.
        end: The last second, without a time zone.
    """

    start: datetime
    end: datetime

    @classmethod
    def parse(cls, text: str, now: date) -> "Period":
        """Return the period that the words mean at a given moment.

        - ``today``, ``yesterday``
        - ``this week``, or ``week to date``: the current unit, through the end of today
        - ``last 30 days``: the current unit and the 29 before it, through the end of today
        - ``previous month``, ``previous 7 days``: complete units before the current one
        - ``2026``, ``Q1 2026``, ``2026-01``, ``2026-01-31``: that year, quarter, month or day
        - ``2026-01-01 to 2026-01-31``: from the start of the first through the end of the second

        Units are ``hour``, ``day``, ``week`` (from Monday), ``month``, ``quarter`` and ``year`` of the
        calendar: ``last 12 months`` starts with the first day of a month. Hours end with the current hour.

        Args:
            text: The words, in upper or lower case.
            now: Today or the current moment in the site's local time; its own time zone is ignored.

        Raises:
            QueryError: The words are not a period, or not in the calendar.

        >>> Period.parse("last 7 days", date(2026, 3, 15)).start
        datetime.datetime(2026, 3, 9, 0, 0)
        >>> Period.parse("Q1 2026", date.today()) == Period.parse("2026-01 to 2026-03", date.today())
        True
        """
        if (dated := cls.dated(text)) is not None:
            return dated
        which, count, unit = understood(text)
        if unit == "hour" and not isinstance(now, datetime):
            raise QueryError(f"{text!r} needs to know the hour; give now as a datetime")
        moment = now if isinstance(now, datetime) else datetime.combine(now, time())
        try:
            return _resolve(which, count, unit, moment.replace(tzinfo=None, microsecond=0))
        except (OverflowError, ValueError):
            raise QueryError(f"{text!r} reaches back before the year 1") from None

    @classmethod
    def dated(cls, text: str) -> "Period | None":
        """Return the period of words that do not depend on the moment, such as ``2026-01``; None for others.

        Args:
            text: The words, as `parse` reads them.

        Raises:
            QueryError: The words are dates that are not in the calendar, or misspelt.
        """
        return _dated(text)


def _dated(text: str) -> Period | None:
    words = _plain(text)
    if _TO_DATE.fullmatch(words) or _COUNTED.fullmatch(words) or not _LOOKS_DATED.fullmatch(words):
        return None
    first, to, last = words.partition(" to ")
    start = _unit_of_calendar(text, first)
    if not to:
        return start
    end = _unit_of_calendar(text, last)
    if end.end < start.start:
        raise QueryError(f"{text!r} ends before it begins; write {f'{last} to {first}'!r}")
    return Period(start.start, end.end)


def _unit_of_calendar(text: str, words: str) -> Period:
    """Return a year, quarter, month or day."""
    found = _DATED.fullmatch(words)
    if found is None:
        raise QueryError(f"no period is called {text!r}; {_FORMS}")
    year = int(found["year"] or found["its_year"])
    first_month, last_month = 1, _MONTHS_A_YEAR
    if found["month"]:
        first_month = last_month = int(found["month"])
    elif found["quarter"]:
        last_month = int(found["quarter"]) * _MONTHS_A_QUARTER
        first_month = last_month - _MONTHS_A_QUARTER + 1
    if not (year >= 1 and 1 <= first_month <= last_month <= _MONTHS_A_YEAR):
        raise QueryError(f"{text!r} is not in the calendar: no {words.upper()!r}; {_FORMS}")
    first_day, last_day = 1, monthrange(year, last_month)[1]
    if found["day"]:
        first_day = int(found["day"])
        if not 1 <= first_day <= last_day:
            raise QueryError(
                f"{text!r} is not in the calendar: {words[:-3]} has the days 01 to {last_day}; "
                f"write {words[:-3]!r} for the whole month"
            )
        last_day = first_day
    return Period(
        datetime(year, first_month, first_day),  # noqa: DTZ001 - the site's clock
        datetime(year, last_month, last_day, 23, 59, 59),  # noqa: DTZ001 - the site's clock
    )


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def understood(text: str) -> tuple[str, int, str]:
    """Return which units the words mean (this, last, previous), how many, and the unit."""
    words = _plain(text)
    if found := _TO_DATE.fullmatch(words):
        return "this", 1, found["unit"]
    if found := _COUNTED.fullmatch(words):
        raise QueryError(_which_of(text, int(found["count"]), found["unit"]))
    found = _WORDS.fullmatch({"today": "this day", "yesterday": "previous day"}.get(words, words))
    if found is None:
        close = similar(words, _EXAMPLES)
        hint = f"did you mean {close!r}?" if close else f"there are, for example: {', '.join(_EXAMPLES)}"
        raise QueryError(f"no period is called {text!r}; {hint}")
    which, count, unit = found.groups()
    if which == ("this" if count else "last"):
        raise QueryError(
            f"{text!r} can be read in two ways; write 'previous {unit}' for the complete one before this, "
            f"'this {unit}' for the running one, or 'last 2 {unit}s' for the running one and one before"
        )
    if count is not None and int(count) == 0:
        raise QueryError(_empty(text))
    return which, int(count or 1), unit


def _which_of(text: str, count: int, unit: str) -> str:
    """Return what to say to a number of units without a word before it."""
    if count == 0:
        return _empty(text)
    running, complete = (
        (f"this {unit}", f"previous {unit}")
        if count == 1
        else (f"last {count} {unit}s", f"previous {count} {unit}s")
    )
    return (
        f"{text!r} does not say which; write {running!r} to have the running {unit} in it, or {complete!r} for "
        f"what was complete before this {unit}"
    )


def _empty(text: str) -> str:
    return f"{text!r} is an empty range; write a number from 1"


def _resolve(which: str, count: int, name: str, now: datetime) -> Period:
    base, size = _MULTIPLES.get(name, (name, 1))
    unit, first_week = Unit(cast("DateGrouping", base)), _FIRST_MONDAY if name == "week" else 0
    index = unit.index(now)
    running = index - (index - first_week) % size
    if which == "previous":
        return Period(unit.start(running - count * size), unit.end(running - 1))
    end = now.replace(minute=59, second=59) if name == "hour" else now.replace(hour=23, minute=59, second=59)
    return Period(unit.start(running - (count - 1) * size), end)
