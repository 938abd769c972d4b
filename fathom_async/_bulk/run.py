"""A run of many queries: serve stored answers, request the rest in as few requests as possible.

A run is a task of its own, which ends with its iterator or with the client. Each query goes through these steps:

1. Look it up in the store, if there is one. A fresh answer is an outcome at once, and so is a stale one that may be
   served, which is then refreshed in the background.
2. Fuse it with others, and leave it to another run of this client that has claimed it at the same or higher priority
   (`fathom_async._cache.single_flight`).
3. Request it when its turn comes, if it is still needed then: of all processes that share the store, one sends the
   request (`fathom_async._bulk.request`), and the others use its answer. If the answer of a fused request is
   truncated, or the server rejects it, its queries are requested one by one.
4. Store the answer before handing it out: a run that is killed and started again requests only what is missing.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Mapping, Sequence
from typing import Generic

import attrs

from fathom_async._bulk.failures import EverythingFailsError, Failures
from fathom_async._bulk.fusing import Fused, ServerKnowledge, apart, depends_on_zone, doubted, fuse
from fathom_async._bulk.request import AdmissionClaim, Answer, GivenBackError, Sender, answer_to
from fathom_async._bulk.results import (
    Allowance,
    Collector,
    OnProgress,
    Origin,
    Outcome,
    count_requests,
    grouped,
)
from fathom_async._cache.report_cache import Found, ReportCache
from fathom_async._core.codec.rows import RowT
from fathom_async._core.request import Options
from fathom_async._core.session import Caller
from fathom_async._ratelimit.plan import Priority
from fathom_async._reports.query import Query
from fathom_async._util.tasks import first_of
from fathom_async.errors import ArgumentError, ClosedError, FathomError, StoreError

_log = logging.getLogger("fathom_async")


class Run(Generic[RowT]):
    """Carries many queries to their outcomes."""

    def __init__(
        self,
        caller: Caller,
        queries: Sequence[Query[RowT]],
        *,
        cache: ReportCache | None = None,
        is_fused: bool = True,
        max_requests: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> None:
        self._caller = caller
        self._spawn = caller.session.scope.spawn
        self._waits = True
        self._is_planned = asyncio.Event()
        self._since = 0.0
        self._knowledge = caller.session.scope.resource("knowledge", ServerKnowledge)
        self._cache = cache and attrs.evolve(cache, exact=self._knowledge.trusted)
        self._is_fused = is_fused
        self._collector = Collector(caller, queries, Allowance(max_requests), on_progress)
        self._sender = Sender(caller, self._collector, self._knowledge, self._cache)
        self._failures = Failures(self._try, self._ask_group, self._sender, self._collector, self._knowledge)

    async def outcomes(self) -> AsyncGenerator[Outcome[RowT], None]:
        """Yield the outcome of each query as it arrives."""
        driver = self._spawn(self._drive())
        driver.add_done_callback(lambda _: self._collector.arrived.put_nowait(None))
        try:
            while (outcome := await self._collector.arrived.get()) is not None:
                yield outcome
            if driver.cancelled():
                raise ClosedError("the client was closed during a run")
            driver.result()
        finally:
            driver.cancel()
            await asyncio.wait((driver,))

    async def _drive(self) -> None:
        self._collector.note()
        queries = list(self._collector.open)
        try:
            if self._cache is None:
                await self._ask_groups(self._plan(queries))
            else:
                await self._drive_with(self._cache, queries)
        except BaseExceptionGroup as failures:
            failure = first_of(failures)
        else:
            return
        finally:
            self._is_planned.set()
        if not isinstance(failure, EverythingFailsError):
            raise failure
        for query in list(self._collector.open):
            self._collector.fail(query, failure.error)

    async def _drive_with(self, cache: ReportCache, queries: Sequence[Query[RowT]]) -> None:
        await cache.find_account()
        self._since = cache.now()
        if known := await cache.recall():
            self._knowledge.add(known)
        await cache.recall_zones(queries)
        found = await cache.look(queries)
        if await cache.learn([query for query in queries if query not in found]):
            found = await cache.look(queries)
        stale: list[Query[RowT]] = []
        for query, kept in found.items():
            self._collector.hand_out(
                query, kept.report, kept.origin if kept.is_fresh else "stale", kept.asked_at
            )
            if not kept.is_fresh:
                stale.append(query)
        if stale:
            _ = self._spawn(self._refresh(cache, stale))
        missing = [query for query in queries if query not in found]
        unclear = {query.site_id for query in missing if depends_on_zone(query)}
        if self._is_fused and len(missing) > 1 and unclear:
            await cache.zones.learn(cache.caller, cache.store, unclear, now=cache.now())
        zones = {query.site_id: cache.zones.zone(query.site_id) for query in missing}
        self._knowledge.zones |= {site: zone for site, zone in zones.items() if zone is not None}
        await self._ask_groups(self._plan(missing), cache)

    def _plan(self, queries: Sequence[Query[RowT]]) -> Sequence[Fused[RowT]]:
        """Count the requests of the whole run and return them, or refuse them if they are too many."""
        groups = grouped(queries, self._knowledge, is_fused=self._is_fused)
        requests = count_requests(groups)
        if not self._collector.spend(requests):
            most = self._collector.allowance.most
            raise ArgumentError(
                f"{len(queries):,} queries take {requests:,} requests, more than max_requests={most}, and each is a "
                "pageview on the account; allow more, or leave out queries"
            )
        self._is_planned.set()
        return groups

    async def _ask_unless_others_do(self, group: Fused[RowT], cache: ReportCache) -> None:
        """Request what no other run of this client is about to request, then wait for the rest."""
        queries = [asked.query for asked in group.asked]
        with cache.declare(queries, self._caller.options.priority) as theirs:
            if not theirs:
                await self._ask_group(group)
                return
            self._sender.first.set()
            self._collector.spend(-count_requests([group]))
            await self._ask_all([query for query in queries if query not in theirs])
        if not self._waits:
            return
        options, speed = self._caller.options, self._caller.session.clock.speed
        patience = None if options.max_wait is None else options.max_wait / speed
        async with asyncio.TaskGroup() as waiting:
            ends = {query: asyncio.wait([end], timeout=patience) for query, end in theirs.items()}
            waits = [waiting.create_task(self._wait(query, end, cache)) for query, end in ends.items()]
        left = [query for wait in waits if (query := wait.result()) is not None]
        # What one run gave up is fused again, rather than requested one by one.
        is_over = {query for query in left if theirs[query].done()}
        await self._ask_all([query for query in left if query not in is_over])
        await self._ask_all([query for query in left if query in is_over], cache)

    async def _wait(
        self, query: Query[RowT], end: Awaitable[object], cache: ReportCache
    ) -> Query[RowT] | None:
        """Wait for another run's answer, and hand it out; return the query if there is none."""
        await end
        found = await cache.look_for_fresh([query], since=self._since)
        self._hand_out_kept(found)
        return None if found else query

    def _hand_out_kept(self, answers: Mapping[Query[RowT], Found[RowT]]) -> None:
        for query, kept in answers.items():
            self._collector.hand_out(query, kept.report, kept.origin, kept.asked_at)

    async def _refresh(self, cache: ReportCache, stale: Sequence[Query[RowT]]) -> None:
        """Refresh stale answers unless another run does."""
        session = self._caller.session
        # Background work: lowest priority, no max_wait.
        caller = Caller(session, Options(Priority.BULK, timeout=self._caller.options.timeout))
        again = Run(caller, stale, cache=cache, is_fused=self._is_fused)
        again._waits = False
        again._collector.allowance = self._collector.allowance
        again._since = self._since
        try:
            await cache.learn(stale)
            await self._is_planned.wait()
            await again._ask_all(stale, cache)
        except* ClosedError:
            pass
        except* EverythingFailsError as errors:
            _log.warning("stale answers could not be refreshed: %s", errors.exceptions[0])
        except* StoreError as errors:
            _log.warning("%d stale answers were not refreshed: %s", len(stale), errors.exceptions[0])
        while not again._collector.arrived.empty():
            outcome = again._collector.arrived.get_nowait()
            if outcome is not None and outcome.error is not None:
                _log.warning("a stale answer could not be refreshed: %s", outcome.error)

    async def _ask_all(self, queries: Sequence[Query[RowT]], cache: ReportCache | None = None) -> None:
        """Send as few requests as possible; with a cache, leave to other runs what they are about to request."""
        groups = grouped(queries, self._knowledge, is_fused=self._is_fused)
        await self._ask_groups(self._collector.admit(groups), cache)

    async def _ask_groups(self, groups: Sequence[Fused[RowT]], cache: ReportCache | None = None) -> None:
        async with asyncio.TaskGroup() as asking:
            for place, group in enumerate(groups):
                asking.create_task(self._ask_in_turn(group, cache, is_first=place == 0))

    async def _ask_in_turn(self, group: Fused[RowT], cache: ReportCache | None, *, is_first: bool) -> None:
        """Send a request, but not before the first one of a client has shown that the account may send any.

        Nor is the first one waited for when it is tried again: nothing is known of the account then.
        """
        if not is_first and not self._knowledge.is_confirmed:
            await self._sender.first.wait()
        await (self._ask_group(group) if cache is None else self._ask_unless_others_do(group, cache))
        self._sender.first.set()

    async def _ask_group(self, group: Fused[RowT]) -> None:
        if group.pattern_length > self._knowledge.longest_patterns:  # another request was refused meanwhile
            self._collector.spend(-count_requests([group]))
            await self._failures.ask_shorter(group)
            return
        error = await self._try(group)
        if error is not None:
            await self._failures.retry(group, error)

    async def _try(self, group: Fused[RowT]) -> FathomError | None:
        """Send one request and hand out its answers; return the error if it failed.

        Claims are held for exactly one request. Queries that it leaves open are claimed again, by this run or
        another: waiting for them while holding their claims would be a deadlock.
        """
        cache = self._cache
        if cache is None:
            return await self._finish(group, await self._sender.answer_to(group))
        if (known := await self._answer_kept(group, cache)) is not None:
            self._collector.spend(-count_requests([group]))
            await cache.put(known.reports, known.asked_at)  # a later look might not derive all of them again
            return await self._finish(group, known)
        async with AdmissionClaim(cache, [asked.query for asked in group.asked], self._since) as turn:
            try:
                answer = await self._sender.answer_to(group, turn.take)
            except GivenBackError:
                answer = None
            if isinstance(answer, Answer):
                # The request is spent: store its answer even if the caller is cancelled now.
                await asyncio.shield(self._spawn(cache.put(answer.kept, answer.asked_at)))
        if answer is not None:
            return await self._finish(group, answer)
        await self._go_on_after(turn, group, cache)
        return None

    async def _finish(self, group: Fused[RowT], answer: Answer[RowT] | FathomError) -> FathomError | None:
        """Hand out the parts of an answer, and request what it leaves open; return the error if it is one."""
        if isinstance(answer, FathomError):
            return answer
        self._hand_out_parts(group, answer)
        if answer.left:
            await self._ask_the_rest(group, answer)
        return None

    def _hand_out_parts(self, group: Fused[RowT], answer: Answer[RowT]) -> None:
        origin: Origin = "fused" if len(group.asked) > 1 else "asked"
        for query, report in answer.reports.items():
            self._collector.hand_out(query, report, origin, answer.asked_at)

    async def _ask_the_rest(self, group: Fused[RowT], answer: Answer[RowT]) -> None:
        """Request what an answer does not tell: in smaller boxes if it was cut off, otherwise as it was asked."""
        left = answer.left
        names = doubted(group, answer.report, left, self._knowledge)
        if names and await self._sender.check(group, answer.report, names):
            again = answer_to(group.only(left), answer.report, answer.asked_at, self._knowledge)
            self._hand_out_parts(group, again)
            if self._cache is not None and again.reports:
                await self._cache.put(again.reports, again.asked_at)
            left = again.left
        groups = fuse(left, self._knowledge) if answer.report.truncated else apart(left)
        if any(each.query == group.query for each in groups):
            groups = [one for query in left for one in fuse([query])]
        async with asyncio.TaskGroup() as asking:
            for each in self._collector.admit(groups):
                asking.create_task(self._ask_group(each))

    async def _answer_kept(self, group: Fused[RowT], cache: ReportCache) -> Answer[RowT] | None:
        """Return the answer to this fused request, if the store has it."""
        if len(group.asked) == 1:
            return None
        found = (await cache.look_for_fresh([group.query], since=self._since)).get(group.query)
        return None if found is None else answer_to(group, found.report, found.asked_at, self._knowledge)

    async def _go_on_after(self, turn: AdmissionClaim[RowT], group: Fused[RowT], cache: ReportCache) -> None:
        """Hand out what others have stored meanwhile, wait for what they have claimed, and request the rest."""
        self._sender.first.set()
        self._collector.spend(-count_requests([group]))
        self._hand_out_kept(turn.found)
        queries = [asked.query for asked in group.asked]
        async with asyncio.TaskGroup() as going_on:
            todo = [query for query in queries if query not in turn.found and query not in turn.taken]
            going_on.create_task(self._ask_all(todo))
            taken = turn.taken if self._waits else ()
            waits = [going_on.create_task(self._wait(query, cache.wait(query), cache)) for query in taken]
        await self._ask_all([query for wait in waits if (query := wait.result()) is not None])
