"""The ledger of a target: which periods of a series it has, as spans of numbers in the calendar."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

import attrs

from fathom_async._reports.calendar import Unit


@attrs.frozen(order=True)
class Span:
    """Consecutive periods, from `first` up to but not including `after`."""

    first: int
    after: int

    def __len__(self) -> int:
        return max(0, self.after - self.first)

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.first, self.after))

    def __contains__(self, index: int) -> bool:
        return self.first <= index < self.after

    def before(self, index: int) -> "Span":
        """Return the part of the span that is before a period."""
        return Span(self.first, max(self.first, min(self.after, index)))


def spans(indexes: Iterable[int]) -> tuple[Span, ...]:
    """Return the fewest spans that make up some periods, in order."""
    runs = groupby(enumerate(sorted(set(indexes))), key=lambda each: each[1] - each[0])
    members = [[index for _, index in run] for _, run in runs]
    return tuple(Span(each[0], each[-1] + 1) for each in members)


LedgerJson = dict[str, dict[str, list[list[str]]]]
"""A ledger as JSON: by time zone, the spans that were filled in and those settled, each by its first moment and the
first one after it."""


class Filled(NamedTuple):
    """A period that the table has: the time zone in which its rows were counted, and whether it is settled."""

    zone: str
    is_settled: bool


@attrs.frozen
class Ledger:
    """The periods that were filled in, which of them are settled, and in which time zone.

    When the time zone of a site changes, so do all of its days: rows counted in one time zone say nothing about
    periods in another.
    """

    periods: Mapping[int, Filled] = attrs.field(factory=dict[int, Filled])

    @classmethod
    def of(cls, ledgers: Iterable["Ledger"]) -> "Ledger":
        """Merge several ledgers into one."""
        return cls({index: filled for each in ledgers for index, filled in each.periods.items()})

    @classmethod
    def from_json(cls, unit: Unit, kept: LedgerJson) -> "Ledger":
        return cls(
            {
                index: Filled(zone, name == "settled")
                for zone, known in kept.items()
                for name in ("filled", "settled")
                for moments in known[name]
                for index in range(*(unit.index(datetime.fromisoformat(each)) for each in moments))
            }
        )

    def to_json(self, unit: Unit) -> LedgerJson:

        def written(found: Iterable[Span]) -> list[list[str]]:
            return [
                [unit.start(each.first).isoformat(), unit.start(each.after).isoformat()] for each in found
            ]

        return {
            zone: {"filled": written(filled), "settled": written(self.settled(zone))}
            for zone, filled in self.elsewhere(None).items()
        }

    def settled(self, zone: str) -> tuple[Span, ...]:
        """Return the periods that need not be requested again in this time zone."""
        return spans(index for index, filled in self.periods.items() if filled == (zone, True))

    def elsewhere(self, zone: str | None) -> dict[str, tuple[Span, ...]]:
        """Return the periods that were counted in other time zones, by time zone."""
        others = dict.fromkeys(filled.zone for filled in self.periods.values() if filled.zone != zone)
        return {
            other: spans(index for index, filled in self.periods.items() if filled.zone == other)
            for other in others
        }

    def replaced(self, span: Span, settled: Span, zone: str) -> "Ledger":
        """Return the ledger after replacing the rows of some periods, of which those `settled` are done."""
        known = self.periods
        new = {index: Filled(zone, index in settled or known.get(index) == (zone, True)) for index in span}
        return Ledger({**known, **new})
