"""What this machine created: so that nothing is created twice.

1. Only one sync of a destination works at a time on a machine: it holds an exclusive lock on the file, which the
   operating system releases when the process dies.
2. A creation is written down when its request leaves, and its object's id when the answer arrives.
3. A creation without an answer may have happened. For `SETTLE` seconds, a service may not show what it created.
4. Ids are kept for good: whoever reads one asks the service whether the object still exists.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from attrs import frozen

from fathom_async._util.checks import file_path
from fathom_async.connectors.sync._changes import Change
from fathom_async.connectors.sync._destination import SyncError
from fathom_async.errors import ConfigurationError

SETTLE = 30.0
"""Seconds after which a service shows what it created, if it did (rule 3)."""

_SCHEMA = "CREATE TABLE IF NOT EXISTS creations (change TEXT PRIMARY KEY, at REAL NOT NULL, made TEXT)"


@frozen
class Remembered:
    """The seconds since a creation was sent, and the object's id; None without an answer."""

    age: float
    made: str | None


@frozen
class Memory:
    """The creations of one destination; one sync at a time."""

    _rows: sqlite3.Connection
    _unix: Callable[[], float]
    _file: Path

    def recall(self, change: Change) -> Remembered | None:
        """Return when a creation was sent, and what it made; None if it never was."""
        with _explained(self._file):
            found = self._rows.execute(
                "SELECT at, made FROM creations WHERE change = ?", [_key(change)]
            ).fetchone()
        return None if found is None else Remembered(max(0.0, self._unix() - found[0]), found[1])

    def sent(self, change: Change) -> None:
        """Write down that a creation's request leaves (rule 2)."""
        self._write("INSERT OR REPLACE INTO creations VALUES (?, ?, NULL)", _key(change), self._unix())

    def made(self, change: Change, name: str | None) -> None:
        """Write down the id of what a creation made."""
        self._write("UPDATE creations SET made = ? WHERE change = ?", name, _key(change))

    def forget(self, change: Change) -> None:
        """Note that a creation certainly did not happen, or that its object is gone."""
        self._write("DELETE FROM creations WHERE change = ?", _key(change))

    def _write(self, statement: str, *values: object) -> None:
        with _explained(self._file):
            self._rows.execute(statement, values)
            self._rows.commit()


@contextmanager
def opened(
    destination: str, folder: str | Path | None = None, unix: Callable[[], float] = time.time
) -> Generator[Memory]:
    """Open the memory of a destination, and lock it (rule 1).

    `destination` tells it from others. The folder is by default ``$XDG_STATE_HOME/fathom_async``, or ``fathom_async``
    in ``~/.local/state``. While another sync is at work, that raises `SyncError`.
    """
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    name = f"sync-{sha256(destination.encode()).hexdigest()[:16]}.db"
    file = file_path(Path(folder or Path(state, "fathom_async"), name))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = sqlite3.connect(file, timeout=0)
    except (OSError, sqlite3.Error) as error:
        raise _unusable(file, error) from None
    try:
        with _explained(file):
            rows.execute("PRAGMA locking_mode = EXCLUSIVE")
            rows.execute("PRAGMA synchronous = OFF")  # a killed process loses nothing by that
            rows.execute("BEGIN EXCLUSIVE")
            rows.execute(_SCHEMA)
            rows.commit()  # the lock stays until the connection closes
        yield Memory(rows, unix, file)
    finally:
        rows.close()


@contextmanager
def _explained(file: Path) -> Generator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise SyncError(
                "another sync of this destination is at work on this machine: wait for its end"
            ) from None
        raise _unusable(file, error) from None
    except sqlite3.Error as error:
        raise _unusable(file, error) from None


def _unusable(file: Path, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"what was created cannot be kept in {file} ({error}): pass another folder as memory (--memory)"
    )


def _key(change: Change) -> str:
    return f"{type(change).__name__} {change}"
