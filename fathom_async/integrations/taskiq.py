"""Bulk reports on taskiq workers: ``await FathomTasks(broker).outcomes(queries)``.

Needs the extra ``fathom_async[taskiq]``, which brings taskiq-redis as a broker. Each task asks one fused request.
What travels are JSON values: the parameters of queries there, rows or errors back. A worker is one event loop with
one client, in which many tasks wait at once.

Make the `FathomTasks` in the module of the broker, which the workers import too.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

try:
    from taskiq import AsyncBroker, TaskiqEvents, TaskiqResultTimeoutError, TaskiqState
except ImportError as error:
    raise ImportError('taskiq is missing: pip install "fathom_async[taskiq]"') from error

from fathom_async import arguments
from fathom_async.bulk.outcome import Outcome
from fathom_async.codec.rows import RowT
from fathom_async.errors import ArgumentError, FathomError
from fathom_async.integrations.batch_json import batch_value, outcome_value, read_batch, read_outcomes
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
from fathom_async.reports.query import Query

if TYPE_CHECKING:
    from taskiq import AsyncTaskiqTask

__all__ = ["Batch", "FathomTasks", "batches", "interleaved"]

_POLL_SECONDS = 0.1
_NOTHING: Batch[Any] = Batch((), ())


class FathomTasks:
    """The task of a broker that asks a batch of queries.

    Args:
        broker: Any taskiq broker with a result backend.
        connect: Makes the client of an account in a worker; by default from the worker's ``FATHOM_API_TOKEN``,
            ``FATHOM_BUDGET`` and ``FATHOM_BASE_URL``.
        store: Opens the store that all workers share; by default at the worker's ``FATHOM_STORE``.
        keep: How many clients of accounts that nobody asks to keep open.
        name: The task's name.
        nudge: Seconds without a result after which an empty task is sent: taskiq-redis looks for what dead workers
            left behind only when something new comes.
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
    ) -> None:
        self._connect = connect
        self._store = store
        self._keep = keep
        self._nudge = arguments.seconds("nudge", nudge, least=_POLL_SECONDS)
        self._clients: WorkerClients | None = None

        async def ask(batch: dict[str, Any]) -> list[dict[str, Any]]:
            return await self._ask(batch)  # taskiq takes no methods

        self._task = broker.register_task(ask, task_name=name)
        broker.add_event_handler(TaskiqEvents.WORKER_STARTUP, self._open)
        broker.add_event_handler(TaskiqEvents.WORKER_SHUTDOWN, self._close)

    async def outcomes(
        self, queries: Iterable[Query[RowT]], *, account: str = "", requests: int = 1
    ) -> Sequence[Outcome[RowT]]:
        """Ask many queries by way of the workers; return the outcome of each, in the order asked.

        A query that fails is an outcome like any other, and so is one whose task failed. This waits as long as it
        takes: put a timeout around it where there may be no worker.

        Args:
            queries: `PageviewQuery`s and `EventQuery`s.
            account: Whose queries they are, by the name that the workers' `connect` knows.
            requests: How many fused requests are one task.

        Raises:
            ArgumentError: One of them is no query.
            QueryError: One of them cannot be asked.
        """
        todo = batches(queries, account=account, requests=requests)
        return in_order(chain.from_iterable(await self.outcomes_of(todo)))

    async def outcomes_of(self, todo: Sequence[Batch[RowT]]) -> Sequence[Sequence[Outcome[RowT]]]:
        """Ask batches; return the outcomes of each, in the order of the batches.

        Args:
            todo: Batches of one account, or of several, `interleaved`.
        """
        tasks = [await self._task.kiq(batch_value(batch)) for batch in todo]
        return [await self._result(batch, task) for batch, task in zip(todo, tasks, strict=True)]

    async def _result(
        self, batch: Batch[RowT], task: "AsyncTaskiqTask[list[Any]]"
    ) -> Sequence[Outcome[RowT]]:
        while True:
            try:
                result = await task.wait_result(check_interval=_POLL_SECONDS, timeout=self._nudge)
            except TaskiqResultTimeoutError:
                await self._task.kiq(batch_value(_NOTHING))
                continue
            if not result.is_err:
                return read_outcomes(batch, result.return_value)
            error = result.error
            return batch.failed(
                error if isinstance(error, FathomError) else FathomError(f"the task failed: {error!r}")
            )

    async def _ask(self, batch: dict[str, Any]) -> list[dict[str, Any]]:
        if self._clients is None:
            raise ArgumentError("this is no worker that has started")
        asked = read_batch(batch)
        return [outcome_value(outcome) for outcome in await self._clients.ask(asked)] if asked.queries else []

    async def _open(self, state: TaskiqState) -> None:
        del state
        self._clients = WorkerClients(self._connect, self._store, keep=self._keep)

    async def _close(self, state: TaskiqState) -> None:
        del state
        clients, self._clients = self._clients, None
        if clients is not None:
            await clients.aclose()
