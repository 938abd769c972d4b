"""The ledger of a target: which periods of a series it has, as spans of numbers in the calendar."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import chain

import attrs

from fathom_async._reports.calendar import Unit


@attrs.frozen(order=True)
class Span:
    """Consecutive periods, from `first` up to but not including `after`."""

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
    """Merge spans that touch or overlap; return them in order, without empty ones."""
    result: list[Span] = []
    for span in sorted(filter(len, spans)):
        if result and span.first <= result[-1].after:
            result[-1] = Span(result[-1].first, max(result[-1].after, span.after))
        else:
            result.append(span)
    return tuple(result)


def missing(wanted: Span, held: Iterable[Span]) -> tuple[Span, ...]:
    """Return the wanted periods that none of the other spans contains, in order."""
    gaps: list[Span] = []
    first = wanted.first
    for span in joined(held):
        gaps.append(Span(first, min(span.first, wanted.after)))
        first = max(first, span.after)
    return joined([*gaps, Span(first, wanted.after)])


def written(unit: Unit, spans: Iterable[Span]) -> list[list[str]]:
    """Return spans as JSON: the first moment of each, and the first moment after it."""
    return [[unit.start(each.first).isoformat(), unit.start(each.after).isoformat()] for each in spans]


def unwritten(unit: Unit, moments: Iterable[Iterable[str]]) -> tuple[Span, ...]:
    """Return the spans that `written` returned as JSON."""
    return tuple(Span(*(unit.index(datetime.fromisoformat(each)) for each in span)) for span in moments)


LedgerJson = dict[str, dict[str, list[list[str]]]]
"""A ledger as JSON: by time zone, then by the names of `Known`."""


@attrs.frozen
class Known:
    """The periods whose rows were counted in one time zone.

    Args:
        filled: All periods that the table has.
        settled: The periods among them that need not be requested again.
    """

    filled: tuple[Span, ...] = ()
    settled: tuple[Span, ...] = ()

    def and_also(self, other: "Known") -> "Known":
        """Return the union of both."""
        return Known(joined([*self.filled, *other.filled]), joined([*self.settled, *other.settled]))

    def without(self, span: Span) -> "Known":
        """Return all periods but these."""
        return Known(_without(self.filled, span), _without(self.settled, span))


@attrs.frozen
class Ledger:
    """The periods that were filled in, which of them are settled, and in which time zone.

    When the time zone of a site changes, so do all of its days: rows counted in one time zone say nothing about
    periods in another.

    Args:
        by_zone: The periods by name of the time zone; no period is in two of them.
    """

    by_zone: Mapping[str, Known] = attrs.field(factory=dict[str, Known])

    @classmethod
    def of(cls, ledgers: Iterable["Ledger"]) -> "Ledger":
        """Merge several ledgers into one."""
        found: dict[str, Known] = {}
        for zone, known in chain.from_iterable(each.by_zone.items() for each in ledgers):
            found[zone] = found.get(zone, Known()).and_also(known)
        return cls(found)

    @classmethod
    def from_json(cls, unit: Unit, kept: LedgerJson) -> "Ledger":
        """Return the ledger that `to_json` returned."""
        return cls(
            {
                zone: Known(unwritten(unit, known["filled"]), unwritten(unit, known["settled"]))
                for zone, known in kept.items()
            }
        )

    def to_json(self, unit: Unit) -> LedgerJson:
        """Return the ledger as JSON."""
        return {
            zone: {"filled": written(unit, known.filled), "settled": written(unit, known.settled)}
            for zone, known in self.by_zone.items()
        }

    def settled(self, zone: str) -> tuple[Span, ...]:
        """Return the periods that need not be requested again in this time zone."""
        return self.by_zone.get(zone, Known()).settled

    def elsewhere(self, zone: str) -> dict[str, tuple[Span, ...]]:
        """Return the periods that were counted in other time zones, by time zone."""
        return {other: known.filled for other, known in self.by_zone.items() if other != zone}

    def replaced(self, span: Span, settled: Span, zone: str) -> "Ledger":
        """Return the ledger after replacing the rows of some periods.

        Args:
            span: The periods.
            settled: The periods among them that need not be requested again.
            zone: Time zone of the new rows.
        """
        left = {
            other: known if other == zone else known.without(span) for other, known in self.by_zone.items()
        }
        mine = Ledger({zone: Known(joined([span]), joined([settled]))})
        return Ledger.of([Ledger({other: known for other, known in left.items() if known.filled}), mine])


def _without(spans: Iterable[Span], span: Span) -> tuple[Span, ...]:
    return tuple(chain.from_iterable(missing(each, [span]) for each in spans))
