"""Batches of queries, and the clients of one worker process, for any job engine.

A batch is a value made by the process that has the queries; it names the account but never holds a token. Each worker
process has one `WorkerClients`, which reads the token from its own environment, keeps to the shared budget through
its clients, and writes the answers to a store that all workers share. Engines run a task at least once: they repeat
it after its worker died, and sometimes while its worker is still alive. Claims in the store keep a repeated task from
sending its requests again.
"""

import os
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from itertools import chain, zip_longest
from typing import Generic

import attrs

from fathom_async._bulk.fusing import fuse
from fathom_async._bulk.results import Outcome, checked
from fathom_async._cache.open import open_store
from fathom_async._cache.store import ReportStore
from fathom_async._core.codec.rows import RowT, RowT_co
from fathom_async._reports.query import Query
from fathom_async._util import checks
from fathom_async._util.tasks import gather_all
from fathom_async.client import FathomClient
from fathom_async.errors import ArgumentError, ClosedError, FathomError

Connect = Callable[[str], FathomClient]
"""Makes the client of an account in a worker process; ``""`` names the account where there is only one."""

OpenStore = Callable[[], ReportStore | None]
"""Opens the store that all workers share; the worker closes it with its clients."""

GRACE = 10.0
"""Seconds for which a worker that stops waits for answers."""

_REDIS = "redis://budget.internal:6379/0"


@attrs.frozen
class Batch(Generic[RowT_co]):
    """Queries that one task sends together; can be pickled.

    Attributes:
        queries: The queries.
        positions: Index of each query among the queries of all batches.
        account: Name of the account, as `Connect` takes it.
    """

    queries: tuple[Query[RowT_co], ...]
    positions: tuple[int, ...]
    account: str = ""

    def failed(self, error: FathomError) -> Sequence[Outcome[RowT_co]]:
        """Return the outcomes of a batch that failed as a whole."""
        pairs = zip(self.positions, self.queries, strict=True)
        return [Outcome(query, None, error, position=position) for position, query in pairs]


def batches(queries: Iterable[Query[RowT]], *, account: str = "", requests: int = 1) -> Sequence[Batch[RowT]]:
    """Split queries into batches of one fused request, or of a few.

    Args:
        queries: `PageviewQuery`s and `EventQuery`s.
        account: Name of the account, as `Connect` takes it.
        requests: Number of fused requests in a batch.

    Raises:
        ArgumentError: An item is not a query, or `requests` is less than 1.
        QueryError: The API cannot answer one of the queries.
    """
    asked = checked(queries)
    size = checks.count("requests", requests)
    groups = [[position for each in group.asked for position in each.positions] for group in fuse(asked)]
    made = [
        sorted(chain.from_iterable(groups[first : first + size])) for first in range(0, len(groups), size)
    ]
    return [
        Batch(tuple(asked[position] for position in positions), tuple(positions), account)
        for positions in made
    ]


def interleaved(accounts: Iterable[Iterable[Batch[RowT]]]) -> Sequence[Batch[RowT]]:
    """Interleave the batches of several accounts, for an engine that runs tasks in order.

    An engine that finishes one account before it starts the next makes all workers wait for the first account's rate
    limit and leaves the other accounts' limits unused.
    """
    turns = zip_longest(*accounts)
    return [batch for turn in turns for batch in turn if batch is not None]


def in_order(outcomes: Iterable[Outcome[RowT]]) -> Sequence[Outcome[RowT]]:
    """Sort outcomes into the order of their queries."""
    return sorted(outcomes, key=lambda outcome: outcome.position)


def client_from_env(account: str, environ: Mapping[str, str] | None = None) -> FathomClient:
    """Make the client of the environment's only account.

    It reads ``FATHOM_API_TOKEN``, ``FATHOM_BUDGET`` and, where they are set, ``FATHOM_BASE_URL`` and ``FATHOM_PLAN``.

    Args:
        account: Must be ``""``; write your own function for several accounts.
        environ: Environment variables; those of the process by default.

    Raises:
        ArgumentError: The token or the budget is not set, or `account` is not ``""``.
    """
    environ = os.environ if environ is None else environ
    if account:
        raise ArgumentError(
            f"the environment holds the token of one account only; pass `connect` a function that knows {account!r}"
        )
    if not environ.get("FATHOM_BUDGET"):
        raise ArgumentError(
            f"set FATHOM_BUDGET on the workers, as in {_REDIS}: without it each worker would spend the whole limit"
        )
    return FathomClient.from_env(environ)


def store_from_env(environ: Mapping[str, str] | None = None) -> ReportStore:
    """Open the store at ``FATHOM_STORE``, a URL that `open_store` accepts.

    Args:
        environ: Environment variables; those of the process by default.

    Raises:
        ArgumentError: ``FATHOM_STORE`` is not set, or `open_store` does not accept it.
    """
    where = (os.environ if environ is None else environ).get("FATHOM_STORE")
    if not where:
        raise ArgumentError(
            f"set FATHOM_STORE on the workers, as in {_REDIS}: without it, the requests of a killed worker "
            "are sent again"
        )
    return open_store(where)


class WorkerClients:
    """The clients of one worker process, one for each account; any number of tasks of one event loop can share them.

    Args:
        connect: Makes the client of an account.
        store: Opens the store that all workers share.
        keep: Number of idle clients to keep open; the least recently used one closes first.

    Raises:
        ArgumentError: The store cannot be opened, or `keep` is less than 1.
    """

    def __init__(self, connect: Connect, store: OpenStore, *, keep: int = 10) -> None:
        self._connect = connect
        self._keep = checks.count("keep", keep)
        self._store = store()
        self._open: dict[str, _Shared] = {}
        self._is_closed = False

    async def ask(self, batch: Batch[RowT], *, max_wait: float | None = None) -> Sequence[Outcome[RowT]]:
        """Run a batch; return its outcomes in order. A query that fails yields an outcome with its error.

        The store has the answers before this returns.

        Args:
            batch: The batch.
            max_wait: Longest wait for the account's limit, in seconds; a query that would wait for longer fails with
                `WaitTooLongError`. By default, what `connect` chose.

        Raises:
            StoreError: The store cannot be used; it keeps the answers it has.
            ClosedError: The worker is closing.
            ArgumentError: `connect` cannot make a client for the account.
        """
        async with self._client(batch.account) as client:
            fathom = client if max_wait is None else client.with_options(max_wait=max_wait)
            async with aclosing(fathom.reports.run(batch.queries, store=self._store)) as run:
                outcomes = [outcome async for outcome in run]
        positions = batch.positions
        return [attrs.evolve(each, position=positions[each.position]) for each in in_order(outcomes)]

    async def drain(self, grace: float = GRACE) -> None:
        """Close all clients, but let what is in flight be answered and stored; take no more batches.

        A batch that waits for its account's limit ends with `ClosedError`, so that its engine can send it to another
        worker at once.

        Args:
            grace: Most seconds to wait for answers.
        """
        self._is_closed = True
        opened, self._open = self._open, {}
        await gather_all(_drained(shared.client, grace) for shared in opened.values())

    async def aclose(self, grace: float = GRACE) -> None:
        """Drain, then close the store."""
        try:
            await self.drain(grace)
        finally:
            if self._store is not None:
                await self._store.aclose()

    @asynccontextmanager
    async def _client(self, account: str) -> AsyncGenerator[FathomClient]:
        if self._is_closed:
            raise ClosedError("the worker is closing")
        shared = self._open.pop(account, None) or _Shared(self._connect(account))
        self._open[account] = shared
        shared.users += 1
        try:
            yield shared.client
        finally:
            shared.users -= 1
            while len(idle := [name for name, each in self._open.items() if not each.users]) > self._keep:
                await self._open.pop(idle[0]).client.aclose()


@attrs.define
class _Shared:
    client: FathomClient
    users: int = 0


async def _drained(client: FathomClient, grace: float) -> None:
    async with client:
        await client.drain(grace)
