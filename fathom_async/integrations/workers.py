"""Batches of queries, and the clients of one worker process, for any job engine.

A batch is a value, made where the queries are; it names the account, and never holds a token. A worker process has
one `WorkerClients`, which finds the token in its own environment, keeps to the shared budget by way of its clients,
and keeps the answers in a store that all workers share. Engines promise that a task runs at least once: it is carried
out again after its worker was killed, and sometimes although it was not. The store's claims make one request of that.
"""

import os
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from itertools import chain, zip_longest
from typing import Generic

import attrs

from fathom_async._bulk.fusing import fuse
from fathom_async._bulk.results import Outcome
from fathom_async._cache.open import open_store
from fathom_async._cache.store import ReportStore
from fathom_async._core.codec.rows import RowT, RowT_co
from fathom_async._reports.query import Query, hour_chunks
from fathom_async._util import checks
from fathom_async.client import FathomClient
from fathom_async.errors import ArgumentError, ClosedError, FathomError

Connect = Callable[[str], FathomClient]
"""Makes the client of an account in a worker process; ``""`` is the only account of those who have one."""

OpenStore = Callable[[], ReportStore | None]
"""Opens the store that all workers share; closed with the worker's clients."""

_REDIS = "redis://budget.internal:6379/0"


@attrs.frozen
class Batch(Generic[RowT_co]):
    """Queries that one task asks together; a value that can be pickled.

    Attributes:
        queries: The queries.
        positions: Which of all the queries each of them is, from 0.
        account: Whose queries they are, by the name that `Connect` knows.
    """

    queries: tuple[Query[RowT_co], ...]
    positions: tuple[int, ...]
    account: str = ""

    def failed(self, error: FathomError) -> Sequence[Outcome[RowT_co]]:
        """Return the outcomes of a batch that failed as a whole."""
        pairs = zip(self.positions, self.queries, strict=True)
        return [Outcome(query, None, error, position=position) for position, query in pairs]


def batches(queries: Iterable[Query[RowT]], *, account: str = "", requests: int = 1) -> Sequence[Batch[RowT]]:
    """Return the batches of many queries: each asks what can be asked in one request, or a few.

    Args:
        queries: `PageviewQuery`s and `EventQuery`s.
        account: Whose queries they are.
        requests: How many fused requests are one batch.

    Raises:
        ArgumentError: One of them is no query, or `requests` is not at least 1.
        QueryError: One of them cannot be asked.
    """
    asked = list(queries)
    for position, query in enumerate(asked):
        if not isinstance(query, Query):
            raise ArgumentError(
                f"queries[{position}] must be a PageviewQuery or an EventQuery, not {query!r}"
            )
        hour_chunks(query)
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
    """Return the batches of several accounts in the order in which to hand them to an engine: in turns.

    An engine that works one account off after the other has all its workers wait for the limit of the first, while
    those of the others lie idle.
    """
    turns = zip_longest(*accounts)
    return [batch for turn in turns for batch in turn if batch is not None]


def in_order(outcomes: Iterable[Outcome[RowT]]) -> Sequence[Outcome[RowT]]:
    """Return outcomes in the order in which their queries were asked."""
    return sorted(outcomes, key=lambda outcome: outcome.position)


def client_from_env(account: str, environ: Mapping[str, str] | None = None) -> FathomClient:
    """Make the client of the environment's only account.

    It reads ``FATHOM_API_TOKEN``, ``FATHOM_BUDGET`` and, where they are set, ``FATHOM_BASE_URL`` and ``FATHOM_PLAN``.

    Args:
        account: Must be ``""``; a worker that knows several accounts has a function of its own.
        environ: The environment; the process's own by default.

    Raises:
        ArgumentError: There is no token, no budget, or another account is wanted.
    """
    environ = os.environ if environ is None else environ
    if account:
        raise ArgumentError(
            f"the environment holds one account's token; give `connect` a function that knows {account!r}"
        )
    if not environ.get("FATHOM_BUDGET"):
        raise ArgumentError(
            f"set FATHOM_BUDGET on the workers, as in {_REDIS}: without it each of them would spend the whole limit"
        )
    return FathomClient.from_env(environ)


def store_from_env(environ: Mapping[str, str] | None = None) -> ReportStore:
    """Open the store at ``FATHOM_STORE``, a URL as `open_store` takes it.

    Args:
        environ: The environment; the process's own by default.

    Raises:
        ArgumentError: It is not set, or no place for a store.
    """
    where = (os.environ if environ is None else environ).get("FATHOM_STORE")
    if not where:
        raise ArgumentError(
            f"set FATHOM_STORE on the workers, as in {_REDIS}: without it, what a killed worker had asked for "
            "is asked for again"
        )
    return open_store(where)


class WorkerClients:
    """The clients of one worker process, one for each account; used from one event loop, by any number of tasks.

    Args:
        connect: Makes the client of an account.
        store: Opens the store that all workers share.
        keep: Number of idle clients to keep open; the least recently used one is closed first.

    Raises:
        ArgumentError: The store cannot be opened, or `keep` is not at least 1.
    """

    def __init__(self, connect: Connect, store: OpenStore, *, keep: int = 10) -> None:
        self._connect = connect
        self._keep = checks.count("keep", keep)
        self._store = store()
        self._open: dict[str, _Shared] = {}
        self._is_closed = False

    async def ask(self, batch: Batch[RowT]) -> Sequence[Outcome[RowT]]:
        """Return the outcomes of a batch, in its order; a query that fails is an outcome like any other.

        An answer is in the store before it is returned.

        Raises:
            StoreError: The store cannot be used; nothing of what was kept is lost.
            ClosedError: The worker is closing.
            ArgumentError: There is no client of this account.
        """
        async with (
            self._client(batch.account) as fathom,
            aclosing(fathom.reports.run(batch.queries, store=self._store)) as run,
        ):
            outcomes = [outcome async for outcome in run]
        positions = batch.positions
        return [attrs.evolve(each, position=positions[each.position]) for each in in_order(outcomes)]

    async def aclose(self) -> None:
        """Close all clients, and then the store."""
        self._is_closed = True
        try:
            while self._open:
                _, shared = self._open.popitem()
                await shared.client.aclose()
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
            await self._close_idle()

    async def _close_idle(self) -> None:
        while (name := self._superfluous()) is not None:
            await self._open.pop(name).client.aclose()

    def _superfluous(self) -> str | None:
        idle = [name for name, shared in self._open.items() if not shared.users]
        return idle[0] if len(idle) > self._keep else None


@attrs.define
class _Shared:
    client: FathomClient
    users: int = 0
