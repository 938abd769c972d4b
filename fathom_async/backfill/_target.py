"""What every kind of target can do."""

from collections.abc import Sequence
from typing import Protocol

from fathom_async.backfill._layout import Cells, Layout, Series
from fathom_async.backfill._ledger import Ledger
from fathom_async.backfill._periods import Span


class OpenTarget(Protocol):
    """A target that one backfill writes into; all methods block, and are called one at a time from any thread.

    Whatever is killed in between leaves whole periods behind, and a ledger of those that need not be asked for
    again; a period without rows is in it like any other.
    """

    def open(self) -> None:
        """Lock the target, and see that it is one for this layout.

        Raises:
            ArgumentError: It holds something else.
            TargetBusyError: Another backfill has it.
            TargetError: It cannot be used.
        """
        ...

    def ledger(self, series: Series) -> Ledger:
        """Return which periods were filled in, and which need not be asked for again."""
        ...

    def replace(self, series: Series, span: Span, rows: Sequence[Cells], settled: Span) -> None:
        """Put rows in the place of all that a series has in these periods.

        Args:
            series: Whose rows.
            span: The periods.
            rows: All of their rows, in the order of the layout's columns, by date.
            settled: Those of the periods that need not be asked for again.
        """
        ...

    def close(self) -> None:
        """Let go of the target; does nothing if it is not open."""
        ...


class Target(Protocol):
    """Where a backfill writes."""

    def using(self, layout: Layout, zone: str) -> OpenTarget:
        """Return a way to write a table; nothing is touched yet.

        Args:
            layout: What it looks like.
            zone: Name of the time zone by whose clock the rows are counted that will be written.
        """
        ...
