"""Batches of queries, and the clients of one worker process, for any job engine.

A batch is a value made by the process that has the queries; it names the account but never holds a token. Each worker
process has one `WorkerClients`, which reads the token from its own environment, keeps to the shared budget through
its clients, and writes the answers to a store that all workers share. Engines run a task at least once: they repeat
it after its worker died, and sometimes while its worker is still alive. Claims in the store keep a repeated task from
sending its requests again.
"""

import asyncio
import logging
import os
import platform
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from itertools import chain, zip_longest
from typing import Final, Generic, NoReturn

import attrs

from fathom_async._bulk.fusing import fuse
from fathom_async._bulk.results import Outcome, checked
from fathom_async._cache.open import open_store
from fathom_async._cache.store import ReportStore
from fathom_async._core.codec.rows import RowT, RowT_co
from fathom_async._reports.query import Query
from fathom_async._util import checks
from fathom_async.client import FathomClient
from fathom_async.errors import (
    ArgumentError,
    AuthenticationError,
    ClosedError,
    FathomError,
    WorkerTokenError,
)

HAND_BACK: Final = 3.0
"""Seconds after which a worker hands back a task that it has no valid token for, so that others take most of them."""

RECONNECT: Final = 30.0
"""Seconds until `connect` is called again for an account whose token was rejected; they double each time."""

_LONGEST: Final = 300.0

_log = logging.getLogger("fathom_async")

Connect = Callable[[str], FathomClient]
"""Makes the client of an account in a worker process; ``""`` names the account where there is only one."""

OpenStore = Callable[[], ReportStore | None]
"""Opens the store that all workers share; the worker closes it with its clients."""

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

    Once the server has rejected the token of an account, the worker hands back the account's tasks, each after
    `HAND_BACK` seconds, and calls `connect` again after `RECONNECT`: the secret may have been replaced meanwhile.

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
        self._rejected: dict[str, _Rejected] = {}
        self._closing = asyncio.Event()

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
            WorkerTokenError: The server rejects the account's token; another worker may have a better one.
        """
        rejected = self._rejected.get(batch.account)
        if rejected is not None and asyncio.get_running_loop().time() < rejected.until:
            await self._hand_back(rejected.error)
        outcomes, refusal = list[Outcome[RowT]](), None
        async with self._client(batch.account) as shared:
            fathom = shared.client if max_wait is None else shared.client.with_options(max_wait=max_wait)
            try:
                async with aclosing(fathom.reports.run(batch.queries, store=self._store)) as run:
                    async for outcome in run:
                        outcomes.append(outcome)
                        if isinstance(outcome.error, AuthenticationError):
                            refusal = outcome.error
                            break
            except ClosedError:
                if shared.rejected is None:
                    raise
            if refusal is not None:
                await self._reject(batch.account, shared, refusal)
        if shared.rejected is not None:
            await self._hand_back(shared.rejected)
        if any(each.origin == "asked" and each.report is not None for each in outcomes):
            self._accept(batch.account)
        positions = batch.positions
        return [attrs.evolve(each, position=positions[each.position]) for each in in_order(outcomes)]

    async def aclose(self) -> None:
        """Close all clients, then the store."""
        self._closing.set()
        try:
            while self._open:
                _, shared = self._open.popitem()
                await shared.client.aclose()
        finally:
            if self._store is not None:
                await self._store.aclose()

    @asynccontextmanager
    async def _client(self, account: str) -> AsyncGenerator["_Shared"]:
        if self._closing.is_set():
            raise ClosedError("the worker is closing")
        shared = self._open.pop(account, None) or _Shared(self._connect(account))
        self._open[account] = shared
        shared.users += 1
        try:
            yield shared
        finally:
            shared.users -= 1
            while len(idle := [name for name, each in self._open.items() if not each.users]) > self._keep:
                await self._open.pop(idle[0]).client.aclose()

    async def _hand_back(self, error: WorkerTokenError) -> NoReturn:
        """Fail a task after a while, at once if the worker is closing."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), HAND_BACK)
        raise error

    async def _reject(self, account: str, shared: "_Shared", refusal: AuthenticationError) -> None:
        """Close a client whose token was rejected; tasks that wait in it are handed back, too."""
        if shared.rejected is not None:
            return
        shared.rejected = error = WorkerTokenError(account, platform.node(), os.getpid(), refusal.message)
        if self._open.get(account) is shared:
            del self._open[account]
        before = self._rejected.get(account)
        pause = RECONNECT if before is None else min(2 * before.pause, _LONGEST)
        self._rejected[account] = _Rejected(error, pause, asyncio.get_running_loop().time() + pause)
        if before is None:
            _log.warning("tasks are handed back until there is another token: %s", error)
        await shared.client.aclose()

    def _accept(self, account: str) -> None:
        if self._rejected.pop(account, None) is not None:
            _log.warning("the token of the account %r is accepted again", account)


@attrs.define
class _Shared:
    client: FathomClient
    users: int = 0
    rejected: WorkerTokenError | None = None


@attrs.frozen
class _Rejected:
    error: WorkerTokenError
    pause: float
    until: float
