"""Ranges of periods, by their numbers in the calendar."""

from collections.abc import Iterable
from datetime import datetime

import attrs

from fathom_async._reports.calendar import Unit


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
