"""Those who wait until keys are no longer claimed; one task watches for all of them."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable

from fathom_async.errors import ClosedError

Held = Callable[[Collection[str]], Awaitable[Collection[str]]]
"""Tells which of some keys are claimed."""


class Waiters:
    """Lets any number of tasks wait, and watches while any does.

    Args:
        held: Tells which keys are claimed, by whichever process.
        watch: Calls `check` and `ended` as long as there are `keys`, and then returns. None where nobody else makes
            claims.
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
        """The keys that anybody waits for."""
        return tuple(self._waiting)

    async def wait(self, key: str) -> None:
        """Wait until a key is not claimed."""
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
        """Wake those whose keys are not claimed."""
        keys = self.keys
        self.ended(set(keys).difference(await self._held(keys)))

    def ended(self, keys: Iterable[str]) -> None:
        """Wake those who wait for one of the keys."""
        for key in keys:
            for end in self._waiting.get(key, ()):
                if not end.done():
                    end.set_result(None)

    def fail(self, error: Exception) -> None:
        """Let all waiting fail."""
        for end in [end for waiting in self._waiting.values() for end in waiting if not end.done()]:
            end.set_exception(error)

    async def aclose(self) -> None:
        """Turn away those who wait."""
        self.fail(
            ClosedError("the store was closed while a caller was waiting for an answer of somebody else")
        )
        tasks = [task for task in (self._looker, self._watcher) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> None:
        """Look at what somebody began to wait for; what gathers meanwhile is one look."""
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
    """Return a watch that looks every so many seconds of the event loop."""

    async def watch(waiters: Waiters) -> None:
        while waiters.keys:
            await asyncio.sleep(every)
            await waiters.check()

    return watch
