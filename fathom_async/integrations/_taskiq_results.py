"""Wait for the results of taskiq tasks, and notice which of them are lost.

A task is polled the less often the longer it has been running, and few at a time: polling thousands all the time
would overload the result backend.

1. A task is **lost** if it has no result long after a later task got one: its result expired, or the broker dropped
   its message.
2. A task that was sent before results became unreadable is lost if it has none as soon as they can be read again:
   Redis may have restarted empty. If it did not, the task runs twice, which repeats no answered request: the answers
   are in the store.
3. While no results arrive, empty tasks are sent, whose results show that a worker took the earlier ones.
4. A worker that cannot write a result, as while Redis is full, tries again instead of losing it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from taskiq import AsyncTaskiqTask, TaskiqResult
from taskiq.exceptions import ResultBackendError

from fathom_async._util.text import reason
from fathom_async.errors import FathomError
from fathom_async.integrations.batches import Batch, Json

_log = logging.getLogger("fathom_async")

Task = AsyncTaskiqTask[list[Any]]

WriteResult = Callable[[str, TaskiqResult[Any]], Awaitable[None]]

POLL_SECONDS: Final = 0.1
_LONGEST_POLL: Final = 2.0
_WRITE_AGAIN: Final = 1.0
_POLLED: Final = 20
"""Tasks polled at once."""


def written_again(write: WriteResult, patience: float, stopping: asyncio.Event) -> WriteResult:
    """Return a `write` that is tried again (rule 4), until `patience` seconds are over or the worker stops."""
    now, is_told = asyncio.get_running_loop().time, False

    async def write_again(task_id: str, result: TaskiqResult[Any]) -> None:
        nonlocal is_told
        give_up = now() + patience
        while True:
            try:
                await write(task_id, result)
            except Exception as error:  # of any backend
                if stopping.is_set() or now() >= give_up:
                    raise
                if not is_told:
                    _log.warning("cannot write the result of a task, will retry: %s", error)
                is_told = True
            else:
                is_told = False
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), _WRITE_AGAIN)

    return write_again


class LostTaskError(Exception):
    """The engine lost a task, or its result."""


class Results:
    """Sends tasks and waits for their results, in one event loop.

    After `nudge` seconds without a result, it sends an empty task. After `lost_after` seconds, an overtaken task
    counts as lost, and so do all while results cannot be read.
    """

    def __init__(self, send: Callable[[Json], Awaitable[Task]], *, nudge: float, lost_after: float) -> None:
        self._send = send
        self._nudge = nudge
        self._lost_after = lost_after
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._now = self.loop.time
        self._polling = asyncio.Semaphore(_POLLED)
        self._number = 0
        self._waiting = 0
        self._last_done = 0
        self._quiet_since = self._now()
        self._away_since: float | None = None
        self._outages = 0

    async def run(self, task: Json) -> Sequence[Json]:
        """Send a task, and return the answer of the worker.

        Raises:
            LostTaskError: It is lost.
            SendTaskError: The broker takes no tasks.
            FathomError: It failed.
        """
        if not self._waiting:
            self._quiet_since = self._now()
        self._waiting += 1
        try:
            return await self._result(await self._send(task))
        finally:
            self._waiting -= 1

    async def _result(self, sent: Task) -> Sequence[Json]:
        self._number += 1
        number, outages, sent_at = self._number, self._outages, self._now()
        overtaken: float | None = None
        empty: tuple[int, Task] | None = None
        while True:
            await asyncio.sleep(min(max((self._now() - sent_at) / 20, POLL_SECONDS), _LONGEST_POLL))
            result = await self._read(number, sent)
            if result is not None:
                return _answer(result)
            if empty is not None and await self._read(*empty) is not None:
                empty = None
            now = self._now()
            if self._away_since is not None:
                if now - self._away_since >= self._lost_after:
                    raise LostTaskError("cannot read the results of the tasks")
                continue
            if outages != self._outages:
                raise LostTaskError("no result after an outage of the result backend")  # rule 2
            if number < self._last_done:
                overtaken = now if overtaken is None else overtaken
                if now - overtaken >= self._lost_after:
                    raise LostTaskError("no result although later tasks have theirs")  # rule 1
            if empty is None and now - self._quiet_since >= self._nudge:  # rule 3
                self._quiet_since = now
                self._number += 1
                empty = self._number, await self._send(Batch((), ()).to_json())

    async def _read(self, number: int, sent: Task) -> TaskiqResult[list[Any]] | None:
        """Return the result of a task; None if there is none yet, or the backend cannot be read now."""
        try:
            async with self._polling:
                result = await sent.get_result() if await sent.is_ready() else None
        except ResultBackendError as error:
            if self._away_since is None:
                self._away_since = self._now()
                _log.warning("cannot read the results of tasks, will retry: %s", error)
            return None
        if self._away_since is not None:
            self._away_since = None
            self._outages += 1
        if result is not None:
            self._last_done, self._quiet_since = max(self._last_done, number), self._now()
        return result


def _answer(result: TaskiqResult[list[Any]]) -> Sequence[Json]:
    if not result.is_err:
        return result.return_value
    error = result.error
    raise error if isinstance(error, FathomError) else RuntimeError(f"on the worker: {reason(error)}")
