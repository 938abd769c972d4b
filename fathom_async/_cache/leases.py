"""Claims of one process on keys that others may claim too, and the tasks that wait for claims to end.

One task carries out all that concerns claims, in order: a claim whose caller was cancelled is made and given up,
never the other way round. It also renews them, since a request may wait for minutes until the rate limit admits it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Protocol
from uuid import uuid4

from fathom_async.errors import ClosedError, FathomError

_log = logging.getLogger("fathom_async")

_RENEWALS = 3


class ClaimBackend(Protocol):
    """Stores claims. Never touches a claim of another owner."""

    async def acquire(self, keys: Collection[str], owner: str) -> Collection[str]:
        """Claim the keys that are free; return them."""
        ...

    async def renew(self, held: Mapping[str, str]) -> None:
        """Renew the leases of claims, given the owner of each key."""
        ...

    async def release(self, held: Mapping[str, str]) -> None:
        """Release claims, given the owner of each key."""
        ...


class Leases:
    """Acquires, renews and releases claims.

    Args:
        backend: Where they are written down.
        lease: Seconds of the event loop that a claim lasts unless it is renewed.
        ended: Told the keys whose claims have ended.
    """

    def __init__(self, backend: ClaimBackend, lease: float, ended: Callable[[Iterable[str]], None]) -> None:
        self._backend = backend
        self._lease = lease
        self._ended = ended
        self._held: dict[str, str] = {}
        self._jobs: deque[Callable[[], Awaitable[None]]] = deque()
        self._wake = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._is_closed = False

    @asynccontextmanager
    async def claim(self, keys: Iterable[str]) -> AsyncGenerator[frozenset[str]]:
        """Claim keys until the end of the block; see `ReportStore.claim`."""
        if self._is_closed:
            raise ClosedError("the store is closed")
        wanted = tuple(dict.fromkeys(keys))
        owner = uuid4().hex
        claimed: asyncio.Future[frozenset[str]] = asyncio.get_running_loop().create_future()
        self._do(lambda: self._acquire(wanted, owner, claimed))
        try:
            yield await claimed
        finally:
            # Nothing is awaited here, so that no cancellation can come between.
            if not self._is_closed:
                self._do(lambda: self._release([key for key in wanted if self._held.get(key) == owner]))

    async def aclose(self) -> None:
        """Release all claims."""
        self._is_closed = True
        self._do(lambda: self._release(list(self._held)))
        try:
            while self._jobs or not self._start().done():  # it may have been cancelled with everything else
                await asyncio.wait([self._start()])
        finally:
            self._start().cancel()

    def _do(self, job: Callable[[], Awaitable[None]]) -> None:
        self._jobs.append(job)
        self._wake.set()
        _ = self._start()

    def _start(self) -> "asyncio.Task[None]":
        if self._worker is None or (self._worker.done() and (self._jobs or self._held)):
            self._worker = asyncio.create_task(self._work())
        return self._worker

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        renew_at = loop.time() + self._lease / _RENEWALS
        while self._jobs or self._held:
            if self._held and loop.time() >= renew_at:
                await self._renew()
                renew_at = loop.time() + self._lease / _RENEWALS
            elif self._jobs:
                await self._jobs.popleft()()
            else:
                self._wake.clear()
                timer = loop.call_at(renew_at, self._wake.set)
                try:
                    await self._wake.wait()
                finally:
                    timer.cancel()

    async def _acquire(
        self, keys: Collection[str], owner: str, claimed: "asyncio.Future[frozenset[str]]"
    ) -> None:
        if claimed.done():
            return
        try:
            mine = frozenset(await self._backend.acquire(keys, owner))
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller may not wait for ever
            if not claimed.done():
                claimed.set_exception(error)
            return
        self._held.update(dict.fromkeys(mine, owner))
        if not claimed.done():
            claimed.set_result(mine)

    async def _renew(self) -> None:
        try:
            await self._backend.renew(dict(self._held))
        except FathomError as error:
            _log.warning(
                "%d claims could not be renewed, so others may send the same requests: %s",
                len(self._held),
                error,
            )

    async def _release(self, keys: Collection[str]) -> None:
        if not keys:
            return
        held = {key: self._held.pop(key) for key in keys}
        try:
            await self._backend.release(held)
        except FathomError as error:
            _log.warning("%d claims could not be released and will lapse: %s", len(held), error)
        self._ended(keys)


Held = Callable[[Collection[str]], Awaitable[Collection[str]]]
"""Returns those of some keys that are claimed."""


class Waiters:
    """Lets any number of tasks wait for keys, with one watcher for all of them.

    Args:
        held: Returns the keys that are claimed, by any process.
        watch: Calls `check` and `ended` as long as there are `keys`, and then returns. None where no other process
            makes claims.
    """

    def __init__(self, held: Held, watch: "Watch | None" = None) -> None:
        self._held = held
        self._watch = watch
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._unseen: set[str] = set()
        self._looker: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None

    @property
    def keys(self) -> Collection[str]:
        """The keys that tasks wait for."""
        return tuple(self._waiting)

    async def wait(self, key: str) -> None:
        """Wait until a key is free."""
        end = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, set()).add(end)
        self._unseen.add(key)
        if self._looker is None or self._looker.done():
            self._looker = asyncio.create_task(self._look())
        try:
            await end
        finally:
            if not end.cancel() and not end.cancelled():
                end.exception()  # it may have come at the moment of a cancellation
            self._waiting[key].discard(end)
            if not self._waiting[key]:
                del self._waiting[key]

    async def check(self) -> None:
        """Wake the tasks whose keys are free."""
        keys = self.keys
        self.ended(set(keys).difference(await self._held(keys)))

    def ended(self, keys: Iterable[str]) -> None:
        """Wake the tasks that wait for these keys."""
        for key in keys:
            for end in self._waiting.get(key, ()):
                if not end.done():
                    end.set_result(None)

    def fail(self, error: Exception) -> None:
        """Raise an error in all waiting tasks."""
        for end in [end for waiting in self._waiting.values() for end in waiting if not end.done()]:
            end.set_exception(error)

    async def aclose(self) -> None:
        """Raise `ClosedError` in all waiting tasks."""
        self.fail(ClosedError("the store was closed while a caller was waiting for another's answer"))
        tasks = [task for task in (self._looker, self._watcher) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> None:
        """Check the keys that tasks began to wait for, in batches."""
        try:
            while self._unseen:
                keys, self._unseen = self._unseen, set()
                held = await self._held(keys)
                self.ended(keys.difference(held))
                if held and self._watch is not None and (self._watcher is None or self._watcher.done()):
                    self._watcher = asyncio.create_task(self._run(self._watch))
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            self.fail(error)

    async def _run(self, watch: "Watch") -> None:
        try:
            while self._waiting:
                await watch(self)
        except Exception as error:  # noqa: BLE001 - the same
            self.fail(error)


Watch = Callable[[Waiters], Awaitable[None]]


def poll(every: float) -> Watch:
    """Return a watch that checks every so many seconds of the event loop."""

    async def watch(waiters: Waiters) -> None:
        while waiters.keys:
            await asyncio.sleep(every)
            await waiters.check()

    return watch
