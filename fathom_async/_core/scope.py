"""The lifetime of a session: its tasks, sleepers, shared work and resources."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterable
from contextlib import AsyncExitStack
from functools import partial
from typing import Protocol, TypeVar, cast

from attrs import define, field

from fathom_async._util.clock import Clock
from fathom_async.errors import ClosedError, FathomError

T = TypeVar("T")

_PARTING_SECONDS = 1.0
"""Real seconds for tasks to end by themselves once the scope is shut."""


class Closable(Protocol):
    """Something that has to be closed."""

    async def aclose(self) -> None:
        """Close it."""


ClosableT = TypeVar("ClosableT", bound=Closable)


async def close_all(things: Iterable[Closable]) -> None:
    """Close everything in reverse order, whatever fails."""
    async with AsyncExitStack() as stack:
        for thing in things:
            stack.push_async_callback(thing.aclose)


@define
class _Shared:
    work: asyncio.Task[object]
    waiting: int = 0


@define(eq=False, repr=False)
class Scope:
    """Tasks, sleepers and resources that end together; used from one event loop.

    It closes in two steps, `shut` and `aclose`, so that its owner can abort in between what the tasks wait for.

    `is_shut` says that nothing may begin any more.
    """

    _clock: Clock
    is_shut: bool = field(default=False, init=False)
    _sleepers: set[asyncio.Future[None]] = field(init=False, factory=set[asyncio.Future[None]])
    _tasks: set[asyncio.Task[object]] = field(init=False, factory=set[asyncio.Task[object]])
    _resources: dict[Hashable, Closable] = field(init=False, factory=dict[Hashable, Closable])
    _shared: dict[Hashable, _Shared] = field(init=False, factory=dict[Hashable, _Shared])

    def spawn(self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """Start a task; closing the scope cancels it and waits for it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def resource(self, key: Hashable, make: Callable[[], ClosableT]) -> ClosableT:
        """Return the resource of a key; the first call makes it, and it is closed with the scope."""
        if self.is_shut:
            raise ClosedError("the client is closed")
        if key not in self._resources:
            self._resources[key] = make()
        return cast("ClosableT", self._resources[key])

    def is_running(self, key: Hashable) -> bool:
        """Whether shared work of this key is under way."""
        return key in self._shared

    async def share(
        self,
        key: Hashable,
        work: Callable[[], Coroutine[object, object, T]],
        leaving: "asyncio.Future[FathomError] | None" = None,
    ) -> T:
        """Return the result of the work under way for this key; start it if there is none.

        The work goes on while anyone waits for it: a caller who is cancelled, or leaves with an error of its own,
        does not disturb the others, and the last one cancels the work.
        """
        shared = self._shared.get(key)
        if shared is None:
            shared = self._shared[key] = _Shared(self.spawn(work()))
            shared.work.add_done_callback(lambda _: self._unshare(key, shared))
        shared.waiting += 1
        try:
            ends = (shared.work,) if leaving is None else (shared.work, leaving)
            # This does not cancel the work with its waiter.
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if leaving is not None and not shared.work.done():
                raise leaving.result()
            if shared.work.cancelled():
                raise ClosedError("the client was closed while this request was in flight")
            return cast("T", shared.work.result())
        finally:
            shared.waiting -= 1
            if not shared.waiting and not shared.work.done():
                self._unshare(key, shared)  # the next caller starts anew
                shared.work.cancel()

    def now(self) -> float:
        """Return the time on the scope's clock."""
        return self._clock.now()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the scope's clock; if the scope is shut, that raises `ClosedError`."""
        if seconds <= 0:
            return
        waking = asyncio.get_running_loop().create_future()
        timer = self._clock.call_at(self._clock.now() + seconds, partial(_wake, waking))
        self._sleepers.add(waking)
        try:
            await waking
        finally:
            timer.cancel()
            self._sleepers.discard(waking)

    def shut(self) -> None:
        """Let nothing begin any more, and fail all sleepers with `ClosedError`."""
        self.is_shut = True
        for sleeper in self._sleepers:
            if not sleeper.done():
                sleeper.set_exception(ClosedError("the client was closed while this request was waiting"))

    async def aclose(self) -> None:
        """Wait for the tasks, cancel those that do not end by themselves, and close the resources."""
        self.shut()
        try:
            if self._tasks:
                _, stuck = await asyncio.wait(self._tasks, timeout=_PARTING_SECONDS)
                for task in stuck:
                    task.cancel()
                await asyncio.gather(*stuck, return_exceptions=True)
        finally:
            await close_all(self._resources.values())

    def _forget(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved, so that asyncio does not log it when no caller is left

    def _unshare(self, key: Hashable, shared: _Shared) -> None:
        if self._shared.get(key) is shared:
            del self._shared[key]


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
