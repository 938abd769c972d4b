"""Answers stored in this process: the most recently used ones, as many as fit.

An `OrderedDict` is all there is to it, so that no caching library is used.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from time import time
from typing import Final

from attrs import evolve

from fathom_async._cache.entry import SKEW, CacheEntry, replaces
from fathom_async._cache.single_flight import FlightStore, StoreFlight
from fathom_async._cache.store import LEASE, MOST_ANSWERS
from fathom_async.errors import ArgumentError, ClosedError

MAX_BYTES: Final = 64 * 1024 * 1024
_OVERHEAD: Final = 500


class MemoryStore(FlightStore):
    """A `ReportStore` that ends with the process.

    Args:
        max_bytes: Bytes to keep at most, roughly; those that were not used for the longest time go first. What is
            larger than that on its own is not kept.
        clock: Returns the current Unix time; see `open_store`.

    Raises:
        ArgumentError: There is no room at all.
    """

    def __init__(self, *, max_bytes: int = MAX_BYTES, clock: "Callable[[], float]" = time) -> None:
        if max_bytes <= 0:
            raise ArgumentError(f"max_bytes must be a number of bytes such as {MAX_BYTES}, not {max_bytes!r}")
        self._max_bytes = max_bytes
        self._clock = clock
        self._answers: OrderedDict[str, CacheEntry] = OrderedDict()
        self._by_subject: dict[str, dict[str, None]] = {}
        self._forgotten_at: dict[str | None, float] = {}
        self._bytes = 0
        self._claims = _Claims()
        self._flight = StoreFlight(self._claims, LEASE)
        self._is_closed = False

    def __repr__(self) -> str:
        answers = f"{len(self._answers):,} answer{'' if len(self._answers) == 1 else 's'}"
        return f"<MemoryStore of {answers}, {self._bytes:,} of {self._max_bytes:,} bytes>"

    async def get_many(self, keys: Iterable[str]) -> dict[str, CacheEntry]:
        self._check_open()
        found = {key: self._answers[key] for key in keys if key in self._answers}
        for key in found:
            self._answers.move_to_end(key)
        return found

    async def find(self, subjects: Iterable[str]) -> dict[str, CacheEntry]:
        self._check_open()
        found: dict[str, CacheEntry] = {}
        for subject in subjects:
            kept = {key: self._answers[key] for key in self._by_subject.get(subject, ())}
            newest = sorted(kept, key=lambda key: kept[key].asked_at, reverse=True)[:MOST_ANSWERS]
            found |= {key: evolve(kept[key], body=b"") for key in newest}
        return found

    async def put_many(self, answers: Mapping[str, CacheEntry]) -> None:
        self._check_open()
        now = self._clock()
        for key, kept in answers.items():
            old = self._answers.get(key)
            is_forgotten = kept.asked_at < self._forgotten_at.get(kept.site, -math.inf) <= now + SKEW
            if not is_forgotten and (old is None or replaces(kept.asked_at, old.asked_at, now)):
                self._forget(key)
                self._keep(key, kept)
            self._claims.pop(key, None)
        self._flight.ended(answers)

    async def delete(self, keys: Iterable[str]) -> None:
        self._check_open()
        for key in keys:
            self._forget(key)

    async def forget(self, site: str, is_gone: "Callable[[CacheEntry], bool]") -> int:
        self._check_open()
        self._forgotten_at[site] = self._clock()
        gone = [key for key, kept in self._answers.items() if kept.site == site and is_gone(kept)]
        await self.delete(gone)
        return len(gone)

    async def prune(self, asked_before: float) -> int:
        self._check_open()
        old = [key for key, kept in self._answers.items() if kept.asked_at < asked_before]
        await self.delete(old)
        return len(old)

    async def aclose(self) -> None:
        """Forget everything."""
        self._is_closed = True
        self._answers.clear()
        self._by_subject.clear()
        await self._flight.aclose()

    def _keep(self, key: str, kept: CacheEntry) -> None:
        size = _size(kept)
        if size > self._max_bytes:
            return
        self._answers[key] = kept
        self._bytes += size
        if kept.subject is not None:
            self._by_subject.setdefault(kept.subject, {})[key] = None
        while self._bytes > self._max_bytes:
            self._forget(next(iter(self._answers)))

    def _forget(self, key: str) -> None:
        old = self._answers.pop(key, None)
        if old is not None:
            self._bytes -= _size(old)
            if old.subject is not None:
                del self._by_subject[old.subject][key]
                if not self._by_subject[old.subject]:
                    del self._by_subject[old.subject]

    def _check_open(self) -> None:
        if self._is_closed:
            raise ClosedError("the store is closed")


class _Claims(dict[str, str]):
    """The backend of claims: their owners, in memory, where none lapses."""

    async def acquire(self, keys: Collection[str], owner: str) -> Collection[str]:
        mine = [key for key in keys if key not in self]
        self.update(dict.fromkeys(mine, owner))
        return mine

    async def renew(self, held: Mapping[str, str]) -> None: ...

    async def release(self, held: Mapping[str, str]) -> None:
        for key, owner in held.items():
            if self.get(key) == owner:
                del self[key]

    async def held(self, keys: Collection[str]) -> Collection[str]:
        return self.keys() & set(keys)


def _size(kept: CacheEntry) -> int:
    return len(kept.body) + len(kept.query or "") + _OVERHEAD
