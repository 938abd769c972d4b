"""One request for the same answer: one caller claims its key and asks, all others wait for the claim to end.

Claims have two scopes, for two questions:

* **The process** (`SingleFlight`): is another run of this client about to ask, at least as urgently? Then this one
  does not even queue. Without it, every page that needs the same missing report would wait in the lane by itself,
  and the lane would estimate as many minutes as there are pages.
* **The store** (`StoreFlight`): is anybody asking right now, in any process? A claim is written down in the store
  when the request is admitted (`fathom_async._bulk.request.AdmissionClaim`), and renewed for as long as its caller
  lives.

They are not one: the first has priorities and ends at once, since it is made before a request queues; the second
lapses, and a waiting request must not hold it.

What concerns claims of a store is carried out one after the other, in tasks of their own: a claim whose caller was
cancelled is made and given up, never the other way round.
"""

import asyncio
import logging
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Generator,
    Hashable,
    Iterable,
    Mapping,
)
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from typing import Protocol, TypeVar
from uuid import uuid4

from attrs import frozen

from fathom_async._cache.store import ReportStore
from fathom_async._ratelimit.plan import Priority
from fathom_async.errors import ClosedError, FathomError

T = TypeVar("T")
KeyT = TypeVar("KeyT", bound=Hashable)

_log = logging.getLogger("fathom_async")

_RENEWALS = 3


@frozen(eq=False)
class _Intent:
    priority: Priority
    end: "asyncio.Future[None]"


class SingleFlight:
    """Claims within a process, by the key of their answer; used from one event loop."""

    def __init__(self) -> None:
        self._by_key: dict[Hashable, list[_Intent]] = {}

    @contextmanager
    def declare(
        self, keys: Iterable[KeyT], priority: Priority
    ) -> Generator[Mapping[KeyT, "asyncio.Future[None]"]]:
        """Declare the keys of answers about to be requested, until the end of the block.

        It yields those that another run has declared at the same or higher priority, mapped to a future that resolves
        when it is done.
        """
        wanted = tuple(keys)
        theirs = {key: end for key in wanted if (end := self._end_of(key, priority)) is not None}
        intent = _Intent(priority, asyncio.get_running_loop().create_future())
        mine = [key for key in wanted if key not in theirs]
        for key in mine:
            self._by_key.setdefault(key, []).append(intent)
        try:
            yield theirs
        finally:
            for key in mine:
                self._by_key[key].remove(intent)
                if not self._by_key[key]:
                    del self._by_key[key]
            intent.end.set_result(None)

    async def aclose(self) -> None:
        """Do nothing: an intent ends with its task."""

    def _end_of(self, key: Hashable, priority: Priority) -> "asyncio.Future[None] | None":
        found = [intent.end for intent in self._by_key.get(key, ()) if intent.priority <= priority]
        return found[0] if found else None


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

    async def held(self, keys: Collection[str]) -> Collection[str]:
        """Return the keys that are claimed, by any process."""
        ...


class StoreFlight:
    """Claims in a store, and the tasks of this process that wait for claims to end.

    A claim lasts `lease` seconds of the event loop unless it is renewed. `watch` calls `check` and `ended` as long as
    there are `keys`, and then returns; it is None where no other process makes claims, so that none lapses.
    """

    def __init__(self, backend: ClaimBackend, lease: float, watch: "Watch | None" = None) -> None:
        self._backend = backend
        self._lease = lease
        self._watch = watch
        self._held: dict[str, str] = {}
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._unseen: set[str] = set()
        self._order = asyncio.Lock()
        self._tasks: dict[str, asyncio.Task[object]] = {}
        self._is_closed = False

    @property
    def keys(self) -> Collection[str]:
        """The keys that tasks wait for."""
        return tuple(self._waiting)

    @asynccontextmanager
    async def claim(self, keys: Iterable[str]) -> AsyncGenerator[frozenset[str]]:
        """Claim keys until the end of the block; see `ReportStore.claim`."""
        self._check_open()
        wanted, owner = tuple(dict.fromkeys(keys)), uuid4().hex
        acquiring = self._start(owner, self._acquire(wanted, owner))
        # A caller that is cancelled meanwhile hears no error, and asyncio would log it as lost.
        acquiring.add_done_callback(lambda task: task.cancelled() or task.exception())
        try:
            yield await asyncio.shield(acquiring)
        finally:
            # Nothing is awaited here, so that no cancellation can come between.
            if not self._is_closed:
                _ = self._start(f"end of {owner}", self._release(wanted, owner))

    async def wait(self, key: str) -> None:
        """Wait until a key is free."""
        self._check_open()
        end = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, set()).add(end)
        self._unseen.add(key)
        self._keep_running("look", self._look)
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
        self.ended(set(keys).difference(await self._backend.held(keys)))

    async def answer(self, keys: Iterable[str], putting: Awaitable[object]) -> None:
        """Store the answers of keys, which ends all claims on them; so ours need no release any more."""
        held = {key: self._held[key] for key in keys if key in self._held}
        await putting
        for key, owner in held.items():
            if self._held.get(key) == owner:
                del self._held[key]
        self.ended(keys)

    def ended(self, keys: Iterable[str]) -> None:
        """Wake the tasks that wait for these keys."""
        for key in keys:
            for end in self._waiting.get(key, ()):
                if not end.done():
                    end.set_result(None)

    async def aclose(self) -> None:
        """Raise `ClosedError` in all waiting tasks, and release all claims."""
        self._is_closed = True
        self._fail(ClosedError("the store was closed while a caller was waiting for another's answer"))
        for name in ("look", "watch", "renew"):
            if task := self._tasks.get(name):
                task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks.values())
        await self._give_up(list(self._held))

    def _start(self, name: str, work: Coroutine[object, object, T]) -> "asyncio.Task[T]":
        task = asyncio.create_task(work)
        self._tasks[name] = task
        task.add_done_callback(lambda _: self._tasks.pop(name) if self._tasks.get(name) is task else None)
        return task

    def _keep_running(self, name: str, work: Callable[[], Coroutine[object, object, None]]) -> None:
        if name not in self._tasks or self._tasks[name].done():
            _ = self._start(name, work())

    def _check_open(self) -> None:
        if self._is_closed:
            raise ClosedError("the store is closed")

    async def _acquire(self, keys: Collection[str], owner: str) -> frozenset[str]:
        async with self._order:
            mine = frozenset(await self._backend.acquire(keys, owner))
            self._held.update(dict.fromkeys(mine, owner))
        if mine and self._watch is not None:
            self._keep_running("renew", self._renew)
        return mine

    async def _release(self, keys: Collection[str], owner: str) -> None:
        async with self._order:
            await self._give_up([key for key in keys if self._held.get(key) == owner])

    async def _give_up(self, keys: Collection[str]) -> None:
        if not keys:
            return
        try:
            await self._backend.release({key: self._held[key] for key in keys})
        except FathomError as error:
            _log.warning("%d claims could not be released and will lapse: %s", len(keys), error)
        for key in keys:
            self._held.pop(key, None)
        self.ended(keys)

    async def _renew(self) -> None:
        while self._held:
            await asyncio.sleep(self._lease / _RENEWALS)
            async with self._order:
                try:
                    await self._backend.renew(dict(self._held))
                except FathomError as error:
                    _log.warning(
                        "%d claims could not be renewed, so others may send the same requests: %s",
                        len(self._held),
                        error,
                    )

    def _fail(self, error: Exception) -> None:
        for end in [end for waiting in self._waiting.values() for end in waiting if not end.done()]:
            end.set_exception(error)

    async def _look(self) -> None:
        """Check the keys that tasks began to wait for, in batches."""
        try:
            while self._unseen:
                keys, self._unseen = self._unseen, set()
                held = await self._backend.held(keys)
                self.ended(keys.difference(held))
                if held and self._watch is not None:
                    self._keep_running("watch", partial(self._run, self._watch))
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            self._fail(error)

    async def _run(self, watch: "Watch") -> None:
        try:
            while self._waiting:
                await watch(self)
        except Exception as error:  # noqa: BLE001 - the same
            self._fail(error)


Watch = Callable[[StoreFlight], Awaitable[None]]


def poll(every: float) -> Watch:
    """Return a watch that checks every so many seconds of the event loop."""

    async def watch(flight: StoreFlight) -> None:
        while flight.keys:
            await asyncio.sleep(every)
            await flight.check()

    return watch


class FlightStore(ReportStore):
    """A store that leaves its claims to a `StoreFlight`."""

    _flight: StoreFlight

    def claim(self, keys: Iterable[str]) -> AbstractAsyncContextManager[frozenset[str]]:
        return self._flight.claim(keys)

    async def wait(self, key: str) -> None:
        await self._flight.wait(key)
