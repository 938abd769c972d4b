"""A run that ended early, recorded in its store so that the next one resumes it.

Its periods keep the days that they had when it began, and all of its answers stay fresh: otherwise ``last 30 days``,
which never end, would be requested again.
"""

from pathlib import Path
from typing import Final

from attrs import frozen

from fathom_async.store import CacheEntry, ReportStore, namespace

LIFE: Final = 20 * 3600.0
"""Seconds for which a run can be resumed: less than a day, so that a daily job never repeats yesterday's reports."""


@frozen
class Unfinished:
    """The record in a store of a run that has begun and not ended."""

    store: ReportStore
    key: str

    @classmethod
    def of(cls, store: ReportStore, file: Path, address: str) -> "Unfinished":
        return cls(store, namespace(address, f"run of {file.resolve()}"))

    async def began_at(self, now: float) -> float | None:
        """Return the Unix seconds when the run to resume began; None if there is none."""
        note = (await self.store.get_many([self.key])).get(self.key)
        return note.asked_at if note is not None and 0 <= now - note.asked_at < LIFE else None

    async def begin(self, now: float) -> None:
        await self.store.delete([self.key])
        await self.store.put_many({self.key: CacheEntry(b"[]", now, drop_after=now + LIFE)})

    async def end(self) -> None:
        await self.store.delete([self.key])
