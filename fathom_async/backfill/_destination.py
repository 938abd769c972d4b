"""Where a backfill writes: the protocol of all kinds of targets, and their errors."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Protocol

from fathom_async.backfill._layout import Cells, Layout, Series
from fathom_async.backfill._ledger import Ledger, Span
from fathom_async.errors import FathomError


def expanded_path(value: str | PathLike[str]) -> Path:
    """Return a path with ``~`` expanded."""
    return Path(value).expanduser()


class TargetError(FathomError):
    """The target cannot be used: the disk is full or read-only, or another program has locked it."""


class TargetBusyError(TargetError):
    """Another backfill is writing into the same target; no request was sent."""


class OpenDestination(Protocol):
    """A target open for one backfill. All methods block; they are called one at a time, from any thread.

    A kill between calls leaves whole periods behind, and a ledger of the periods that need not be requested again,
    including periods without rows.
    """

    def open(self) -> None:
        """Lock the target and check that it has this layout.

        Raises:
            ArgumentError: It holds something else.
            TargetBusyError: Another backfill has it.
            TargetError: It cannot be used.
        """
        ...

    def ledger(self, series: Series) -> Ledger:
        """Return the periods that the table has, and those that need not be requested again."""
        ...

    def replace(self, series: Series, span: Span, rows: Sequence[Cells], settled: Span) -> None:
        """Replace all rows of a series in some periods.

        Args:
            series: The site or event.
            span: The periods.
            rows: The new rows, by date, in the order of the layout's columns.
            settled: The periods among them that need not be requested again.
        """
        ...

    def close(self) -> None:
        """Release the target; does nothing if it is not open."""
        ...


class Destination(Protocol):
    """Where a backfill writes: a `ParquetDataset`, `DuckDBTable`, `SqliteTable`, or a class of your own."""

    def using(self, layout: Layout, zone: str) -> OpenDestination:
        """Return the target, not yet opened, for one table.

        Args:
            layout: Layout of the table.
            zone: Name of the time zone of the rows.
        """
        ...
