"""One writer at a time."""

import sqlite3
from pathlib import Path

from fathom_async.backfill._destination import TargetBusyError, TargetError


class Lock:
    """A lock between threads and processes that ends with its holder, even if that is killed.

    It is SQLite's lock on an empty file, which stays: file locks of every platform without a further dependency.

    Args:
        path: The file, created if missing.
        target: Name of the target for messages.
    """

    def __init__(self, path: Path, target: str) -> None:
        self._path = path
        self._target = target
        self._connection: sqlite3.Connection | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            TargetBusyError: Another backfill holds it.
            TargetError: The file cannot be created.
        """
        try:
            connection = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise TargetError(f"cannot create {self._path}: {error}") from None
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            connection.close()
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise TargetBusyError(
                    f"another backfill is writing into {self._target}; wait for it, or name another target"
                ) from None
            raise TargetError(f"cannot lock {self._path}: {error}") from None
        self._connection = connection

    def release(self) -> None:
        """Release the lock, if held."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
