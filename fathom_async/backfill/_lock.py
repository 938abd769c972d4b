"""One writer at a time."""

import sqlite3
from pathlib import Path

from fathom_async.backfill._destination import TargetBusyError, TargetError


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
