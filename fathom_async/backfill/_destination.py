"""Where a backfill writes: the protocol of all kinds of targets, their errors, and their lock."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from fathom_async.backfill._layout import Cells, Layout, Series
from fathom_async.backfill._ledger import Ledger, Span
from fathom_async.errors import FathomError


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
    """The target of a backfill: a `ParquetDataset`, `DuckDBTable`, `SqliteTable`, or your own class."""

    def using(self, layout: Layout, zone: str) -> OpenDestination:
        """Return the target, not yet opened, for one table.

        Args:
            layout: Layout of the table.
            zone: Name of the time zone of the rows.
        """
        ...


def lock(path: Path, target: str) -> sqlite3.Connection:
    """Take a lock between threads and processes; closing the connection, or the death of its process, releases it.

    It is SQLite's lock on an empty file, which stays: file locks of every platform without a further dependency.

    While another backfill holds it, that raises `TargetBusyError`, which names the target.
    """
    try:
        connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise TargetError(f"cannot create {path}: {error}") from None
    try:
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        connection.close()
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise TargetBusyError(
                f"another backfill is writing into {target}; wait for it, or name another target"
            ) from None
        raise TargetError(f"cannot lock {path}: {error}") from None
    return connection
