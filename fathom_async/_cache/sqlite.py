"""Answers stored in a SQLite file, for the processes of one machine.

diskcache, cashews, aiocache and py-key-value know no claim that is renewed while its holder waits, and no "never an
older one over a newer"; on top of them, this module would be as long. A file on a network drive is no place for it:
SQLite's locks do not work there.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from time import time
from typing import Final

from fathom_async._cache.entry import SKEW, CacheEntry, packed, unpacked
from fathom_async._cache.single_flight import FlightStore, StoreFlight, poll
from fathom_async._cache.sqlite_file import SqliteFile
from fathom_async._cache.store import FORGOTTEN_FOR, LEASE, MOST_ANSWERS

MAX_BYTES: Final = 1024**3
"""Size of a store's file above which the oldest answers are deleted."""

POLL_SECONDS: Final = 0.1
"""SQLite does not notify of changes; a report takes a second, so that polling ten times a second is prompt."""

_GET = "SELECT entry, body FROM answers WHERE key = ?"
_FIND = "SELECT key, entry FROM answers WHERE subject = ? ORDER BY asked_at DESC LIMIT ?"
_PUT = """
    INSERT INTO answers (key, asked_at, drop_after, subject, entry, body) SELECT ?1, ?2, ?3, ?4, ?5, ?6
    WHERE NOT EXISTS (SELECT 1 FROM forgotten WHERE site = ?7 AND at > ?2 AND at <= ?8)
    ON CONFLICT (key) DO UPDATE SET asked_at = excluded.asked_at, drop_after = excluded.drop_after,
        subject = excluded.subject, entry = excluded.entry, body = excluded.body
    WHERE excluded.asked_at >= answers.asked_at OR answers.asked_at > ?8
"""
_ABOUT = "SELECT key, entry FROM answers WHERE subject >= ?1 || ':' AND subject < ?1 || ';'"
_USED = """
    SELECT page_size * (page_count - freelist_count)
    FROM pragma_page_size, pragma_page_count, pragma_freelist_count
"""
_DELETE_OLDEST = """
    DELETE FROM answers WHERE key IN
        (SELECT key FROM answers ORDER BY asked_at LIMIT 1 + (SELECT count(*) FROM answers) / 10)
"""
_CLAIM = """
    INSERT INTO claims (key, owner, renewed) VALUES (?, ?, ?)
    ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, renewed = excluded.renewed
    WHERE abs(excluded.renewed - claims.renewed) >= ?
"""
_HELD = "SELECT 1 FROM claims WHERE key = ? AND abs(? - renewed) < ?"


class SqliteStore(FlightStore):
    """A `ReportStore` in a file, opened by its first use.

    Args:
        path: The file, created with mode 0600 if missing.
        clock: Returns the current Unix time; see `open_store`.
        wall: Returns real Unix seconds, the same in all processes; claims live by it.
        max_bytes: Size of the file above which the oldest answers are deleted.
        lease: Seconds that a claim lasts unless it is renewed; the same in all processes.
        poll_seconds: How often to look whether claims of other processes have ended.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float] = time,
        wall: Callable[[], float] = time,
        max_bytes: int = MAX_BYTES,
        lease: float = LEASE,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._file = SqliteFile(path)
        self._clock = clock
        self._max_bytes = max_bytes
        self._flight = StoreFlight(_ClaimTable(self._file, wall, lease), lease, poll(poll_seconds))

    def __repr__(self) -> str:
        return f"<SqliteStore {self._file.path}>"

    async def get_many(self, keys: Iterable[str]) -> dict[str, CacheEntry]:
        wanted = tuple(keys)

        def select(connection: sqlite3.Connection) -> dict[str, CacheEntry]:
            rows = {key: connection.execute(_GET, (key,)).fetchone() for key in wanted}
            read = {key: unpacked(self, *row) for key, row in rows.items() if row is not None}
            return {key: kept for key, kept in read.items() if kept is not None}

        return await self._file.read(select)

    async def find(self, subjects: Iterable[str]) -> dict[str, CacheEntry]:
        wanted = tuple(subjects)

        def select(connection: sqlite3.Connection) -> dict[str, CacheEntry]:
            found = (connection.execute(_FIND, (subject, MOST_ANSWERS)) for subject in wanted)
            read = {key: unpacked(self, entry, b"") for rows in found for key, entry in rows}
            return {key: kept for key, kept in read.items() if kept is not None and isinstance(key, str)}

        return await self._file.read(select)

    async def put_many(self, answers: Mapping[str, CacheEntry]) -> None:
        now, rows = self._clock(), tuple(answers.items())

        def put(connection: sqlite3.Connection) -> None:
            for key, each in rows:
                order, where = (each.asked_at, each.drop_after, each.subject), (each.site, now + SKEW)
                connection.execute(_PUT, (key, *order, *packed(each), *where))
                connection.execute("DELETE FROM claims WHERE key = ?", (key,))
            connection.execute("DELETE FROM answers WHERE drop_after < ?", (now,))
            while connection.execute(_USED).fetchone()[0] > self._max_bytes:
                if connection.execute(_DELETE_OLDEST).rowcount == 0:
                    break

        await self._flight.answer(answers, self._file.write(put))

    async def delete(self, keys: Iterable[str]) -> None:
        rows = [(key,) for key in keys]
        await self._file.write(
            lambda connection: connection.executemany("DELETE FROM answers WHERE key = ?", rows)
        )

    async def forget(self, site: str, is_gone: Callable[[CacheEntry], bool]) -> int:
        now = self._clock()

        def delete(connection: sqlite3.Connection) -> int:
            connection.execute("DELETE FROM forgotten WHERE at < ?", (now - FORGOTTEN_FOR,))
            connection.execute("REPLACE INTO forgotten VALUES (?, ?)", (site, now))
            rows = connection.execute(_ABOUT, (site,)).fetchall()
            read = [(key, unpacked(self, entry, b"")) for key, entry in rows]
            gone = [(key,) for key, kept in read if kept is None or is_gone(kept)]
            connection.executemany("DELETE FROM answers WHERE key = ?", gone)
            return len(gone)

        return await self._file.write(delete)

    async def prune(self, asked_before: float) -> int:
        """Forget all answers asked for before a moment, and give their space back; see `ReportStore.prune`."""
        delete, older = "DELETE FROM answers WHERE asked_at < ?", (asked_before,)
        gone = await self._file.write(lambda connection: connection.execute(delete, older).rowcount)
        # `execute` would free a single page.
        shrink = "PRAGMA incremental_vacuum; PRAGMA wal_checkpoint"
        await self._file.read(lambda connection: connection.executescript(shrink))
        return gone

    async def aclose(self) -> None:
        """Give up all claims, and close the file."""
        try:
            await self._flight.aclose()
        finally:
            await self._file.aclose()


class _ClaimTable:
    """The backend of claims: one row each, free once its last renewal is a lease ago.

    A renewal in the future frees it too: the clock was set back, or the machine was restarted.
    """

    def __init__(self, file: SqliteFile, wall: Callable[[], float], lease: float) -> None:
        self._file = file
        self._wall = wall
        self._lease = lease

    async def acquire(self, keys: Collection[str], owner: str) -> Collection[str]:
        now = self._wall()

        def insert(connection: sqlite3.Connection) -> list[str]:
            return [
                key for key in keys if connection.execute(_CLAIM, (key, owner, now, self._lease)).rowcount > 0
            ]

        return await self._file.write(insert)

    async def renew(self, held: Mapping[str, str]) -> None:
        now = self._wall()
        rows = [(now, key, owner) for key, owner in held.items()]
        await self._file.write(
            lambda connection: connection.executemany(
                "UPDATE claims SET renewed = ? WHERE key = ? AND owner = ?", rows
            )
        )

    async def release(self, held: Mapping[str, str]) -> None:
        await self._file.write(
            lambda connection: connection.executemany(
                "DELETE FROM claims WHERE key = ? AND owner = ?", held.items()
            )
        )

    async def held(self, keys: Collection[str]) -> Collection[str]:
        now = self._wall()

        def select(connection: sqlite3.Connection) -> list[str]:
            return [key for key in keys if connection.execute(_HELD, (key, now, self._lease)).fetchone()]

        return await self._file.read(select)
