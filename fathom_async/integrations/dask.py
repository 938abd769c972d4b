"""Bulk reports on a Dask cluster: ``outcomes(client, queries)``, or a bag or delayed values for your own graph.

Needs the extra ``fathom_async[dask]``. Each task sends one fused request, on any worker that has the `FathomWorker`
plugin. Requests run in the worker's own event loop, so that all threads of a worker share one client; a thread blocks
until its request is done. Dask reruns the tasks of a killed worker.
"""

import asyncio
import math
import time
from collections.abc import Iterable, Sequence
from itertools import chain
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, cast

try:
    import distributed
    from dask.bag.core import from_delayed  # pyright: ignore[reportUnknownVariableType]
    from dask.delayed import delayed as lazily  # pyright: ignore[reportUnknownVariableType]
    from distributed.diagnostics.plugin import WorkerPlugin
except ImportError as _error:
    raise ImportError('dask is missing: pip install "fathom_async[dask]"') from _error

from fathom_async._bulk.results import Outcome
from fathom_async._core.codec.rows import RowT
from fathom_async._reports.query import Query
from fathom_async.errors import ArgumentError, FathomError
from fathom_async.integrations._dispatch import AT_ONCE, HOLD, PATIENCE, Dispatch
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
    from collections.abc import Callable

    from dask.bag import Bag
    from dask.delayed import Delayed
    from distributed import Client, Future, Worker

__all__ = [
    "Batch",
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

_NAME = "fathom_async"

# Much of Dask has no annotations.
_delayed = cast("Callable[..., Callable[[Any], Delayed]]", lazily)
_from_delayed = cast("Callable[[Sequence[Delayed]], Bag]", from_delayed)


class FathomWorker(WorkerPlugin):
    """A plugin that gives each worker its clients; call ``client.register_plugin(FathomWorker())`` once per cluster.

    Dask sends the functions to the workers and calls them there, so that the token does not travel.

    Args:
        connect: Makes the client of an account; by default from the worker's ``FATHOM_API_TOKEN``,
            ``FATHOM_BUDGET``, ``FATHOM_BASE_URL`` and ``FATHOM_PLAN``.
        store: Opens the store that all workers share; by default the one at the worker's ``FATHOM_STORE``.
        keep: Number of idle clients to keep open.
    """

    name = _NAME

    def __init__(
        self, *, connect: Connect = client_from_env, store: OpenStore = store_from_env, keep: int = 10
    ) -> None:
        self._connect = connect
        self._open_store = store
        self._keep = keep
        self._clients: WorkerClients | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def setup(self, worker: "Worker") -> None:
        """Open the clients and the store in the worker's event loop; Dask calls this."""
        del worker
        self._loop = asyncio.get_running_loop()
        self._clients = WorkerClients(self._connect, self._open_store, keep=self._keep)

    async def teardown(self, worker: "Worker") -> None:
        """Close the clients and the store; Dask calls this."""
        del worker
        clients, self._clients = self._clients, None
        if clients is not None:
            await clients.aclose()

    def ask(self, batch: Batch[RowT], max_wait: float | None = None) -> Sequence[Outcome[RowT]]:
        """Run a batch and return its outcomes; call this in a thread of the worker."""
        if self._clients is None or self._loop is None:
            raise ArgumentError("the worker is closing or was never set up")
        asked = self._clients.ask(batch, max_wait=max_wait)
        return asyncio.run_coroutine_threadsafe(asked, self._loop).result()


def ask(batch: Batch[RowT], max_wait: float | None = None) -> Sequence[Outcome[RowT]]:
    """Run a batch and return its outcomes; submit this as a task to workers that have a `FathomWorker`.

    Args:
        batch: The batch.
        max_wait: Longest wait for the account's limit, in seconds; queries that would wait for longer fail with
            `WaitTooLongError`. By default, what `connect` chose.

    Raises:
        ArgumentError: This is not a worker, or it has no `FathomWorker`.
        StoreError: The store cannot be used.
    """
    try:
        plugin = distributed.get_worker().plugins.get(_NAME)
    except ValueError:
        raise ArgumentError("not a worker of dask.distributed: compute with a Client") from None
    if not isinstance(plugin, FathomWorker):
        raise ArgumentError(
            "the worker has no FathomWorker: call client.register_plugin(FathomWorker()) first"
        )
    return plugin.ask(batch, max_wait)


def outcomes(
    client: "Client", queries: Iterable[Query[RowT]], *, account: str = "", requests: int = 1
) -> Sequence[Outcome[RowT]]:
    """Run many queries on a cluster; return their outcomes in order.

    A query that fails yields an outcome with its error, and so does one whose task failed for good.

    Args:
        client: A synchronous client of a cluster whose workers have a `FathomWorker`.
        queries: `PageviewQuery`s and `EventQuery`s.
        account: Name of the account, as the workers' `connect` takes it.
        requests: Number of fused requests in a task.

    Raises:
        ArgumentError: An item is not a query.
        QueryError: The API cannot answer one of the queries.
    """
    todo = batches(queries, account=account, requests=requests)
    return in_order(chain.from_iterable(outcomes_of(client, todo)))


def outcomes_of(
    client: "Client", todo: Sequence[Batch[RowT]], *, at_once: int = AT_ONCE, patience: float = PATIENCE
) -> Sequence[Sequence[Outcome[RowT]]]:
    """Run batches on a cluster; return the outcomes of each, in order.

    Args:
        client: A synchronous client of a cluster whose workers have a `FathomWorker`.
        todo: Batches of one account, or of several, which take turns.
        at_once: Most unfinished tasks of one account, so that waiting tasks of slow accounts do not occupy workers
            that others need.
        patience: Seconds for which to send tasks again that cannot run, because the budget or the store is out of
            reach, before their errors are outcomes.
    """
    dispatch = Dispatch(todo, at_once=at_once, patience=patience)
    submit = cast("Callable[..., Future[Any]]", client.submit)  # pyright: ignore[reportUnknownMemberType]
    waiting: dict[Future[Any], int] = {}
    done: SimpleQueue[Future[Any]] = SimpleQueue()
    while not dispatch.is_over:
        for place in dispatch.due(time.monotonic()):
            future = submit(ask, todo[place], HOLD, pure=False)
            waiting[future] = place
            cast("Any", future).add_done_callback(done.put)
        pause = dispatch.next_due() - time.monotonic()
        try:
            future = done.get(timeout=None if pause == math.inf else max(pause, 0.0))
        except Empty:
            continue
        place = waiting.pop(future)
        dispatch.settle(place, _result(todo[place], future), time.monotonic())
    return dispatch.outcomes


def delayed(queries: Iterable[Query[RowT]], *, account: str = "", requests: int = 1) -> "Sequence[Delayed]":
    """Return a delayed value for each batch, which computes to the outcomes of its queries; see `outcomes`.

    `in_order` of all outcomes together restores the order of the queries, from each `Outcome.position`.
    """
    todo = batches(queries, account=account, requests=requests)
    return [_delayed(ask, pure=False)(batch) for batch in todo]


def bag(queries: Iterable[Query[RowT]], *, account: str = "", requests: int = 1) -> "Bag":
    """Return a bag of the outcomes of all queries, with one partition for each batch; see `outcomes`."""
    return _from_delayed(delayed(queries, account=account, requests=requests))


def _result(batch: Batch[RowT], future: "Future[Any]") -> Sequence[Outcome[RowT]]:
    try:
        return cast("Callable[[], Sequence[Outcome[RowT]]]", future.result)()  # pyright: ignore[reportUnknownMemberType]
    except FathomError as error:
        return batch.failed(error)
    except Exception as error:  # noqa: BLE001 - such as Dask's own after each worker that ran the task died
        return batch.failed(FathomError(f"the task failed: {error!r}"))
