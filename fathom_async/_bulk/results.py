"""The plan, the progress and the outcomes of a run of many queries."""

import asyncio
import math
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import Generic, Literal, cast

import attrs

from fathom_async._bulk.fusing import Fused, ServerKnowledge, fuse
from fathom_async._core.codec.rows import Row, RowT, RowT_co
from fathom_async._core.session import Caller
from fathom_async._ratelimit.lane import Lane
from fathom_async._ratelimit.plan import Priority
from fathom_async._reports.chunks import hour_chunks
from fathom_async._reports.query import Query
from fathom_async._reports.report import Report
from fathom_async._util.text import counted
from fathom_async.errors import ArgumentError, FathomError

Origin = Literal["asked", "fused", "kept", "implied", "stale"]
"""Requested alone; contained in a fused answer; stored and fresh; contained in a stored answer to another query; or
stored and stale, and being refreshed."""

_NEW_FLOW = "a run that has not begun"


@attrs.frozen
class Outcome(Generic[RowT_co]):
    """The outcome of one query: a report, or an error.

    Attributes:
        query: The query.
        report: The answer; None if it failed.
        error: The error; None if it succeeded.
        origin: Where the answer comes from.
        asked_at: Unix time of the request, at the latest; None for an error.
        position: Index of the query in the run, from 0.
    """

    query: Query[RowT_co]
    report: Report[RowT_co] | None = None
    error: FathomError | None = None
    origin: Origin = "asked"
    asked_at: float | None = None
    position: int = 0

    def __attrs_post_init__(self) -> None:
        if (self.report is None) == (self.error is None):
            raise ArgumentError("an outcome is either a report or an error")

    def result(self) -> Report[RowT_co]:
        """Return the report.

        Raises:
            FathomError: The error, if there is one.
        """
        if self.error is not None:
            raise self.error
        return cast("Report[RowT_co]", self.report)


class BulkError(FathomError):
    """Some queries of a run failed; the others were answered.

    Attributes:
        outcomes: The outcome of every query, in the order of the queries.
    """

    def __init__(self, outcomes: Sequence[Outcome[Row]]) -> None:
        failed = [outcome for outcome in outcomes if outcome.error is not None]
        first = failed[0]
        super().__init__(
            f"{len(failed)} of {len(outcomes)} queries failed, the others are in `outcomes`; "
            f"the first: {first.query!r}: {first.error}"
        )
        self.outcomes: tuple[Outcome[Row], ...] = tuple(outcomes)

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.outcomes,), vars(self)


async def reports_in_order(outcomes: AsyncGenerator[Outcome[RowT], None]) -> list[Report[RowT]]:
    """Return the reports of a run in the order of its queries, or raise `BulkError`."""
    async with aclosing(outcomes):
        ended = sorted([outcome async for outcome in outcomes], key=lambda outcome: outcome.position)
    if any(outcome.error is not None for outcome in ended):
        raise BulkError(ended)
    return [outcome.result() for outcome in ended]


@attrs.frozen
class Progress:
    """The progress of a run.

    Attributes:
        queries: All queries of the run.
        done: Queries that have an outcome.
        failed: Queries that failed.
        kept: Queries answered from the store.
        implied: How many of them are contained in stored answers to other queries.
        fused: Queries answered out of requests that answer several.
        requests: All requests of the run, as far as known; retries are not counted.
        answered: Requests that are done: each is a pageview on the account's bill.
        seconds_left: Seconds until the last request is admitted, as the lane estimates.
    """

    queries: int
    done: int = 0
    failed: int = 0
    kept: int = 0
    requests: int = 0
    answered: int = 0
    seconds_left: float = 0.0
    implied: int = 0
    fused: int = 0

    @property
    def is_over(self) -> bool:
        """Whether every query has its outcome."""
        return self.done == self.queries

    @property
    def has_requests_left(self) -> bool:
        """Whether requests are to come, so that `seconds_left` says something."""
        return not self.is_over and self.answered < self.requests


OnProgress = Callable[[Progress], None]
"""Called in the event loop, at the start and whenever a request or query is done; must be quick."""


@attrs.define
class Allowance:
    """How many requests may be sent, by a run and by what it refreshes in the background; None for any number."""

    most: int | None = None
    spent: int = 0

    @property
    def left(self) -> float:
        """How many more requests may be sent."""
        return math.inf if self.most is None else self.most - self.spent


class Collector(Generic[RowT]):
    """Collects the outcomes of a run, and counts its progress and its requests.

    `open` are the queries without an outcome, each once, in the order asked. `asking` counts the requests that wait
    for admission or for their answer, and `queued` those of them that wait for admission. `arrived` has the outcomes
    to hand out, and None behind the last one.
    """

    def __init__(
        self,
        caller: Caller,
        queries: Sequence[Query[RowT]],
        allowance: Allowance,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.allowance: Allowance = allowance
        self._caller = caller
        self._queries = tuple(queries)
        self._on_progress = on_progress
        self._progress = Progress(queries=len(self._queries))
        self.asking = 0
        self.queued = 0
        self.open: dict[Query[RowT], list[int]] = defaultdict(list)
        for position, query in enumerate(self._queries):
            self.open[query].append(position)
        self.arrived: asyncio.Queue[Outcome[RowT] | None] = asyncio.Queue()

    def hand_out(self, query: Query[RowT], report: Report[RowT], origin: Origin, asked_at: float) -> None:
        """End a query with a report, unless it has ended."""
        positions = self.open.pop(query, ())
        for position in positions:
            asked = self._queries[position]
            answer = as_asked(asked, report)
            self.arrived.put_nowait(Outcome(asked, answer, None, origin, asked_at, position))
        if times := len(positions):
            self._caller.session.telemetry.queries[origin] += times
            self.note(
                done=times,
                kept=times * (origin in {"kept", "implied", "stale"}),
                implied=times * (origin == "implied"),
                fused=times * (origin == "fused"),
            )

    def fail(self, query: Query[RowT], error: FathomError) -> None:
        """End a query with an error, unless it has ended."""
        positions = self.open.pop(query, ())
        for position in positions:
            self.arrived.put_nowait(Outcome(self._queries[position], None, error, position=position))
        if positions:
            self.note(done=len(positions), failed=len(positions))

    def admit(self, groups: Sequence[Fused[RowT]], cause: FathomError | None = None) -> Sequence[Fused[RowT]]:
        """Count the requests that the allowance has room for, and return them; fail the queries of the others.

        They come on top of those planned; `cause` is why they are needed, if a request failed.
        """
        room, admitted = self.allowance.left, list[Fused[RowT]]()
        for group in groups:
            requests = count_requests([group])
            if requests <= room:
                room -= requests
                admitted.append(group)
                continue
            why = "" if cause is None else f"; what it was fused with failed: {cause}"
            error = ArgumentError(
                f"this query takes a further request than max_requests={self.allowance.most}; allow more{why}"
            )
            error.__cause__ = cause
            for asked in group.asked:
                self.fail(asked.query, error)
        self.spend(count_requests(admitted))
        return admitted

    def spend(self, requests: int) -> bool:
        """Count requests if the allowance has room for them; return whether it has. Negative ones give room back."""
        if requests > self.allowance.left:
            return False
        self.allowance.spent += requests
        self.note(requests=requests)
        return True

    def note(self, **more: int) -> None:
        """Add to the counts, and report the progress."""
        counted = {name: getattr(self._progress, name) + number for name, number in more.items()}
        self._progress = attrs.evolve(self._progress, **counted)
        if self._on_progress is not None:
            self._on_progress(attrs.evolve(self._progress, seconds_left=self._seconds_left()))

    def _seconds_left(self) -> float:
        """Return the seconds until the last request is admitted; the lane counts those already waiting."""
        to_come = self._progress.requests - self._progress.answered - self.asking
        if not to_come and not self.queued:
            return 0.0
        options = self._caller.options
        return self._caller.session.lanes["reports"].eta(to_come, options.priority, options.flow)


def as_asked(query: Query[RowT], report: Report[RowT]) -> Report[RowT]:
    """Return the report with its columns in the order of an equal query."""
    if query.columns == report.columns:
        return attrs.evolve(report, query=query)
    return attrs.evolve(query.read(report.to_json()), truncated=report.truncated)


_SHOWN = 40
"""Requests that ``str`` lists; its headline counts all."""


@attrs.frozen(repr=False)
class BulkPlan(Generic[RowT_co]):
    """The requests that a bulk run would send; ``str`` lists them.

    >>> import asyncio
    >>> from fathom_async import FathomClient, PageviewQuery
    >>> visits = PageviewQuery("CDBUGS", aggregates=["visits"])
    >>> days = [visits.replace(date_from=f"2026-01-{day}", date_to=f"2026-01-{day}") for day in range(10, 31)]
    >>> async def plan():
    ...     return FathomClient("token").reports.plan(days)
    >>> asyncio.run(plan())
    <BulkPlan of 21 queries in 1 request, 0 s>

    Attributes:
        groups: The fused requests, each with the queries that it answers and how.
        queries: Number of queries.
        requests: Number of requests: more than `groups` if a group takes several chunks.
        seconds: Seconds until the last request would be admitted, as the lane estimates.
    """

    groups: Sequence[Fused[RowT_co]]
    queries: int
    requests: int
    seconds: float

    @property
    def pageviews(self) -> int:
        """The cost on the account's bill, where each request counts as a pageview."""
        return self.requests

    def __repr__(self) -> str:
        queries, requests = counted(self.queries, "query", "queries"), counted(self.requests, "request")
        return f"<BulkPlan of {queries} in {requests}, {self.seconds:,.0f} s>"

    def __str__(self) -> str:
        lines = [self._headline()]
        for number, group in enumerate(self.groups[:_SHOWN], start=1):
            how = ", ".join(group.how) or "as asked"
            lines.append(f"{number:>4}  {len(group.asked):>4} x {how:<40} {group.query!r}")
        if len(self.groups) > _SHOWN:
            lines.append(f"      … and {len(self.groups) - _SHOWN:,} more")
        return "\n".join(lines)

    def _headline(self) -> str:
        factor = f", {self.queries / self.requests:.1f} times fewer" if self.requests < self.queries else ""
        minutes, seconds = divmod(round(self.seconds), 60)
        when = f"{minutes} min {seconds:02} s" if minutes or seconds else "all admitted at once"
        return (
            f"{counted(self.queries, 'query', 'queries')} in {counted(self.requests, 'request')}{factor}; "
            f"{when}; {counted(self.pageviews, 'pageview')} on the account"
        )


def planned(
    queries: Iterable[Query[RowT]], lane: Lane, knowledge: ServerKnowledge, *, is_fused: bool
) -> BulkPlan[RowT]:
    """Return the requests that a run would send through a lane; see `ReportsResource.plan`."""
    first: dict[Query[RowT], Query[RowT]] = {}
    asked = [
        first.setdefault(query, query) for query in checked(queries)
    ]  # a run requests equal queries once
    groups = grouped(asked, knowledge, is_fused=is_fused)
    requests = count_requests(groups)
    seconds = lane.eta(requests, Priority.BULK, _NEW_FLOW) if requests else 0.0
    return BulkPlan(groups, len(asked), requests, seconds)


def grouped(
    queries: Sequence[Query[RowT]], knowledge: ServerKnowledge, *, is_fused: bool
) -> Sequence[Fused[RowT]]:
    """Return the requests that answer all queries: fused, or one for each."""
    if is_fused:
        return fuse(queries, knowledge)
    return [Fused.of(query) for query in dict.fromkeys(queries)]


def count_requests(groups: Iterable[Fused[Row]]) -> int:
    """Return how many requests these take, in chunks where the server limits the range."""
    return sum(len(hour_chunks(group.query)) for group in groups)


def checked(queries: Iterable[Query[RowT]]) -> Sequence[Query[RowT]]:
    """Check that all of these are queries that can be sent."""
    if isinstance(queries, Query | str):
        raise ArgumentError("queries takes a list of queries; for a single one write [query]")
    asked = list(queries)
    for position, query in enumerate(asked):
        if not isinstance(query, Query):
            raise ArgumentError(
                f"queries[{position}] must be a PageviewQuery or an EventQuery, not {query!r}"
            )
        hour_chunks(query)
    return asked
