"""Wait for the results of taskiq tasks, and send lost tasks again.

`fathom_async.integrations._dispatch` says which batches to send when. `Results` polls each task the less often the
longer it has been running: polling thousands all the time would overload the result backend.
A task is **lost** if it has no result long after a later task got one: its result expired, the broker dropped its
message, or Redis restarted empty. `Results` sends it again, which repeats no answered request: the answers are in the
store. While no results arrive, `Results` sends empty tasks, whose results show that a worker took the earlier ones.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from heapq import heappop, heappush
from typing import Any, Final, Generic

import attrs
from taskiq import AsyncTaskiqTask, TaskiqResult
from taskiq.exceptions import ResultBackendError, SendTaskError

from fathom_async._bulk.results import Outcome
from fathom_async._core.codec.rows import RowT
from fathom_async._util.tasks import gather_all
from fathom_async.errors import FathomError
from fathom_async.integrations._batch_json import read_outcomes
from fathom_async.integrations._dispatch import Dispatch
from fathom_async.integrations.workers import Batch

_log = logging.getLogger("fathom_async")

Task = AsyncTaskiqTask[list[Any]]
Send = Callable[[Batch[RowT]], Awaitable[Task]]

POLL_SECONDS: Final = 0.1
_LONGEST_POLL: Final = 2.0
_POLLED: Final = 20
_MOST_TIMES: Final = 3


@attrs.define(eq=False)
class _Sent:
    """A task without a result, of a batch or empty, and when a later task was first seen to have a result."""

    place: int | None
    task: Task
    at: float
    times: int = 1
    overtaken: float | None = None


class Results(Generic[RowT]):
    """Sends the batches of one job and waits for their outcomes.

    After `nudge` seconds without a result, it sends an empty task. After `lost_after` seconds, an overtaken task
    counts as lost, and the batches of an unreadable result backend fail.
    """

    def __init__(
        self,
        send: Send[RowT],
        todo: Sequence[Batch[RowT]],
        dispatch: Dispatch[RowT],
        *,
        nudge: float,
        lost_after: float,
    ) -> None:
        self._send = send
        self._todo = todo
        self._dispatch = dispatch
        self._nudge = nudge
        self._lost_after = lost_after
        self._now = asyncio.get_running_loop().time
        self._number = 0
        self._last_done = 0
        self._waiting: dict[int, _Sent] = {}
        self._polls: list[tuple[float, int]] = []
        self._unread_since: float | None = None

    async def outcomes(self) -> Sequence[Sequence[Outcome[RowT]]]:
        quiet_since = self._now()
        while not self._dispatch.is_over:
            for place in self._dispatch.due(self._now()):
                await self._start(place)
            if await self._look():
                quiet_since = self._now()
                continue
            if self._waiting and self._now() - quiet_since >= self._nudge:
                await self._start(None)
                quiet_since = self._now()
            await asyncio.sleep(POLL_SECONDS)
        return self._dispatch.outcomes

    async def _look(self) -> bool:
        """Poll the tasks that are due; return whether any has a result."""
        now, due = self._now(), list[int]()
        while self._polls and self._polls[0][0] <= now and len(due) < _POLLED:
            due.append(heappop(self._polls)[1])
        results = await gather_all([self._read(self._waiting[number].task) for number in due])
        for number, result in zip(due, results, strict=True):
            sent = self._waiting[number]
            if result is not None:
                self._last_done = max(self._last_done, number)
                self._settle(number, result)
                continue
            if number < self._last_done and sent.overtaken is None:
                sent.overtaken = now
            if sent.overtaken is not None and now - sent.overtaken >= self._lost_after:
                await self._send_again(number, sent)
            elif self._unread_since is not None and now - self._unread_since >= self._lost_after:
                self._settle(number, FathomError("cannot read the results of the tasks"))
            else:
                self._poll_later(number, sent)
        return any(result is not None for result in results)

    def _settle(self, number: int, result: TaskiqResult[list[Any]] | FathomError) -> None:
        place = self._waiting.pop(number).place
        if place is not None:
            self._dispatch.settle(place, _outcomes(self._todo[place], result), self._now())

    async def _read(self, task: Task) -> TaskiqResult[list[Any]] | None:
        """Return the result of a task; None if there is none yet, or the backend cannot be read now."""
        try:
            result = await task.get_result() if await task.is_ready() else None
        except ResultBackendError as error:
            if self._unread_since is None:
                self._unread_since = self._now()
                _log.warning("cannot read the results of tasks, will retry: %s", error)
            return None
        self._unread_since = None
        return result

    async def _start(self, place: int | None) -> None:
        """Send a batch, or an empty task: once it is done, a worker has taken every task sent before it."""
        try:
            task = await self._send(Batch((), ()) if place is None else self._todo[place])
        except SendTaskError as error:
            if place is not None:
                self._dispatch.put_back(
                    place, FathomError(f"the broker takes no tasks: {error!r}"), self._now()
                )
            return
        self._wait_for(_Sent(place, task, self._now()))

    async def _send_again(self, number: int, sent: _Sent) -> None:
        """Append a lost batch to the queue again, or let it fail if it was lost too often."""
        if sent.place is None or sent.times == _MOST_TIMES:
            self._settle(number, FathomError(f"the engine lost the task or its result {sent.times} times"))
            return
        try:
            task = await self._send(self._todo[sent.place])
        except SendTaskError:
            self._poll_later(number, sent)  # it stays lost until it can be sent
            return
        _log.warning("a task has no result although later ones have: sending it again")
        del self._waiting[number]
        self._wait_for(_Sent(sent.place, task, self._now(), sent.times + 1))

    def _wait_for(self, sent: _Sent) -> None:
        self._number += 1
        self._waiting[self._number] = sent
        self._poll_later(self._number, sent)

    def _poll_later(self, number: int, sent: _Sent) -> None:
        now = self._now()
        pause = min(max((now - sent.at) / 20, POLL_SECONDS), _LONGEST_POLL)
        heappush(self._polls, (now + pause, number))


def _outcomes(batch: Batch[RowT], result: TaskiqResult[list[Any]] | FathomError) -> Sequence[Outcome[RowT]]:
    if isinstance(result, TaskiqResult):
        if not result.is_err:
            return read_outcomes(batch, result.return_value)
        error = result.error
        result = error if isinstance(error, FathomError) else FathomError(f"the task failed: {error!r}")
    return batch.failed(result)
