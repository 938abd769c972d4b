"""What a target knows of the periods of a series."""

from collections.abc import Iterable, Mapping
from itertools import chain

import attrs

from fathom_async._reports.calendar import Unit
from fathom_async.backfill._periods import Span, joined, missing, unwritten, written

LedgerJson = dict[str, dict[str, list[list[str]]]]
"""A ledger as JSON takes it: by time zone, and then by the names of `Known`."""


@attrs.frozen
class Known:
    """The periods whose rows were counted by the clock of one time zone.

    Args:
        filled: All of them.
        settled: Those of them that need not be asked for again.
    """

    filled: tuple[Span, ...] = ()
    settled: tuple[Span, ...] = ()

    def and_also(self, other: "Known") -> "Known":
        """Return what either knows."""
        return Known(joined([*self.filled, *other.filled]), joined([*self.settled, *other.settled]))

    def without(self, span: Span) -> "Known":
        """Return what is known of all other periods."""
        return Known(_without(self.filled, span), _without(self.settled, span))


@attrs.frozen
class Ledger:
    """Which periods were filled in, which of them are settled, and by whose clock.

    A site's time zone may be changed, and then all of its days are others: what was asked for by one clock says
    nothing of the periods of another.

    Args:
        by_zone: What is known, by the name of the time zone; no period is in two of them.
    """

    by_zone: Mapping[str, Known] = attrs.field(factory=dict[str, Known])

    @classmethod
    def of(cls, ledgers: Iterable["Ledger"]) -> "Ledger":
        """Return one ledger of several."""
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
        """Return the ledger as JSON takes it."""
        return {
            zone: {"filled": written(unit, known.filled), "settled": written(unit, known.settled)}
            for zone, known in self.by_zone.items()
        }

    def settled(self, zone: str) -> tuple[Span, ...]:
        """Return the periods that need not be asked for again by this clock."""
        return self.by_zone.get(zone, Known()).settled

    def elsewhere(self, zone: str) -> dict[str, tuple[Span, ...]]:
        """Return the periods that were counted by other clocks, by time zone."""
        return {other: known.filled for other, known in self.by_zone.items() if other != zone}

    def replaced(self, span: Span, settled: Span, zone: str) -> "Ledger":
        """Return the ledger after the rows of some periods were replaced.

        Args:
            span: The periods.
            settled: Those of them that need not be asked for again.
            zone: Whose clock the new rows were counted by.
        """
        left = {
            other: known if other == zone else known.without(span) for other, known in self.by_zone.items()
        }
        mine = Ledger({zone: Known(joined([span]), joined([settled]))})
        return Ledger.of([Ledger({other: known for other, known in left.items() if known.filled}), mine])


def _without(spans: Iterable[Span], span: Span) -> tuple[Span, ...]:
    return tuple(chain.from_iterable(missing(each, [span]) for each in spans))
