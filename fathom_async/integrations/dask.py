"""Bulk reports on a Dask cluster: ``outcomes(client, queries)``, or a bag or delayed values for your own graph.

Needs the extra ``fathom_async[dask]``. Each task sends one fused request, on any worker that has the `FathomWorker`
plugin. Requests run in the worker's own event loop, so that all threads of a worker share one client; a thread blocks
until its request is done. Dask reruns the tasks of a killed worker.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar, cast

try:
    import distributed
    from dask.bag.core import Bag, from_delayed  # pyright: ignore[reportUnknownVariableType]
    from dask.delayed import Delayed
    from dask.delayed import delayed as lazily  # pyright: ignore[reportUnknownVariableType]
    from distributed import Client, Worker
    from distributed.diagnostics.plugin import WorkerPlugin
except ImportError as _error:
    raise ImportError('dask is missing: pip install "fathom_async[dask]"') from _error

from fathom_async._bulk.results import Outcome
from fathom_async._core.codec.rows import RowT
from fathom_async._ratelimit.plan import Priority, RatePlan
from fathom_async._reports.query import Query
from fathom_async._util.text import reason
from fathom_async.errors import ArgumentError, FathomError
from fathom_async.integrations._dispatch import AT_ONCE, PATIENCE
from fathom_async.integrations.batches import Batch, Json, batches, in_order, interleaved
from fathom_async.integrations.fleet import Fleet, OnProgress
from fathom_async.integrations.workers import (
    Connect,
    OpenStore,
    WorkerClients,
    client_from_env,
    store_from_env,
)
from fathom_async.store import CachePolicy

__all__ = [
    "Batch",
    "DaskFleet",
    "FathomWorker",
    "ask",
    "bag",
    "batches",
    "delayed",
    "in_order",
    "interleaved",
    "outcomes",
    "outcomes_of",
]

T = TypeVar("T")

_NAME = "fathom_async"

# Much of Dask has no annotations.
_delayed = cast("Callable[..., Callable[[Any], Delayed]]", lazily)
_from_delayed = cast("Callable[[Sequence[Delayed]], Bag]", from_delayed)


class FathomWorker(WorkerPlugin):
    """A plugin that gives each worker its clients; call ``client.register_plugin(FathomWorker())`` once per cluster.

    Dask sends the functions to the workers and calls them there, so that the token does not travel.

    Args:
        connect: Makes the client of an account; by default from the worker's ``FATHOM_API_TOKEN``,
            ``FATHOM_BUDGET`` and what else `FathomClient.from_env` reads.
        store: Opens the store that all workers share; by default the one at the worker's ``FATHOM_STORE``.
        keep: Number of idle clients to keep open.
        keeping: How long stored answers stay fresh; see `WorkerClients`.
        priority: Order among waiting requests; see `WorkerClients`.
        patience: Seconds for which a bag or delayed value tries again what cannot run; see `Fleet`.
    """

    name = _NAME

    def __init__(
        self,
        *,
        connect: Connect = client_from_env,
        store: OpenStore = store_from_env,
        keep: int = 10,
        keeping: CachePolicy | None = None,
        priority: Priority | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._connect = connect
        self._open_store = store
        self._keep = keep
        self._keeping = keeping
        self._priority = priority
        self._patience = patience
        self._clients: WorkerClients | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._under_way: set[Future[Any]] = set()

    async def setup(self, worker: Worker) -> None:
        """Open the clients and the store in the worker's event loop; Dask calls this."""
        del worker
        self._loop = asyncio.get_running_loop()
        self._clients = WorkerClients(
            self._connect, self._open_store, keep=self._keep, keeping=self._keeping, priority=self._priority
        )

    async def teardown(self, worker: Worker) -> None:
        """Wait for what is in flight, give the other tasks to other workers, and close; Dask calls this."""
        del worker
        clients, self._clients = self._clients, None
        if clients is not None:
            await clients.drain()
        for asked in list(self._under_way):
            asked.cancel()
        if clients is not None:
            await clients.aclose()

    def answer(self, task: Json) -> Sequence[Json]:
        """Run a task of a `Fleet`; call this in a thread of the worker."""
        return self._wait_for(lambda clients: clients.answer(task))

    def ask(self, batch: Batch[RowT]) -> Sequence[Outcome[RowT]]:
        """Run a batch, again if need be, and return its outcomes; call this in a thread of the worker."""

        async def through(clients: WorkerClients) -> Sequence[Outcome[RowT]]:
            return (await Fleet(clients.answer, patience=self._patience).outcomes_of([batch]))[0]

        return self._wait_for(through)

    def _wait_for(self, work: "Callable[[WorkerClients], Coroutine[object, object, T]]") -> T:
        clients, loop = self._clients, self._loop
        if clients is None or loop is None:
            raise distributed.Reschedule
        asked = asyncio.run_coroutine_threadsafe(work(clients), loop)
        self._under_way.add(asked)
        try:
            return asked.result()
        except CancelledError:
            raise distributed.Reschedule from None  # the worker is closing
        finally:
            self._under_way.discard(asked)


def answer(task: Json) -> Sequence[Json]:
    """Run a task of a `Fleet`; submit this to workers that have a `FathomWorker`.

    Raises:
        ArgumentError: This is not a worker, or it has no `FathomWorker`.
    """
    return _plugin().answer(task)


def ask(batch: Batch[RowT]) -> Sequence[Outcome[RowT]]:
    """Run a batch and return its outcomes; submit this as a task to workers that have a `FathomWorker`.

    Raises:
        ArgumentError: This is not a worker, or it has no `FathomWorker`.
    """
    return _plugin().ask(batch)


class DaskFleet(Fleet):
    """Runs batches on a Dask cluster whose workers have a `FathomWorker`.

    Args:
        client: A client of the cluster, synchronous or asynchronous; any event loop can use the fleet.
        at_once: Most unfinished tasks of one account; see `Fleet`.
        patience: Seconds for which to send tasks again that cannot run; see `Fleet`.
        plan: The rate limits of each account, for estimates; see `Fleet`.
    """

    def __init__(
        self,
        client: Client,
        *,
        at_once: int = AT_ONCE,
        patience: float = PATIENCE,
        plan: RatePlan | str | None = None,
    ) -> None:
        super().__init__(self._submit, at_once=at_once, patience=patience, plan=plan)
        self._client = cast("Any", client)  # much of it has no annotations
        self._has_run = False

    async def _submit(self, task: Json) -> Sequence[Json]:
        return await asyncio.wrap_future(self.start(self._answered(task)))

    def start(self, work: Coroutine[object, object, T]) -> "Future[T]":
        """Start work in the event loop of the client."""
        return asyncio.run_coroutine_threadsafe(work, self._client.loop.asyncio_loop)

    async def _answered(self, task: Json) -> Sequence[Json]:
        """Run a task; in the event loop of the client."""
        future = self._client.submit(answer, task, pure=False)
        try:
            answered = cast("Sequence[Json]", await future)
        except distributed.KilledWorker as error:
            raise FathomError(f"the task failed: {reason(error)}") from None
        except ArgumentError as error:
            if self._has_run:  # a new scheduler does not know the plugins of the one before
                raise RuntimeError(str(error)) from None
            raise
        else:
            self._has_run = True
            return answered
        finally:
            future.release()


def outcomes(
    client: Client,
    queries: Iterable[Query[RowT]],
    *,
    account: str = "",
    requests: int = 1,
    on_progress: OnProgress | None = None,
) -> Sequence[Outcome[RowT]]:
    """Run many queries on a cluster; return their outcomes in order, like ``DaskFleet(client).outcomes``.

    Args:
        client: A synchronous client of a cluster whose workers have a `FathomWorker`.
        queries: `PageviewQuery`s and `EventQuery`s.
        account: Name of the account, as the workers' `connect` takes it.
        requests: Number of fused requests in a task.
        on_progress: Called, in another thread, with the progress at the start and whenever a task has ended.

    Raises:
        ArgumentError: An item is not a query, or the client is asynchronous.
        QueryError: The API cannot answer one of the queries.
    """
    fleet = DaskFleet(client)
    asked = fleet.outcomes(queries, account=account, requests=requests, on_progress=on_progress)
    return _wait_for(client, fleet, asked)


def outcomes_of(
    client: Client,
    todo: Sequence[Batch[RowT]],
    *,
    at_once: int = AT_ONCE,
    patience: float = PATIENCE,
    on_progress: OnProgress | None = None,
) -> Sequence[Sequence[Outcome[RowT]]]:
    """Run batches on a cluster; return the outcomes of each, in order, like ``DaskFleet(client).outcomes_of``.

    Args:
        client: A synchronous client of a cluster whose workers have a `FathomWorker`.
        todo: Batches of one account, or of several, which take turns.
        at_once: See `Fleet`, as for `patience`.
        patience: See there.
        on_progress: Called, in another thread, with the progress at the start and whenever a batch has ended.

    Raises:
        ArgumentError: The client is asynchronous.
    """
    fleet = DaskFleet(client, at_once=at_once, patience=patience)
    return _wait_for(client, fleet, fleet.outcomes_of(todo, on_progress=on_progress))


def delayed(queries: Iterable[Query[RowT]], *, account: str = "", requests: int = 1) -> Sequence[Delayed]:
    """Return a delayed value for each batch, which computes to the outcomes of its queries; see `outcomes`.

    `in_order` of all outcomes together restores the order of the queries, from each `Outcome.position`.
    """
    todo = batches(queries, account=account, requests=requests)
    return [_delayed(ask, pure=False)(batch) for batch in todo]


def bag(queries: Iterable[Query[RowT]], *, account: str = "", requests: int = 1) -> Bag:
    """Return a bag of the outcomes of all queries, with one partition for each batch; see `outcomes`."""
    return _from_delayed(delayed(queries, account=account, requests=requests))


def _wait_for(client: Client, fleet: DaskFleet, work: Coroutine[object, object, T]) -> T:
    if client.asynchronous:
        work.close()
        raise ArgumentError("await DaskFleet(client).outcomes(…) with an asynchronous client")
    asked = fleet.start(work)
    try:
        return asked.result()
    finally:
        asked.cancel()


def _plugin() -> FathomWorker:
    try:
        plugin = distributed.get_worker().plugins.get(_NAME)
    except ValueError:
        raise ArgumentError("not a worker of dask.distributed: compute with a Client") from None
    if not isinstance(plugin, FathomWorker):
        raise ArgumentError(
            "the worker has no FathomWorker: call client.register_plugin(FathomWorker()) first"
        )
    return plugin
