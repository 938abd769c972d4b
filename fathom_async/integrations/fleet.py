"""Bulk reports by workers of any job engine: ``async for outcome in Fleet(run).run(queries)``.

The engine is one function: ``run(task)`` has a worker answer the task, and returns the answer. The worker does so by
`WorkerClients.answer <fathom_async.integrations.workers.WorkerClients.answer>`. Task and answer are JSON values. If
`run` raises, the engine could not run the task, and it is sent again.

`fathom_async.integrations.dask` and `fathom_async.integrations.taskiq` are such functions for two engines.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing, suppress
from functools import cache
from itertools import chain
from typing import Final, cast

import attrs

from fathom_async._bulk.results import Outcome, Progress
from fathom_async._core.codec.rows import Row, RowT
from fathom_async._ratelimit.plan import Priority, RatePlan
from fathom_async._reports.query import Query
from fathom_async._util.tasks import first_of
from fathom_async.client import FathomClient
from fathom_async.errors import ArgumentError, FathomError
from fathom_async.integrations._dispatch import AT_ONCE, HOLD, PATIENCE, Dispatch
from fathom_async.integrations.batches import (
    Batch,
    Json,
    batches,
    in_order,
    interleaved,
    read_outcomes,
    unanswered,
)

__all__ = [
    "Batch",
    "Fleet",
    "FleetPlan",
    "Json",
    "RunTask",
    "batches",
    "in_order",
    "interleaved",
    "unanswered",
]

RunTask = Callable[[Json], Awaitable[Sequence[Json]]]
"""Has a worker answer a task, and returns the answer."""

OnProgress = Callable[[Progress], None]
"""Called at the start and whenever a batch has ended; must be quick."""

_PROGRESS_SECONDS: Final = 1.0
"""Estimates are made again after this time."""


@attrs.frozen
class FleetPlan:
    """The requests and time that a job takes at most, if nothing is in the store; ``str`` is one line.

    Attributes:
        accounts: Number of accounts.
        batches: Number of tasks.
        queries: Number of queries.
        requests: Number of requests.
        seconds: Seconds until the last request of the slowest account is admitted.
        slowest: Name of the account with the most requests.
    """

    accounts: int
    batches: int
    queries: int
    requests: int
    seconds: float
    slowest: str = ""

    def __str__(self) -> str:
        hours, minutes = divmod(math.ceil(self.seconds / 60), 60)
        slowest = f" (the slowest: {self.slowest})" if self.accounts > 1 else ""
        return (
            f"{self.queries:,} queries in at most {self.requests:,} requests, {self.batches:,} tasks; "
            f"accounts: {self.accounts:,}{slowest}; at most {hours} h {minutes:02} min"
        )


class Fleet:
    """Runs batches of queries on the workers of a job engine.

    Args:
        run: Has a worker answer a task.
        at_once: Most unfinished tasks of one account, so that waiting tasks of slow accounts do not occupy workers
            that others need.
        patience: Seconds for which to send tasks again that cannot run, because the engine, the budget or the store
            is out of reach, before their errors are outcomes.
        plan: The rate limits of each account, for estimates; see `FathomClient`.
    """

    def __init__(
        self,
        run: RunTask,
        *,
        at_once: int = AT_ONCE,
        patience: float = PATIENCE,
        plan: RatePlan | str | None = None,
    ) -> None:
        self._run = run
        self._at_once = at_once
        self._patience = patience
        self._plan = plan
        Dispatch[Row]((), at_once=at_once, patience=patience)  # checks them

    def plan(self, todo: Iterable[Batch[Row]]) -> FleetPlan:
        """Return the most that a job takes; sends nothing.

        Args:
            todo: Batches of one account, or of several.

        Raises:
            ArgumentError: The fleet's plan is no plan, or an item is no batch.
        """
        asked = _checked(todo)
        each: dict[str, int] = {}
        for batch in asked:
            each[batch.account] = each.get(batch.account, 0) + batch.requests
        slowest = max(each, key=each.__getitem__, default="")
        return FleetPlan(
            accounts=len(each),
            batches=len(asked),
            queries=sum(len(batch.queries) for batch in asked),
            requests=sum(each.values()),
            seconds=self._planned()(each.get(slowest, 0)),
            slowest=slowest,
        )

    async def run(
        self,
        queries: Iterable[Query[RowT]],
        *,
        account: str = "",
        requests: int = 1,
        on_progress: OnProgress | None = None,
    ) -> AsyncGenerator[Outcome[RowT], None]:
        """Run many queries; yield the outcome of each as it arrives.

        A query that fails yields an outcome with its error, and so does one whose task failed for good. There is no
        time limit: use `asyncio.timeout` if there may be no worker.

        Args:
            queries: `PageviewQuery`s and `EventQuery`s.
            account: Name of the account, as the workers' `connect` takes it.
            requests: Number of fused requests in a task.
            on_progress: Called with the progress at the start and whenever a task has ended.

        Raises:
            ArgumentError: An item is not a query.
            QueryError: The API cannot answer one of the queries.
        """
        todo = batches(queries, account=account, requests=requests)
        async with aclosing(self.run_batches(todo, on_progress=on_progress)) as ended:
            async for _, outcomes in ended:
                for outcome in outcomes:
                    yield outcome

    async def outcomes(
        self,
        queries: Iterable[Query[RowT]],
        *,
        account: str = "",
        requests: int = 1,
        on_progress: OnProgress | None = None,
    ) -> Sequence[Outcome[RowT]]:
        """Run many queries like `run`; return their outcomes in order."""
        todo = batches(queries, account=account, requests=requests)
        return in_order(chain.from_iterable(await self.outcomes_of(todo, on_progress=on_progress)))

    async def outcomes_of(
        self, todo: Sequence[Batch[RowT]], *, on_progress: OnProgress | None = None
    ) -> Sequence[Sequence[Outcome[RowT]]]:
        """Run batches like `run_batches`; return the outcomes of each, in order."""
        async with aclosing(self._ended(todo, on_progress)) as ended:
            found = {place: outcomes async for place, outcomes in ended}
        return [found[place] for place in range(len(todo))]

    async def run_batches(
        self, todo: Sequence[Batch[RowT]], *, on_progress: OnProgress | None = None
    ) -> AsyncGenerator[tuple[Batch[RowT], Sequence[Outcome[RowT]]], None]:
        """Run batches; yield each with its outcomes as they arrive.

        Args:
            todo: Batches of one account, or of several, which take turns.
            on_progress: Called with the progress at the start and whenever a batch has ended.
        """
        async with aclosing(self._ended(todo, on_progress)) as ended:
            async for place, outcomes in ended:
                yield todo[place], outcomes

    async def _ended(
        self, todo: Sequence[Batch[RowT]], on_progress: OnProgress | None
    ) -> AsyncGenerator[tuple[int, Sequence[Outcome[RowT]]], None]:
        """Yield the index and the outcomes of each batch; a slow caller does not hold up the tasks."""
        arrived: asyncio.Queue[tuple[int, Sequence[Outcome[RowT]]] | None] = asyncio.Queue()
        driver = asyncio.create_task(self._drive(_checked(todo), on_progress, arrived))
        driver.add_done_callback(lambda _: arrived.put_nowait(None))
        try:
            while (ended := await arrived.get()) is not None:
                yield ended
            driver.result()
        finally:
            driver.cancel()
            await asyncio.wait((driver,))

    async def _drive(
        self,
        todo: Sequence[Batch[RowT]],
        on_progress: OnProgress | None,
        arrived: "asyncio.Queue[tuple[int, Sequence[Outcome[RowT]]] | None]",
    ) -> None:
        dispatch = Dispatch(todo, at_once=self._at_once, patience=self._patience)
        now = asyncio.get_running_loop().time
        run, first_sent = self._run, dict[int, float]()
        changed = asyncio.Event()
        tally = None if on_progress is None else _Tally(todo, dispatch, self._planned(), on_progress, now())

        async def carry_out(place: int) -> None:
            age = now() - first_sent.setdefault(place, now())
            outcomes = None
            try:
                answer = await run({**todo[place].to_json(), "max_wait": HOLD, "age": age})
                outcomes = dispatch.settle(place, read_outcomes(todo[place], answer), now())
            except FathomError as error:
                outcomes = dispatch.settle(place, todo[place].failed(error), now())
            except Exception as error:  # noqa: BLE001 - of any engine
                outcomes = dispatch.put_back(place, error, now())
            if outcomes is not None:
                del first_sent[place]
                arrived.put_nowait((place, outcomes))
                if tally is not None:
                    tally.count(todo[place], outcomes, now())
            changed.set()

        try:
            async with asyncio.TaskGroup() as tasks:
                while not dispatch.is_over:
                    changed.clear()
                    for place in dispatch.due(now()):
                        tasks.create_task(carry_out(place))
                    due = dispatch.next_due()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(None if due == math.inf else max(due - now(), 0.0)):
                            await changed.wait()
        except BaseExceptionGroup as failures:  # of `on_progress`
            failure = first_of(failures)
        else:
            return
        raise failure

    def _planned(self) -> Callable[[int], float]:
        lane = FathomClient("no-token", plan=self._plan).with_options(priority=Priority.BULK)

        @cache
        def planned(requests: int) -> float:
            return lane.eta(requests, lane="reports") if requests else 0.0

        return planned


def _checked(todo: Iterable[Batch[RowT]]) -> Sequence[Batch[RowT]]:
    asked = list(todo)
    for place, item in enumerate(cast("list[object]", asked)):
        if not isinstance(item, Batch):
            raise ArgumentError(f"todo[{place}] must be a Batch, not {item!r}: batches(queries) makes them")
    return asked


class _Tally:
    """Counts outcomes, and reports the progress."""

    def __init__(
        self,
        todo: Sequence[Batch[RowT]],
        dispatch: Dispatch[RowT],
        planned: Callable[[int], float],
        report: OnProgress,
        now: float,
    ) -> None:
        self._dispatch = cast("Dispatch[Row]", dispatch)
        self._planned = planned
        self._report = report
        self._at = now
        self._progress = Progress(
            queries=sum(len(batch.queries) for batch in todo),
            requests=sum(batch.requests for batch in todo),
            seconds_left=self._dispatch.seconds_left(planned, now),
        )
        report(self._progress)

    def count(self, batch: Batch[RowT], outcomes: Sequence[Outcome[RowT]], now: float) -> None:
        before, origins = self._progress, [each.origin for each in outcomes if each.error is None]
        left = before.seconds_left
        if now - self._at >= _PROGRESS_SECONDS or self._dispatch.is_over:
            self._at, left = now, self._dispatch.seconds_left(self._planned, now)
        self._progress = attrs.evolve(
            before,
            done=before.done + len(outcomes),
            failed=before.failed + len(outcomes) - len(origins),
            kept=before.kept + sum(origin in {"kept", "implied", "stale"} for origin in origins),
            implied=before.implied + origins.count("implied"),
            fused=before.fused + origins.count("fused"),
            answered=before.answered + batch.requests,
            seconds_left=left,
        )
        self._report(self._progress)
