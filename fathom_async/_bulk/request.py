"""One request of a run: claimed, sent in chunks where the server limits its range, and what came of it.

**Chunks.** The server groups at most 7 days by the hour (`fathom_async._reports.chunks.hour_chunks`). Reports of the
chunks are joined row by row.

**Claims.** With a store, a request claims its queries when it is admitted, and not while it waits in the lane. Claims
held by a waiting request would have the urgent wait for the patient: a page would stand behind the bulk run that asks
the same in ten minutes. So everybody waits in the lane, by their own priority, and whether a request is still needed
is decided once it has a permit. If it is not, the permit goes to the next one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Generic, Self

import attrs
from attrs import evolve

from fathom_async._bulk.fusing import Fused, ServerKnowledge, check_of, is_exact
from fathom_async._bulk.results import Collector, count_requests
from fathom_async._cache.report_cache import Found, ReportCache
from fathom_async._core.codec.rows import RowT
from fathom_async._core.session import Caller
from fathom_async._endpoints import aggregation
from fathom_async._reports.chunks import hour_chunks
from fathom_async._reports.query import Query
from fathom_async._reports.report import Report, sort_rows
from fathom_async._util.tasks import gather_all
from fathom_async.errors import ClosedError, FathomError, StoreError

Ask = Callable[[Query[RowT]], Coroutine[object, object, Report[RowT]]]
"""Runs one query."""


async def by_the_hour(query: Query[RowT], ask: Ask[RowT]) -> Report[RowT]:
    """Return the report of a query, joined from chunks if its range is too long for one request."""
    chunks = hour_chunks(query)
    if len(chunks) == 1:
        return await ask(query)
    reports = await gather_all(map(ask, chunks))
    rows = sort_rows(query, (row for report in reports for row in report))
    is_cut = len(rows) >= query.limit if query.limit else any(report.truncated for report in reports)
    return Report(query, tuple(rows[: query.limit]), truncated=is_cut)


class GivenBackError(Exception):
    """The request is not needed any more, or not now, and was not sent."""


class AdmissionClaim(Generic[RowT]):
    """Claims the queries of one request in a store, so that one of all runs and processes sends it.

    Answers requested at the Unix time `since` or later count as fresh, whatever their age. After `GivenBackError`,
    `found` has the answers that others have stored meanwhile, and `taken` the queries that others have claimed.
    """

    def __init__(self, cache: ReportCache, queries: Sequence[Query[RowT]], since: float) -> None:
        self._cache = cache
        self._queries = queries
        self._since = since
        self._claims = AsyncExitStack()
        self._taking = asyncio.Lock()
        self._is_taken = False
        self.found: dict[Query[RowT], Found[RowT]] = {}
        self.taken: Sequence[Query[RowT]] = ()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._claims.aclose()

    async def take(self) -> None:
        """Claim the queries once for all attempts and chunks; they stay claimed until the end of the block.

        If others have answered or claimed some of them, that raises `GivenBackError`.
        """
        async with self._taking:
            if not self._is_taken:
                await self._take()

    async def _take(self) -> None:
        mine = await self._claims.enter_async_context(self._cache.claim(self._queries))
        # A former holder of a claim may have stored the answer since the last look.
        self.found = await self._cache.look_for_fresh(self._queries, since=self._since)
        self.taken = [query for query in self._queries if query not in mine and query not in self.found]
        if self.found or self.taken:
            await self._claims.aclose()
            raise GivenBackError("the request is not needed any more, or not now")
        self._is_taken = True


@attrs.frozen
class Answer(Generic[RowT]):
    """The server's answer to one request of a Unix time: the reports that it tells, and the queries left over."""

    report: Report[RowT]
    reports: Mapping[Query[RowT], Report[RowT]]
    left: Sequence[Query[RowT]]
    asked_at: float

    @property
    def kept(self) -> Mapping[Query[RowT], Report[RowT]]:
        """What to store: these reports, and that of the request, which may contain others."""
        return {self.report.query: self.report, **self.reports}


def answer_to(
    group: Fused[RowT], report: Report[RowT], asked_at: float, knowledge: ServerKnowledge
) -> Answer[RowT]:
    """Split the report of a fused request into an answer."""
    parts = list(zip(group.asked, group.split(report, knowledge), strict=True))
    reports = {asked.query: part for asked, part in parts if part is not None}
    return Answer(report, reports, [asked.query for asked, part in parts if part is None], asked_at)


Admitted = Callable[[], Awaitable[None]]
"""Awaited when a request is admitted; if it raises, the permit is released."""


async def ask(
    caller: Caller,
    query: Query[RowT],
    on_sent: Callable[[], None],
    *,
    cache: ReportCache | None = None,
    on_admitted: Admitted | None = None,
    is_shared: bool = True,
) -> tuple[Report[RowT], float]:
    """Run a query; return the report, and the Unix time when its first request left.

    Chunks of a long report are stored one by one, so that an interrupted report does not start over. `on_sent` is
    called whenever a request leaves; see `fathom_async._core.request.Request` for the rest.
    """
    session, asked_at = caller.session, list[float]()

    async def ask_chunk(chunk: Query[RowT]) -> Report[RowT]:
        left: list[float] = []

        def note() -> None:
            left.append(session.clock.unix())
            on_sent()

        if chunk is not query and cache is not None and (kept := await cache.kept_for_good(chunk)):
            return kept
        request = aggregation(chunk)
        report = await caller(evolve(request, is_shared=is_shared, on_admitted=on_admitted, on_sent=note))
        # A request shared with another task left at an unknown time, at most the timeout ago.
        at = min(left, default=session.clock.unix() - caller.options.timeout)
        asked_at.append(at)
        if chunk is not query and cache is not None:
            await asyncio.shield(session.scope.spawn(cache.put({chunk: report}, at)))
        return report

    report = await by_the_hour(query, ask_chunk)
    return report, min(asked_at, default=session.clock.unix())


class Sender(Generic[RowT]):
    """Sends the requests of a run.

    `first` is set once one has shown what the others may expect, and `has_answered` tells whether one succeeded.
    """

    def __init__(
        self,
        caller: Caller,
        collector: Collector[RowT],
        knowledge: ServerKnowledge,
        cache: ReportCache | None,
    ) -> None:
        self._caller = caller
        self._collector = collector
        self._knowledge = knowledge
        self._cache = cache
        self.first = asyncio.Event()
        self.has_answered = False

    async def answer_to(
        self, group: Fused[RowT], on_admitted: Admitted | None = None
    ) -> Answer[RowT] | FathomError:
        """Send a request, and count its chunks that wait for admission."""
        collector, attempts = self._collector, 0
        breaker = self._caller.session.lanes["reports"].breaker
        chunks = queued = count_requests([group])
        collector.asking += chunks
        collector.queued += queued

        def leave() -> None:
            nonlocal queued
            if queued:  # a chunk that is retried leaves more than once
                queued -= 1
                collector.queued -= 1

        async def admit() -> None:
            nonlocal attempts
            attempts += 1
            if attempts > chunks and breaker.has_failed:  # only many requests show an outage
                self.first.set()
            if on_admitted is not None:
                await on_admitted()

        try:
            report, asked_at = await ask(
                self._caller,
                group.query,
                leave,
                cache=self._cache,
                on_admitted=admit,
                is_shared=on_admitted is None,
            )
        except (ClosedError, StoreError):
            raise
        except FathomError as error:
            result: Answer[RowT] | FathomError = error
        else:
            self._knowledge.is_confirmed = self.has_answered = True
            self.first.set()
            if group.open_fields:
                self._knowledge.learn(report, group.open_fields, group.days)
            result = answer_to(group, report, asked_at, self._knowledge)
        finally:
            collector.asking -= chunks
            collector.queued -= queued
        collector.note(answered=chunks)
        return result

    async def check(self, group: Fused[RowT], report: Report[RowT], names: Collection[str]) -> bool:
        """Find out whether the server compares the texts of properties exactly; return whether it does for one."""
        for name in names:
            query = check_of(group, report, name)
            if query is not None and name not in self._knowledge.exact:
                await self._caller.session.scope.share(
                    ("check", name), partial(self._ask_check, name, query, report)
                )
        return any(self._knowledge.exact.get(name) for name in names)

    async def _ask_check(self, name: str, query: Query[RowT], report: Report[RowT]) -> None:
        if not self._collector.spend(1):
            return
        answer = await self.answer_to(Fused.of(query))
        if isinstance(answer, Answer):
            self._knowledge.exact[name] = is_exact(answer.report, report, name)
            await self.remember()

    async def remember(self) -> None:
        """Store what was learned of the server."""
        if self._cache is not None:
            await self._cache.remember(self._knowledge.to_json())
