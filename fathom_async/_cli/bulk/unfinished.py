"""A run that ended early, remembered in its store, so that the next one goes on with it.

Its periods still mean the days that they meant when it began, and all that it was answered is still good: otherwise
``last 30 days``, which are never over, would be asked for again.
"""

from pathlib import Path
from typing import Final

from attrs import frozen

from fathom_async.store import CacheEntry, ReportStore, namespace

LIFE: Final = 20 * 3600.0
"""Seconds after which a run begins anew: less than a day, so that a daily job never makes yesterday's reports."""


@frozen
class Unfinished:
    """The note in a store that a run has begun and did not end.

    Args:
        store: The store.
        key: Which run.
    """

    store: ReportStore
    key: str

    @classmethod
    def of(cls, store: ReportStore, file: Path, address: str) -> "Unfinished":
        """Return the note of a job file's run against an API."""
        return cls(store, namespace(address, f"run of {file.resolve()}"))

    async def began_at(self, now: float) -> float | None:
        """Return the Unix seconds when the run to go on with began; None if there is none.

        Raises:
            StoreError: The store cannot be used.
        """
        note = (await self.store.get_many([self.key])).get(self.key)
        return note.asked_at if note is not None and 0 <= now - note.asked_at < LIFE else None

    async def begin(self, now: float) -> None:
        """Note that a run begins."""
        await self.store.delete([self.key])
        await self.store.put_many({self.key: CacheEntry(b"[]", now, drop_after=now + LIFE)})

    async def end(self) -> None:
        """Note that it is over."""
        await self.store.delete([self.key])
