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
from collections import defaultdict
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from functools import partial
from typing import Final, Generic

import attrs

from fathom_async._bulk.fusing import (
    Fused,
    ServerKnowledge,
    apart,
    check_of,
    depends_on_zone,
    doubted,
    fuse,
    is_exact,
)
from fathom_async._bulk.request import (
    AdmissionClaim,
    Admitted,
    Answer,
    GivenBackError,
    answer_to,
    as_asked,
    ask,
    is_rejected,
    is_too_long,
    may_be_about_all,
    may_succeed_in_part,
)
from fathom_async._bulk.results import OnProgress, Origin, Outcome, Progress, grouped
from fathom_async._cache.report_cache import Found, ReportCache
from fathom_async._core.codec.rows import RowT
from fathom_async._core.session import Caller, Options
from fathom_async._ratelimit.plan import Priority
from fathom_async._reports.query import Query, hour_chunks
from fathom_async._reports.report import Report
from fathom_async._util.tasks import first_of, gather_all
from fathom_async.errors import ArgumentError, ClosedError, FathomError, StoreError

_log = logging.getLogger("fathom_async")


_PROBES: Final = 3
"""Sites that are asked, when one has failed, before all are believed to fail."""


class _EverythingFailsError(Exception):
    """The account or its token is at fault, so that every request fails with this error."""

    def __init__(self, error: FathomError) -> None:
        super().__init__(str(error))
        self.error = error


class Run(Generic[RowT]):
    """Carries many queries to their outcomes.

    Args:
        caller: Sends the requests.
        queries: The queries.
        cache: Stores the answers; None stores none.
        is_fused: Whether to fuse queries.
        max_requests: The most requests that the plan may have.
        on_progress: Called with the progress of the run.
    """

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
        self._max_requests = max_requests
        self._caller = caller
        self._priority = caller.options.priority
        self._spawn = caller.session.scope.spawn
        self._waits = True
        self._since = 0.0
        self._knowledge = caller.session.scope.resource("knowledge", ServerKnowledge)
        self._cache = cache and attrs.evolve(cache, exact=self._knowledge.trusted)
        self._is_fused = is_fused
        self._on_progress = on_progress
        self._queries = tuple(queries)
        self._asking = 0
        self._queued = 0
        self._positions: dict[Query[RowT], list[int]] = defaultdict(list)
        for position, query in enumerate(self._queries):
            self._positions[query].append(position)
        self._open = set(self._positions)
        self._first = asyncio.Event()
        self._probing = asyncio.Lock()
        self._is_about_all: bool | None = None
        self._outcomes: asyncio.Queue[Outcome[RowT] | None] = asyncio.Queue()
        self._progress = Progress(queries=len(self._queries))

    async def outcomes(self) -> AsyncGenerator[Outcome[RowT], None]:
        """Yield the outcome of each query as it arrives.

        Raises:
            StoreError: The store cannot be used.
            ClosedError: The client was closed.
        """
        driver = self._spawn(self._drive())
        driver.add_done_callback(lambda _: self._outcomes.put_nowait(None))
        try:
            while (outcome := await self._outcomes.get()) is not None:
                yield outcome
            if driver.cancelled():
                raise ClosedError("the client was closed during a run")
            driver.result()
        finally:
            driver.cancel()
            await asyncio.wait((driver,))

    async def _drive(self) -> None:
        self._note()
        queries = list(self._positions)
        try:
            if self._cache is None:
                await self._ask_groups(self._plan(queries))
            else:
                await self._drive_with(self._cache, queries)
        except BaseExceptionGroup as failures:
            failure = first_of(failures)
        else:
            return
        if not isinstance(failure, _EverythingFailsError):
            raise failure
        for query in self._open.copy():
            self._fail(query, failure.error)

    async def _drive_with(self, cache: ReportCache, queries: Sequence[Query[RowT]]) -> None:
        self._since = cache.now()
        if known := await cache.recall():
            self._knowledge.add(known)
        at_once = cache.keeping.stale_while_revalidate > 0
        found = await cache.look(queries)
        if not at_once and await cache.learn(queries):
            found = await cache.look(queries)
        stale: list[Query[RowT]] = []
        for query, kept in found.items():
            self._hand_out(query, kept.report, kept.origin if kept.is_fresh else "stale", kept.asked_at)
            if not kept.is_fresh:
                stale.append(query)
        if found and at_once:
            _ = self._spawn(self._refresh(cache, found, stale))
        missing = [query for query in queries if query not in found]
        await cache.learn(missing)
        unclear = {query.site_id for query in missing if depends_on_zone(query)}
        if self._is_fused and len(missing) > 1 and unclear:
            await cache.zones.learn(cache.caller, cache.store, unclear, now=cache.now())
        zones = {query.site_id: cache.zones.zone(query.site_id) for query in missing}
        self._knowledge.zones |= {site: zone for site, zone in zones.items() if zone is not None}
        await self._ask_groups(self._plan(missing), cache)

    def _plan(self, queries: Sequence[Query[RowT]]) -> Sequence[Fused[RowT]]:
        """Return the requests of the whole run, or refuse them if they are too many."""
        groups = grouped(queries, self._knowledge, is_fused=self._is_fused)
        requests = sum(_requests(group.query) for group in groups)
        if self._max_requests is not None and requests > self._max_requests:
            raise ArgumentError(
                f"{len(queries):,} queries take {requests:,} requests, more than max_requests={self._max_requests}, "
                "and each is a pageview on the account; allow more, or leave out queries"
            )
        return groups

    async def _ask_unless_others_do(self, group: Fused[RowT], cache: ReportCache) -> None:
        """Request what no other run of this client is about to request, then wait for the rest."""
        queries = [asked.query for asked in group.asked]
        with cache.declare(queries, self._priority) as theirs:
            if not theirs:
                await self._ask_group(group)
                return
            self._first.set()
            self._note(requests=-_requests(group.query))
            await self._ask_all([query for query in queries if query not in theirs])
        if not self._waits:
            return
        options, speed = self._caller.options, self._caller.session.speed
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
        return None if await self._serve(cache, [query]) else query

    async def _serve(self, cache: ReportCache, queries: Iterable[Query[RowT]]) -> Collection[Query[RowT]]:
        """Hand out the answers that others have stored meanwhile; return their queries."""
        fresh = await cache.look_for_fresh(queries, since=self._since)
        self._hand_out_kept(fresh)
        return fresh

    def _hand_out_kept(self, answers: Mapping[Query[RowT], Found[RowT]]) -> None:
        for query, kept in answers.items():
            self._hand_out(query, kept.report, kept.origin, kept.asked_at)

    async def _refresh(
        self, cache: ReportCache, served: Iterable[Query[RowT]], stale: Sequence[Query[RowT]]
    ) -> None:
        """Look up the time zones that were missing, and refresh stale answers unless another run does."""
        session = self._caller.session
        # Background work: lowest priority, no max_wait.
        caller = Caller(session, Options(Priority.BULK, timeout=self._caller.options.timeout))
        again = Run(caller, stale, cache=cache, is_fused=self._is_fused)
        again._waits = False
        again._since = self._since
        try:
            await cache.learn(served)
            await again._ask_all(stale, cache)
        except* ClosedError:
            pass
        except* _EverythingFailsError as errors:
            _log.warning("stale answers could not be refreshed: %s", errors.exceptions[0])
        except* StoreError as errors:
            _log.warning("%d stale answers were not refreshed: %s", len(stale), errors.exceptions[0])
        while not again._outcomes.empty():
            outcome = again._outcomes.get_nowait()
            if outcome is not None and outcome.error is not None:
                _log.warning("a stale answer could not be refreshed: %s", outcome.error)

    async def _ask_all(self, queries: Sequence[Query[RowT]], cache: ReportCache | None = None) -> None:
        """Send as few requests as possible; with a cache, leave to other runs what they are about to request."""
        await self._ask_groups(grouped(queries, self._knowledge, is_fused=self._is_fused), cache)

    async def _ask_groups(self, groups: Sequence[Fused[RowT]], cache: ReportCache | None = None) -> None:
        self._note(requests=sum(_requests(group.query) for group in groups))
        async with asyncio.TaskGroup() as asking:
            for place, group in enumerate(groups):
                asking.create_task(self._ask_in_turn(group, cache, is_first=place == 0))

    async def _ask_in_turn(self, group: Fused[RowT], cache: ReportCache | None, *, is_first: bool) -> None:
        """Send a request, but not before the first one of a client has shown that the account may send any.

        Nor is the first one waited for when it is tried again: nothing is known of the account then.
        """
        if not is_first and not self._knowledge.is_confirmed:
            await self._first.wait()
        await (self._ask_group(group) if cache is None else self._ask_unless_others_do(group, cache))
        self._first.set()

    async def _ask_group(self, group: Fused[RowT]) -> None:
        if group.pattern_length > self._knowledge.longest_patterns:  # another request was refused meanwhile
            await self._ask_shorter(group)
            return
        error = await self._try(group)
        if error is not None:
            await self._ask_in_halves(group, error)

    async def _ask_in_halves(self, group: Fused[RowT], error: FathomError) -> None:
        """Split a failed group and retry its halves, so that one bad query does not fail the others."""
        if may_be_about_all(error):
            await self._probe(group, error)
        if is_too_long(error) and group.pattern_length:
            self._knowledge.longest_patterns = min(
                self._knowledge.longest_patterns, group.pattern_length // 2
            )
            if self._cache is not None:
                await self._cache.remember(self._knowledge.to_json())
            await self._ask_shorter(group)
            return
        queries = [asked.query for asked in group.asked]
        if len(queries) == 1 or not may_succeed_in_part(error):
            for query in queries:
                self._fail(query, error)
            return
        middle = len(queries) // 2
        halves = [*fuse(queries[:middle], self._knowledge), *fuse(queries[middle:], self._knowledge)]
        self._note(requests=sum(_requests(half.query) for half in halves))
        failures = await gather_all(self._try(half) for half in halves)
        # If every half fails and the queries are not at fault, the server is: stop retrying.
        is_over = all(failures) and not is_rejected(error)
        for half, failure in zip(halves, failures, strict=True):
            if failure is not None and is_over:
                for asked in half.asked:
                    self._fail(asked.query, failure)
            elif failure is not None:
                await self._ask_in_halves(half, failure)

    async def _ask_shorter(self, group: Fused[RowT]) -> None:
        """Request the queries of a group with fewer values in a URL; the first request tells whether that helps."""
        first, *others = fuse([asked.query for asked in group.asked], self._knowledge)
        self._note(requests=_requests(first.query) + sum(_requests(each.query) for each in others))
        await self._ask_group(first)
        async with asyncio.TaskGroup() as asking:
            for each in others:
                asking.create_task(self._ask_group(each))

    async def _probe(self, group: Fused[RowT], error: FathomError) -> None:
        """Send a query of each of a few other sites, if there are any, to see whether they fail in the same way.

        Raises:
            _EverythingFailsError: All do, so that all others would, too.
        """
        async with self._probing:
            others = self._probes(group)
            if others and self._is_about_all is None:
                self._is_about_all = True
                for query in others:
                    if not await self._fails_alike(Fused.of(query), error):
                        self._is_about_all = False
                        break
        if self._is_about_all or not others:
            raise _EverythingFailsError(error)

    def _probes(self, group: Fused[RowT]) -> Sequence[Query[RowT]]:
        """Return the last query of each of the last few other sites, or else another query of the same one."""
        by_site: dict[str, Query[RowT]] = {}
        for query in self._positions:
            if query in self._open and query != group.query:
                by_site[query.site_id] = query
        same = by_site.pop(group.query.site_id, None)
        return [*by_site.values()][-_PROBES:] or ([] if same is None else [same])

    async def _fails_alike(self, probe: Fused[RowT], error: FathomError) -> bool:
        self._note(requests=1)
        answer = await self._answer_to(probe)
        if isinstance(answer, Answer):
            await self._finish(probe, answer)
            return False
        self._note(answered=1)
        return type(answer) is type(error) and may_be_about_all(answer)

    async def _try(self, group: Fused[RowT]) -> FathomError | None:
        """Send one request and hand out its answers; return the error if it failed.

        Claims are held for exactly one request. Queries that it leaves open are claimed again, by this run or
        another: waiting for them while holding their claims would be a deadlock.
        """
        cache = self._cache
        if cache is None:
            return await self._finish(group, await self._answer_to(group))
        if (known := await self._answer_kept(group, cache)) is not None:
            return await self._finish(group, known)
        async with AdmissionClaim(cache, [asked.query for asked in group.asked], self._since) as turn:
            try:
                answer = await self._answer_to(group, turn.take)
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
        """Hand out the parts of an answer, or request each query by itself; return the error if it is one."""
        self._note(answered=_requests(group.query))
        if isinstance(answer, FathomError):
            return answer
        self._hand_out_parts(group, answer)
        if answer.left:
            await self._ask_the_rest(group, answer)
        return None

    def _hand_out_parts(self, group: Fused[RowT], answer: Answer[RowT]) -> None:
        origin: Origin = "fused" if len(group.asked) > 1 else "asked"
        for query, report in answer.reports.items():
            self._hand_out(query, report, origin, answer.asked_at)

    async def _ask_the_rest(self, group: Fused[RowT], answer: Answer[RowT]) -> None:
        """Request what an answer does not tell: in smaller boxes if it was cut off, otherwise as it was asked."""
        left = answer.left
        names = doubted(group, answer.report, left, self._knowledge)
        if names and await self._check(group, answer.report, names):
            again = answer_to(group.only(left), answer.report, answer.asked_at, self._knowledge)
            self._hand_out_parts(group, again)
            if self._cache is not None and again.reports:
                await self._cache.put(again.reports, again.asked_at)
            left = again.left
        groups = fuse(left, self._knowledge) if answer.report.truncated else apart(left)
        if any(each.query == group.query for each in groups):
            groups = [one for query in left for one in fuse([query])]
        self._note(requests=sum(_requests(each.query) for each in groups))
        async with asyncio.TaskGroup() as asking:
            for each in groups:
                asking.create_task(self._ask_group(each))

    async def _check(self, group: Fused[RowT], report: Report[RowT], names: Collection[str]) -> bool:
        """Find out whether the server compares the texts of properties exactly; return whether it does for one."""
        for name in names:
            query = check_of(group, report, name)
            if query is not None and name not in self._knowledge.exact:
                work = partial(self._ask_check, name, query)
                await self._caller.session.scope.share(("check", name), work)
        return any(self._knowledge.exact.get(name) for name in names)

    async def _ask_check(self, name: str, query: Query[RowT]) -> None:
        self._note(requests=1)
        answer = await self._answer_to(Fused.of(query))
        self._note(answered=1)
        if isinstance(answer, Answer):
            self._knowledge.exact[name] = is_exact(answer.report)
            if self._cache is not None:
                await self._cache.remember(self._knowledge.to_json())

    async def _answer_kept(self, group: Fused[RowT], cache: ReportCache) -> Answer[RowT] | None:
        """Return the answer to this fused request, if the store has it."""
        if len(group.asked) == 1:
            return None
        found = (await cache.look_for_fresh([group.query], since=self._since)).get(group.query)
        return None if found is None else answer_to(group, found.report, found.asked_at, self._knowledge)

    async def _go_on_after(self, turn: AdmissionClaim[RowT], group: Fused[RowT], cache: ReportCache) -> None:
        """Hand out what others have stored meanwhile, wait for what they have claimed, and request the rest."""
        self._first.set()
        self._note(requests=-_requests(group.query))
        self._hand_out_kept(turn.found)
        queries = [asked.query for asked in group.asked]
        async with asyncio.TaskGroup() as going_on:
            todo = [query for query in queries if query not in turn.found and query not in turn.taken]
            going_on.create_task(self._ask_all(todo))
            taken = turn.taken if self._waits else ()
            waits = [going_on.create_task(self._wait(query, cache.wait(query), cache)) for query in taken]
        await self._ask_all([query for wait in waits if (query := wait.result()) is not None])

    async def _answer_to(
        self, group: Fused[RowT], on_admitted: Admitted | None = None
    ) -> Answer[RowT] | FathomError:
        """Send the request, and count its chunks that wait for admission."""
        chunks = queued = _requests(group.query)
        attempts = 0
        self._asking += chunks
        self._queued += queued

        def leave() -> None:
            nonlocal queued
            if queued:  # a chunk that is retried leaves more than once
                queued -= 1
                self._queued -= 1

        async def admit() -> None:
            nonlocal attempts
            attempts += 1
            if attempts > chunks:  # it failed in a way that may pass: only many requests show an outage
                self._first.set()
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
            return error
        finally:
            self._asking -= chunks
            self._queued -= queued
        self._knowledge.is_confirmed = True
        self._first.set()
        if group.open_fields:
            self._knowledge.learn(report, group.open_fields, group.days)
        return answer_to(group, report, asked_at, self._knowledge)

    def _hand_out(self, query: Query[RowT], report: Report[RowT], origin: Origin, asked_at: float) -> None:
        if query not in self._open:
            return
        for position in self._positions[query]:
            asked = self._queries[position]
            answer = as_asked(asked, report)
            self._outcomes.put_nowait(Outcome(asked, answer, None, origin, asked_at, position))
        self._open.discard(query)
        times = len(self._positions[query])
        is_kept, telemetry = origin in {"kept", "implied", "stale"}, self._caller.session.telemetry
        telemetry.queries[origin] += times
        self._note(
            done=times,
            kept=times * is_kept,
            implied=times * (origin == "implied"),
            fused=times * (origin == "fused"),
        )

    def _fail(self, query: Query[RowT], error: FathomError) -> None:
        if query not in self._open:
            return
        for position in self._positions[query]:
            asked = self._queries[position]
            self._outcomes.put_nowait(Outcome(asked, None, error, position=position))
        self._open.discard(query)
        self._note(done=len(self._positions[query]), failed=len(self._positions[query]))

    def _note(self, **more: int) -> None:
        """Update the counts, and report the progress."""
        counted = {name: getattr(self._progress, name) + number for name, number in more.items()}
        self._progress = attrs.evolve(self._progress, **counted)
        if self._on_progress is not None:
            self._on_progress(attrs.evolve(self._progress, seconds_left=self._seconds_left()))

    def _seconds_left(self) -> float:
        """Return the seconds until the last request is admitted; the lane counts those already waiting."""
        to_come = self._progress.requests - self._progress.answered - self._asking
        if not to_come and not self._queued:
            return 0.0
        return self._caller.session.lanes["reports"].eta(to_come, self._priority, self._caller.options.flow)


def _requests(query: Query[RowT]) -> int:
    return len(hour_chunks(query))
