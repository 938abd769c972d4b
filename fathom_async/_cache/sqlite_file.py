"""The SQLite file of a store: opened with care, used in a thread of its own.

The standard library's `sqlite3` in a `ThreadPoolExecutor` of one thread: a transaction is one call there, which a
cancelled caller cannot cut in two, as it could between two awaits of aiosqlite.
"""

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from fathom_async.errors import ArgumentError, ClosedError, ConfigurationError, StoreError

T = TypeVar("T")

APPLICATION_ID: Final = 0x46744172
"""Marks our files; `FtAr`."""

_BUSY_SECONDS = 60.0
_RETRY_SECONDS = 0.01
_ADVICE: Final = {
    sqlite3.SQLITE_BUSY: f" by another program for {_BUSY_SECONDS:.0f} s",
    sqlite3.SQLITE_FULL: "; free some space, or prune the store",
}
_VERSION: Final = 3
_SCHEMA: Final = (
    """
    CREATE TABLE answers (
        key TEXT PRIMARY KEY,
        asked_at REAL NOT NULL,
        drop_after REAL,
        subject TEXT,
        entry BLOB NOT NULL,
        body BLOB NOT NULL
    )
    """,
    "CREATE INDEX answers_drop_after ON answers (drop_after) WHERE drop_after IS NOT NULL",
    "CREATE INDEX answers_subject ON answers (subject, asked_at) WHERE subject IS NOT NULL",
    "CREATE INDEX answers_asked_at ON answers (asked_at)",
    "CREATE TABLE forgotten (site TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID",
    "CREATE TABLE claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL, renewed REAL NOT NULL) WITHOUT ROWID",
    f"PRAGMA application_id = {APPLICATION_ID}",
    f"PRAGMA user_version = {_VERSION}",
)

_creating = threading.Lock()


class SqliteFile:
    """Carries out transactions one after the other on a file, which the first creates with mode 0600 if missing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._thread: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._opened: os.stat_result | None = None
        self._pid = os.getpid()
        self._is_closed = False

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what one or several queries bring."""
        return await self._run(work)

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Carry out a transaction; it is on the disk from here on. Raises what `read` raises."""

        def transaction(connection: sqlite3.Connection) -> T:
            with _transaction(connection):
                return work(connection)

        return await self._run(transaction)

    async def aclose(self) -> None:
        """Close the file once what is under way is done."""
        self._is_closed = True
        thread, self._thread = self._thread, None
        if thread is not None:
            closing = asyncio.get_running_loop().run_in_executor(thread, self._close)
            thread.shutdown(wait=False)
            await asyncio.shield(closing)

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._is_closed:
            raise ClosedError("the store is closed")
        if self._pid != os.getpid():
            raise StoreError(f"{self.path} was opened before a fork: open a store in each process")
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="fathom-store")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._carry_out, work)

    def _carry_out(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return work(self._open())
        except (sqlite3.Error, OSError) as error:
            advice = _ADVICE.get(getattr(error, "sqlite_errorcode", 0), "")
            raise StoreError(f"the store {self.path} cannot be used: {error}{advice}") from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and not self._is_there():
            self._close()
        if self._connection is None:
            try:
                self._connection = open_file(self.path)
            except ArgumentError as error:
                if self._opened is None:
                    raise
                raise StoreError(f"the store that was there is gone: {error}") from None
            self._opened = self.path.stat()
        return self._connection

    def _is_there(self) -> bool:
        """Whether the path still leads to the file that is open; somebody may have deleted it."""
        try:
            return self._opened is not None and os.path.samestat(self._opened, self.path.stat())
        except OSError:
            return False

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def open_file(path: Path) -> sqlite3.Connection:
    """Return a connection to a store's file; blocks until other processes let it.

    If the path leads to something else, it is left as it is, and that raises `ConfigurationError`.
    """
    _create(path)
    _check(path)
    give_up = time.monotonic() + _BUSY_SECONDS
    while True:
        left = max(0.0, give_up - time.monotonic())
        connection = sqlite3.connect(path, timeout=left, isolation_level=None)
        try:
            _prepare(connection, path)
            connection.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000:.0f}")
        except sqlite3.OperationalError as error:
            connection.close()
            # SQLite does not wait where that could be a deadlock, as when two switch a new file to WAL.
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(_RETRY_SECONDS)
        except BaseException:
            connection.close()
            raise
        else:
            return connection


def _create(path: Path) -> None:
    # Closing a file drops all locks that the process has on it, so that it must not be in use yet.
    with _creating:
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            if not path.is_file():
                raise ConfigurationError(f"{path} is no file: name one for the store") from None
        except FileNotFoundError:
            raise ConfigurationError(
                f"there is no directory {path.parent} for the store; create it first"
            ) from None
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"the store {path} cannot be made: {error}") from None


def _check(path: Path) -> None:
    """See that a file is ours, or empty, without a trace."""
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    except sqlite3.OperationalError:
        raise ConfigurationError(f"the store {path} cannot be read: check its permissions") from None
    try:
        _ = _is_made(connection, path)
    except sqlite3.DatabaseError as error:
        if "not a database" in str(error):
            raise ConfigurationError(f"{path} is no store: name another path, it is left as it is") from None
        # Somebody may be making it; what is wrong with it shows when it is opened in earnest.
    finally:
        connection.close()


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    if not _is_made(connection, path):
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        with _transaction(connection):
            for statement in () if _is_made(connection, path) else _SCHEMA:
                connection.execute(statement)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # an answer costs a request; that outweighs the flush


def _is_made(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether a file is a store; an empty one is not, and anything else raises `ConfigurationError`."""
    application, version, tables = connection.execute(
        "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master) "
        "FROM pragma_application_id, pragma_user_version"
    ).fetchone()
    if application == APPLICATION_ID:
        if version != _VERSION:
            raise ConfigurationError(
                f"{path} was made by another version of this package: name another path, or delete it"
            )
        return True
    if application or tables:
        raise ConfigurationError(
            f"{path} is the database of something else: name another path, it is left as it is"
        )
    return False


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Generator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
