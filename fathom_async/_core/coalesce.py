"""Identical requests under way at the same time are one request."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import TypeVar, cast

from attrs import define

from fathom_async.errors import ClosedError

T = TypeVar("T")


@define
class _Shared:
    work: asyncio.Task[object]
    waiting: int = 0


class Coalescer:
    """Lets those who ask for the same wait for one piece of work.

    The work goes on as long as anyone waits for it: a caller that is cancelled leaves the others theirs, and the
    last one takes the work along.

    Args:
        start: Starts a task that is cancelled, at the latest, with the session.
    """

    def __init__(self, start: Callable[[Coroutine[object, object, object]], asyncio.Task[object]]) -> None:
        self._start = start
        self._running: dict[Hashable, _Shared] = {}

    def is_running(self, key: Hashable) -> bool:
        """Whether such work is under way."""
        return key in self._running

    async def share(self, key: Hashable, work: Callable[[], Coroutine[object, object, T]]) -> T:
        """Return what the work under way for this key brings; start it if there is none.

        Raises:
            ClosedError: The session was closed, and the work with it.
        """
        shared = self._running.get(key)
        if shared is None:
            shared = self._running[key] = _Shared(self._start(work()))
            shared.work.add_done_callback(lambda _: self._forget(key, shared))
        shared.waiting += 1
        try:
            await asyncio.wait((shared.work,))  # which leaves the work alone when its waiter is cancelled
            if shared.work.cancelled():
                raise ClosedError("the client was closed while this request was on its way")
            return cast("T", shared.work.result())
        finally:
            shared.waiting -= 1
            if not shared.waiting and not shared.work.done():
                self._forget(key, shared)  # whoever comes next starts anew
                shared.work.cancel()

    def _forget(self, key: Hashable, shared: _Shared) -> None:
        if self._running.get(key) is shared:
            del self._running[key]
