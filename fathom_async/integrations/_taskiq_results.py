"""Wait for the results of taskiq tasks, and send lost tasks again.

`Results` polls only the oldest tasks, which engines run first: polling thousands would overload the result backend.
A task is **lost** if it has no result long after a later task got one: its result expired, the broker dropped its
message, or Redis restarted empty. `Results` sends it again, which repeats no answered request: the answers are in the
store. While no results arrive, `Results` sends empty tasks, whose results show that a worker took the earlier ones.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Generic

import attrs
from taskiq import AsyncTaskiqTask, TaskiqResult
from taskiq.exceptions import ResultBackendError, SendTaskError

from fathom_async._bulk.results import Outcome
from fathom_async._core.codec.rows import RowT
from fathom_async.errors import FathomError
from fathom_async.integrations._batch_json import read_outcomes
from fathom_async.integrations.workers import Batch

_log = logging.getLogger("fathom_async")

Task = AsyncTaskiqTask[list[Any]]
Send = Callable[[Batch[RowT]], Awaitable[Task]]

POLL_SECONDS: Final = 0.1
_LOOKED_FOR: Final = 20
_PROBES: Final = 10
_MOST_TIMES: Final = 3


@attrs.define(eq=False)
class _Sent(Generic[RowT]):
    """A batch that was sent and has no result yet, and when a later task was first seen to have one."""

    place: int
    batch: Batch[RowT]
    task: Task
    times: int = 1
    overtaken: float | None = None


class Results(Generic[RowT]):
    """Sends batches and waits for their outcomes.

    After `nudge` seconds without a result, it sends an empty task. After `lost_after` seconds, an overtaken task
    counts as lost, and the batches of an unreadable result backend fail.
    """

    def __init__(self, send: Send[RowT], *, nudge: float, lost_after: float) -> None:
        self._send = send
        self._nudge = nudge
        self._lost_after = lost_after
        self._now = asyncio.get_running_loop().time
        self._waiting: dict[str, _Sent[RowT]] = {}
        self._probes: deque[tuple[Task, list[_Sent[RowT]]]] = deque(maxlen=_PROBES)
        self._unread_since: float | None = None

    async def of(self, todo: Sequence[Batch[RowT]]) -> Sequence[Sequence[Outcome[RowT]]]:
        for place, batch in enumerate(todo):
            task = await self._send(batch)
            self._waiting[task.task_id] = _Sent(place, batch, task)
        found: dict[int, Sequence[Outcome[RowT]]] = {}
        quiet_since = self._now()
        while self._waiting:
            if heard := await self._look():
                found |= heard
                quiet_since = self._now()
                continue
            if self._now() - quiet_since >= self._nudge:
                await self._probe()
                quiet_since = self._now()
            await asyncio.sleep(POLL_SECONDS)
        return [found[place] for place in range(len(todo))]

    async def _look(self) -> dict[int, Sequence[Outcome[RowT]]]:
        """Poll once; return the outcomes of finished batches, by index."""
        found: dict[int, Sequence[Outcome[RowT]]] = {}
        for name in list(self._waiting)[:_LOOKED_FOR]:
            sent = self._waiting[name]
            if (result := await self._read(sent.task)) is not None:
                self._overtake(name)
                found[sent.place] = _outcomes(sent.batch, result)
            elif sent.overtaken is not None and self._now() - sent.overtaken >= self._lost_after:
                if await self._send_again(sent):
                    continue
                found[sent.place] = sent.batch.failed(
                    FathomError(f"the engine lost the task or its result {sent.times} times")
                )
            elif self._unread_since is not None and self._now() - self._unread_since >= self._lost_after:
                found[sent.place] = sent.batch.failed(FathomError("cannot read the results of the tasks"))
            else:
                continue
            del self._waiting[name]
        for probe in list(self._probes):
            if await self._read(probe[0]) is not None:
                self._note(probe[1])
                self._probes.remove(probe)
        return found

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

    async def _probe(self) -> None:
        """Send an empty task: once it is done, a worker has taken every task sent before it."""
        try:
            task = await self._send(Batch((), ()))
        except SendTaskError:
            return  # the next probe will do
        self._probes.append((task, list(self._waiting.values())))

    async def _send_again(self, sent: _Sent[RowT]) -> bool:
        """Append a lost batch to the queue again; return False if it was lost too often."""
        if sent.times == _MOST_TIMES:
            return False
        try:
            task = await self._send(sent.batch)
        except SendTaskError:
            return True  # it stays lost until it can be sent
        _log.warning("a task has no result although later ones have: sending it again")
        del self._waiting[sent.task.task_id]
        self._waiting[task.task_id] = attrs.evolve(sent, task=task, times=sent.times + 1, overtaken=None)
        return True

    def _overtake(self, name: str) -> None:
        """Mark the tasks sent before this one, which has its result, as overtaken."""
        earlier: list[_Sent[RowT]] = []
        for other, sent in self._waiting.items():
            if other == name:
                break
            earlier.append(sent)
        self._note(earlier)

    def _note(self, overtaken: Sequence[_Sent[RowT]]) -> None:
        for sent in overtaken:
            if sent.overtaken is None:
                sent.overtaken = self._now()


def _outcomes(batch: Batch[RowT], result: TaskiqResult[list[Any]]) -> Sequence[Outcome[RowT]]:
    if not result.is_err:
        return read_outcomes(batch, result.return_value)
    error = result.error
    return batch.failed(
        error if isinstance(error, FathomError) else FathomError(f"the task failed: {error!r}")
    )
