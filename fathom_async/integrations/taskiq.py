"""Bulk reports on taskiq workers: ``await FathomTasks(broker).outcomes(queries)``.

Needs the extra ``fathom_async[taskiq]``, which installs the broker taskiq-redis. Each task sends one fused request.
Messages are JSON: query parameters go to the workers, rows or errors come back. A worker runs many tasks at once in
one event loop, on one client for each account.

Create the `FathomTasks` in the module of the broker, which the workers import too.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, cast

try:
    from taskiq import AsyncBroker, AsyncTaskiqTask, TaskiqEvents, TaskiqState
except ImportError as _error:
    raise ImportError('taskiq is missing: pip install "fathom_async[taskiq]"') from _error

from fathom_async._ratelimit.plan import Priority, RatePlan
from fathom_async._util import checks
from fathom_async.errors import ArgumentError
from fathom_async.integrations._dispatch import AT_ONCE, PATIENCE
from fathom_async.integrations._taskiq_results import POLL_SECONDS, Results, written_again
from fathom_async.integrations.batches import Batch, Json, batches, interleaved
from fathom_async.integrations.fleet import Fleet
from fathom_async.integrations.stopping import when_told_to_stop
from fathom_async.integrations.workers import (
    Connect,
    OpenStore,
    WorkerClients,
    client_from_env,
    store_from_env,
)
from fathom_async.store import CachePolicy

__all__ = ["Batch", "FathomTasks", "batches", "interleaved"]


class FathomTasks(Fleet):
    """A taskiq task that runs a batch of queries; runs batches on taskiq workers.

    Args:
        broker: Any taskiq broker with a result backend.
        connect: Makes the client of an account in a worker; by default from the worker's ``FATHOM_API_TOKEN``,
            ``FATHOM_BUDGET`` and what else `FathomClient.from_env` reads.
        store: Opens the store that all workers share; by default the one at the worker's ``FATHOM_STORE``.
        keep: Number of idle clients to keep open.
        keeping: How long stored answers stay fresh; see `WorkerClients`.
        priority: Order among waiting requests; see `WorkerClients`.
        name: The task's name.
        nudge: Seconds without a result after which to send an empty task: taskiq-redis reclaims the tasks of dead
            workers only when a new message arrives.
        lost_after: Seconds after which to send a task again that has no result although later ones have, or while no
            results can be read. If it is not lost, it runs twice, which costs no request.
        at_once: Most unfinished tasks of one account; see `Fleet`.
        patience: Seconds for which to send tasks again that cannot run; see `Fleet`.
        plan: The rate limits of each account, for estimates; see `Fleet`.
    """

    def __init__(
        self,
        broker: AsyncBroker,
        *,
        connect: Connect = client_from_env,
        store: OpenStore = store_from_env,
        keep: int = 10,
        keeping: CachePolicy | None = None,
        priority: Priority | None = None,
        name: str = "fathom_async.reports",
        nudge: float = 30.0,
        lost_after: float = 180.0,
        at_once: int = AT_ONCE,
        patience: float = PATIENCE,
        plan: RatePlan | str | None = None,
    ) -> None:
        super().__init__(self._sent_and_read, at_once=at_once, patience=patience, plan=plan)
        self._connect = connect
        self._store = store
        self._keep = keep
        self._keeping = keeping
        self._priority = priority
        self._nudge = checks.seconds("nudge", nudge, least=POLL_SECONDS)
        self._lost_after = checks.seconds("lost_after", lost_after, least=POLL_SECONDS)
        self._results: Results | None = None
        self._clients: WorkerClients | None = None
        self._broker = broker
        self._stopping = AsyncExitStack()
        self._draining: asyncio.Future[None] | None = None

        async def ask(batch: dict[str, Any]) -> list[Any]:
            return await self._answer(batch)  # taskiq takes no methods

        self._task = broker.register_task(ask, task_name=name)
        broker.add_event_handler(TaskiqEvents.WORKER_STARTUP, self._open)
        broker.add_event_handler(TaskiqEvents.WORKER_SHUTDOWN, self._close)

    async def _sent_and_read(self, task: Json) -> Sequence[Json]:
        loop = asyncio.get_running_loop()
        if self._results is None or self._results.loop is not loop:
            self._results = Results(self._start, nudge=self._nudge, lost_after=self._lost_after)
        return await self._results.run(task)

    async def _start(self, task: Json) -> AsyncTaskiqTask[list[Any]]:
        return await self._task.kiq(dict(task))

    async def _answer(self, task: Json) -> list[Json]:
        if self._clients is None:
            raise ArgumentError("not a started worker: run this task on a taskiq worker")
        return list(await self._clients.answer(task))

    async def _open(self, state: TaskiqState) -> None:
        del state
        self._clients = clients = WorkerClients(
            self._connect, self._store, keep=self._keep, keeping=self._keeping, priority=self._priority
        )
        self._stopping.push_async_callback(clients.aclose)
        stopping, backend = (
            asyncio.Event(),
            cast("Any", self._broker.result_backend),
        )  # its methods are no fields
        self._stopping.callback(setattr, backend, "set_result", backend.set_result)
        backend.set_result = written_again(backend.set_result, self._patience, stopping)

        def stop() -> None:
            stopping.set()
            self._draining = asyncio.ensure_future(clients.drain())

        # taskiq waits for running tasks before it calls `_close`, and these wait for the limits of their accounts.
        self._stopping.enter_context(when_told_to_stop(stop))

    async def _close(self, state: TaskiqState) -> None:
        del state
        self._clients = None
        await self._stopping.aclose()
