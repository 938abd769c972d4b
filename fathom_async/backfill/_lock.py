"""One writer at a time."""

import sqlite3
from pathlib import Path

from fathom_async.backfill._errors import TargetBusyError, TargetError


class Lock:
    """A lock between threads and processes that goes with whoever holds it, killed or not.

    It is SQLite's own, on an empty file that stays: the way of each platform to lock files, at no further
    dependency.

    Args:
        path: The file, made if there is none.
        target: Names what is locked in messages.
    """

    def __init__(self, path: Path, target: str) -> None:
        self._path = path
        self._target = target
        self._connection: sqlite3.Connection | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            TargetBusyError: Another has it.
            TargetError: The file cannot be made.
        """
        try:
            connection = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise TargetError(f"{self._path} cannot be made: {error}") from None
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            connection.close()
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise TargetBusyError(
                    f"another backfill is writing into {self._target}; wait for it, or name another target"
                ) from None
            raise TargetError(f"{self._path} cannot be locked: {error}") from None
        self._connection = connection

    def release(self) -> None:
        """Let go of the lock, if it is held."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
