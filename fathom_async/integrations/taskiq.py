"""Bulk reports on taskiq workers: ``await FathomTasks(broker).outcomes(queries)``.

Needs the extra ``fathom_async[taskiq]``, which installs the broker taskiq-redis. Each task sends one fused request.
Messages are JSON: query parameters go to the workers, rows or errors come back. A worker runs many tasks at once in
one event loop, on one client for each account.

Create the `FathomTasks` in the module of the broker, which the workers import too.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

try:
    from taskiq import AsyncBroker, TaskiqEvents, TaskiqState
except ImportError as _error:
    raise ImportError('taskiq is missing: pip install "fathom_async[taskiq]"') from _error

from fathom_async._bulk.results import Outcome
from fathom_async._core.codec.rows import RowT
from fathom_async._reports.query import Query
from fathom_async._util import checks
from fathom_async.errors import ArgumentError, FathomError
from fathom_async.integrations._batch_json import batch_value, outcome_value, read_batch
from fathom_async.integrations._dispatch import AT_ONCE, HOLD, PATIENCE, Dispatch
from fathom_async.integrations._taskiq_results import POLL_SECONDS, Results
from fathom_async.integrations.workers import (
    Batch,
    Connect,
    OpenStore,
    WorkerClients,
    batches,
    client_from_env,
    in_order,
    interleaved,
    store_from_env,
)

if TYPE_CHECKING:
    from taskiq import AsyncTaskiqTask

__all__ = ["Batch", "FathomTasks", "batches", "interleaved"]


class FathomTasks:
    """A taskiq task that runs a batch of queries.

    Args:
        broker: Any taskiq broker with a result backend.
        connect: Makes the client of an account in a worker; by default from the worker's ``FATHOM_API_TOKEN``,
            ``FATHOM_BUDGET``, ``FATHOM_BASE_URL`` and ``FATHOM_PLAN``.
        store: Opens the store that all workers share; by default the one at the worker's ``FATHOM_STORE``.
        keep: Number of idle clients to keep open.
        name: The task's name.
        nudge: Seconds without a result after which to send an empty task: taskiq-redis reclaims the tasks of dead
            workers only when a new message arrives.
        lost_after: Seconds after which to send a task again that has no result although later ones have; after two
            repeats its queries fail. Set it higher than the time the broker takes to reassign a dead worker's tasks.
        at_once: Most unfinished tasks of one account, so that waiting tasks of slow accounts do not occupy workers
            that others need.
        patience: Seconds for which to send tasks again that cannot run, because the budget or the store is out of
            reach, before their errors are outcomes.
    """

    def __init__(
        self,
        broker: AsyncBroker,
        *,
        connect: Connect = client_from_env,
        store: OpenStore = store_from_env,
        keep: int = 10,
        name: str = "fathom_async.reports",
        nudge: float = 30.0,
        lost_after: float = 900.0,
        at_once: int = AT_ONCE,
        patience: float = PATIENCE,
    ) -> None:
        self._connect = connect
        self._store = store
        self._keep = keep
        self._nudge = checks.seconds("nudge", nudge, least=POLL_SECONDS)
        self._lost_after = checks.seconds("lost_after", lost_after, least=POLL_SECONDS)
        self._at_once = checks.count("at_once", at_once)
        self._patience = checks.seconds("patience", patience, least=0)
        self._clients: WorkerClients | None = None

        async def ask(batch: dict[str, Any]) -> list[dict[str, Any]]:
            return await self._ask(batch)  # taskiq takes no methods

        self._task = broker.register_task(ask, task_name=name)
        broker.add_event_handler(TaskiqEvents.WORKER_STARTUP, self._open)
        broker.add_event_handler(TaskiqEvents.WORKER_SHUTDOWN, self._close)

    async def outcomes(
        self, queries: Iterable[Query[RowT]], *, account: str = "", requests: int = 1
    ) -> Sequence[Outcome[RowT]]:
        """Run many queries on the workers; return their outcomes in order.

        A query that fails yields an outcome with its error, and so does one whose task failed or got lost. There is
        no time limit: wrap the call in `asyncio.timeout` if there may be no worker.

        Args:
            queries: `PageviewQuery`s and `EventQuery`s.
            account: Name of the account, as the workers' `connect` takes it.
            requests: Number of fused requests in a task.

        Raises:
            ArgumentError: An item is not a query.
            QueryError: The API cannot answer one of the queries.
        """
        todo = batches(queries, account=account, requests=requests)
        return in_order(chain.from_iterable(await self.outcomes_of(todo)))

    async def outcomes_of(self, todo: Sequence[Batch[RowT]]) -> Sequence[Sequence[Outcome[RowT]]]:
        """Run batches on the workers; return the outcomes of each, in order.

        Args:
            todo: Batches of one account, or of several, which take turns.
        """
        dispatch = Dispatch(todo, at_once=self._at_once, patience=self._patience)
        results = Results(self._send, todo, dispatch, nudge=self._nudge, lost_after=self._lost_after)
        return await results.outcomes()

    async def _send(self, batch: Batch[Any]) -> "AsyncTaskiqTask[list[Any]]":
        return await self._task.kiq({**batch_value(batch), "max_wait": HOLD})

    async def _ask(self, batch: dict[str, Any]) -> list[dict[str, Any]]:
        if self._clients is None:
            raise ArgumentError("not a started worker: run this task on a taskiq worker")
        if not (asked := read_batch(batch)).queries:
            return []
        try:
            outcomes = await self._clients.ask(asked, max_wait=batch.get("max_wait"))
        except FathomError as error:
            outcomes = asked.failed(error)
        return list(map(outcome_value, outcomes))

    async def _open(self, state: TaskiqState) -> None:
        del state
        self._clients = WorkerClients(self._connect, self._store, keep=self._keep)

    async def _close(self, state: TaskiqState) -> None:
        del state
        clients, self._clients = self._clients, None
        if clients is not None:
            await clients.aclose()
