"""What lives as long as a session: its tasks, those who sleep, and what was opened for it."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterable
from contextlib import AsyncExitStack
from functools import partial
from typing import Protocol, TypeVar, cast

from fathom_async._util.clock import Clock
from fathom_async.errors import ClosedError

T = TypeVar("T")

_PARTING_SECONDS = 1.0
"""Real seconds for tasks to notice that the scope was closed."""


class Closable(Protocol):
    """Something that has to be closed."""

    async def aclose(self) -> None:
        """Let go of it."""


ClosableT = TypeVar("ClosableT", bound=Closable)


async def close_all(things: Iterable[Closable]) -> None:
    """Close everything, the last opened first, whatever fails."""
    async with AsyncExitStack() as stack:
        for thing in things:
            stack.push_async_callback(thing.aclose)


class Scope:
    """Tasks, sleepers and resources that end together; used from one event loop.

    It is closed in two steps, so that its owner can break what the tasks wait for in between: `shut`, then `aclose`.

    Args:
        clock: Where time comes from.

    Attributes:
        is_shut: Whether nothing may begin any more.
    """

    def __init__(self, clock: Clock) -> None:
        self.is_shut: bool = False
        self._clock = clock
        self._sleepers: set[asyncio.Future[None]] = set()
        self._tasks: set[asyncio.Task[object]] = set()
        self._resources: dict[Hashable, Closable] = {}

    def spawn(self, work: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """Start a task that is cancelled, and waited for, when the scope is closed."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def resource(self, key: Hashable, make: Callable[[], ClosableT]) -> ClosableT:
        """Return the resource of a key, made by the first who asks and closed with the scope.

        Raises:
            ClosedError: The scope is shut.
        """
        if self.is_shut:
            raise ClosedError("the client is closed")
        if key not in self._resources:
            self._resources[key] = make()
        return cast("ClosableT", self._resources[key])

    def now(self) -> float:
        """Return the seconds that the scope's clock shows."""
        return self._clock.now()

    async def sleep(self, seconds: float) -> None:
        """Sleep on the scope's clock.

        Raises:
            ClosedError: The scope was shut.
        """
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
        """Let nothing begin any more, and wake those who sleep with `ClosedError`."""
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
            task.exception()  # its failure is nobody's business once nobody waits for it


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
