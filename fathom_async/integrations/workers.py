"""The clients of one worker process, for any job engine.

Each worker process has one `WorkerClients`, which reads the token from its own environment, keeps to the shared
budget through its clients, and writes the answers to a store that all workers share. Engines run a task at least
once: they repeat it after its worker died, and sometimes while its worker is still alive. Claims in the store keep a
repeated task from sending its requests again.
"""

import asyncio
import logging
import os
import platform
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any, Final, NoReturn, cast

import attrs

from fathom_async._bulk.results import Outcome
from fathom_async._cache.entry import CachePolicy
from fathom_async._cache.open import open_store
from fathom_async._cache.store import ReportStore
from fathom_async._core.codec.rows import RowT
from fathom_async._ratelimit.plan import Priority
from fathom_async._util import checks
from fathom_async._util.tasks import gather_all
from fathom_async.client import FathomClient
from fathom_async.errors import (
    ArgumentError,
    AuthenticationError,
    ClosedError,
    ConfigurationError,
    FathomError,
    WorkerTokenError,
)
from fathom_async.integrations.batches import Batch, Json, in_order, outcome_value

Connect = Callable[[str], FathomClient]
"""Makes the client of an account in a worker process; ``""`` names the account where there is only one."""

OpenStore = Callable[[], ReportStore | None]
"""Opens the store that all workers share; the worker closes it with its clients."""

GRACE = 10.0
"""Seconds for which a worker that stops waits for answers."""

HAND_BACK: Final = 3.0
"""Seconds after which a worker hands back a task that it has no valid token for, so that others take most of them."""

RECONNECT: Final = 30.0
"""Seconds until `connect` is called again for an account whose token was rejected; they double each time."""

_LONGEST: Final = 300.0

_log = logging.getLogger("fathom_async")

_REDIS = "redis://budget.internal:6379/0"


def client_from_env(account: str, environ: Mapping[str, str] | None = None) -> FathomClient:
    """Make the client of the environment's only account.

    It reads ``FATHOM_API_TOKEN``, ``FATHOM_BUDGET`` and what else `FathomClient.from_env` does.

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


def _keeping_from_env(environ: Mapping[str, str]) -> CachePolicy:
    text = environ.get("FATHOM_MAX_AGE")
    if not text:
        return CachePolicy()
    try:
        return CachePolicy(max_age=float(text))
    except ValueError:  # an ArgumentError is one
        raise ConfigurationError(f"FATHOM_MAX_AGE must be a number of seconds, not {text!r}") from None


def _priority_from_env(environ: Mapping[str, str]) -> Priority:
    text = environ.get("FATHOM_PRIORITY") or Priority.BULK.name
    try:
        return Priority[text.upper()]
    except KeyError:
        names = ", ".join(each.name.lower() for each in Priority)
        raise ConfigurationError(f"FATHOM_PRIORITY must be one of {names}, not {text!r}") from None


class WorkerClients:
    """The clients of one worker process, one for each account; any number of tasks of one event loop can share them.

    Once the server has rejected the token of an account, the worker hands back the account's tasks, each after
    `HAND_BACK` seconds, and calls `connect` again after `RECONNECT`: the secret may have been replaced meanwhile.

    Args:
        connect: Makes the client of an account.
        store: Opens the store that all workers share.
        keep: Number of idle clients to keep open; the least recently used one closes first.
        keeping: How long stored answers stay fresh; by default `CachePolicy` with ``FATHOM_MAX_AGE``, in seconds, as
            its ``max_age``.
        priority: Order among the requests that wait for the same account; by default ``FATHOM_PRIORITY``, such as
            ``normal``, or else bulk.

    Raises:
        ArgumentError: The store cannot be opened, `keep` is less than 1, or one of the variables cannot be read.
    """

    def __init__(
        self,
        connect: Connect = client_from_env,
        store: OpenStore = store_from_env,
        *,
        keep: int = 10,
        keeping: CachePolicy | None = None,
        priority: Priority | None = None,
    ) -> None:
        self._connect = connect
        self._keeping = _keeping_from_env(os.environ) if keeping is None else keeping
        self._priority = _priority_from_env(os.environ) if priority is None else priority
        self._keep = checks.count("keep", keep)
        self._store = store()
        self._open: dict[str, _Shared] = {}
        self._rejected: dict[str, _Rejected] = {}
        self._closing = asyncio.Event()

    async def answer(self, task: Json) -> Sequence[Json]:
        """Run a task of a `Fleet`; return its answer. Both are JSON values.

        Raises:
            ArgumentError: The value is no task.
        """
        options, batch = cast("Mapping[str, Any]", task), Batch.from_json(task)
        if not batch.queries:
            return []
        try:
            outcomes = await self.ask(batch, max_wait=options.get("max_wait"), age=options.get("age", 0.0))
        except FathomError as error:
            outcomes = batch.failed(error)
        return list(map(outcome_value, outcomes))

    async def ask(
        self, batch: Batch[RowT], *, max_wait: float | None = None, age: float = 0.0
    ) -> Sequence[Outcome[RowT]]:
        """Run a batch; return its outcomes in order. A query that fails yields an outcome with its error.

        The store has the answers before this returns.

        Args:
            batch: The batch.
            max_wait: Longest wait for the account's limit, in seconds; a query that would wait for longer fails with
                `WaitTooLongError`. By default, what `connect` chose.
            age: Seconds since the batch was first sent: answers that are no older are fresh, whatever their range.

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
            keeping = attrs.evolve(self._keeping, max_age=max(self._keeping.max_age, age))
            run = fathom.reports.run(
                batch.queries,
                store=self._store,
                keeping=None if self._store is None else keeping,
                priority=self._priority,
            )
            try:
                async with aclosing(run):
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
        if any(each.origin in {"asked", "fused"} for each in outcomes if each.report is not None):
            self._accept(batch.account)
        positions = batch.positions
        return [attrs.evolve(each, position=positions[each.position]) for each in in_order(outcomes)]

    async def drain(self, grace: float = GRACE) -> None:
        """Finish requests in flight, close all clients, and take no more batches.

        A batch that waits for its account's limit ends with `ClosedError`, so that its engine can send it to another
        worker at once.

        Args:
            grace: Most seconds to wait for answers.
        """
        self._closing.set()
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


async def _drained(client: FathomClient, grace: float) -> None:
    async with client:
        await client.drain(grace)
