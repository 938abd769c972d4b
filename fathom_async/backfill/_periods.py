"""Periods of the calendar as whole numbers, so that ranges of them are ranges of numbers.

Moments are those that the clock on the wall of the site shows, without a time zone.
"""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Final

import attrs

from fathom_async._reports.fields import DateGrouping

_MONTHS: Final = 12
_HOURS: Final = 24


@attrs.frozen
class Unit:
    """Hours, days, months or years, counted from the begin of the calendar."""

    name: DateGrouping

    def index(self, moment: date) -> int:
        """Return the number of the period that a moment is in."""
        match self.name:
            case "hour":
                hour = moment.hour if isinstance(moment, datetime) else 0
                return moment.toordinal() * _HOURS + hour
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
                return datetime.combine(date.fromordinal(index), time())
            case "month":
                return datetime(index // _MONTHS, index % _MONTHS + 1, 1)  # noqa: DTZ001 - the site's clock
            case "year":
                return datetime(index, 1, 1)  # noqa: DTZ001 - the site's clock

    def end(self, index: int) -> datetime:
        """Return the last second of a period."""
        return self.start(index + 1) - timedelta(seconds=1)

    def value(self, index: int) -> date:
        """Return what the date column of a report's row has for the period: a datetime for hours, else a date."""
        start = self.start(index)
        return start if self.name == "hour" else start.date()


@attrs.frozen(order=True)
class Span:
    """Periods one after the other, by number: the first, and the one after the last."""

    first: int
    after: int

    def __len__(self) -> int:
        return max(0, self.after - self.first)

    def __contains__(self, index: int) -> bool:
        return self.first <= index < self.after

    def before(self, index: int) -> "Span":
        """Return the part of the span that is before a period."""
        return Span(self.first, max(self.first, min(self.after, index)))


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the same periods as few spans in order, none empty and none next to another."""
    result: list[Span] = []
    for span in sorted(filter(len, spans)):
        if result and span.first <= result[-1].after:
            result[-1] = Span(result[-1].first, max(result[-1].after, span.after))
        else:
            result.append(span)
    return tuple(result)


def missing(wanted: Span, held: Iterable[Span]) -> tuple[Span, ...]:
    """Return those of the wanted periods that are in none of the others, in order."""
    gaps: list[Span] = []
    first = wanted.first
    for span in joined(held):
        gaps.append(Span(first, min(span.first, wanted.after)))
        first = max(first, span.after)
    return joined([*gaps, Span(first, wanted.after)])


def written(unit: Unit, spans: Iterable[Span]) -> list[list[str]]:
    """Return spans as JSON takes them: the first moment of each, and of what follows it."""
    return [[unit.start(each.first).isoformat(), unit.start(each.after).isoformat()] for each in spans]


def unwritten(unit: Unit, moments: Iterable[Iterable[str]]) -> tuple[Span, ...]:
    """Return the spans that `written` wrote."""
    return tuple(Span(*(unit.index(datetime.fromisoformat(each)) for each in span)) for span in moments)
