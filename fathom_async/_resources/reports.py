"""Endpoints of reports. Source: https://usefathom.com/api/v1#reports."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from datetime import UTC, date, datetime
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, TypedDict, Unpack
from zoneinfo import ZoneInfo

from attrs import frozen

from fathom_async import _endpoints as endpoints
from fathom_async._bulk.complete import complete
from fathom_async._bulk.fusing import ServerKnowledge
from fathom_async._bulk.live import LiveVisitors, burst, check_sites, interval, watch
from fathom_async._bulk.request import by_the_hour
from fathom_async._bulk.results import BulkPlan, OnProgress, Outcome, checked, planned, reports_in_order
from fathom_async._bulk.run import Run
from fathom_async._cache.entry import CachePolicy
from fathom_async._cache.report_cache import ReportCache, Store, open_cache
from fathom_async._cache.site_zones import SiteZones
from fathom_async._core.codec.rows import RowT
from fathom_async._core.request import id_of
from fathom_async._core.session import Caller
from fathom_async._ratelimit.plan import Priority
from fathom_async._reports.comparison import Comparison
from fathom_async._reports.fields import DateGrouping
from fathom_async._reports.former import Question
from fathom_async._reports.periods import Period
from fathom_async._reports.query import Query, check_query
from fathom_async._reports.report import Report
from fathom_async._util.checks import site_zone
from fathom_async.errors import ArgumentError
from fathom_async.models import CurrentVisitors, Site

if TYPE_CHECKING:
    from fathom_async.backfill._destination import Destination
    from fathom_async.backfill._run import BackfillSummary


class BulkOptions(TypedDict, total=False):
    """The options of `ReportsResource.run`."""

    fuse: bool
    store: Store | None
    keeping: CachePolicy | None
    priority: Priority
    max_requests: int | None
    on_progress: OnProgress | None


@frozen(eq=False, repr=False)
class ReportsResource:
    """Reports, all through the scarce reports lane. Source: https://usefathom.com/api/v1#reports."""

    _send: Caller

    async def aggregate(self, query: Query[RowT]) -> Report[RowT]:
        """Run one report.

        It takes one request, or for more than 7 days by the hour, one for each 7 days.

        Args:
            query: A `PageviewQuery` or an `EventQuery`.

        Raises:
            QueryError: An hourly report cannot be assembled from parts of its range; the message says why.
            NotFoundError: The site does not exist, or the token cannot see it.
            ValidationError: The server rejected a query that passed all checks.
        """
        check_query("aggregate", query)
        return await (by_the_hour(query, self._ask) if query.exceeds_hour_span else self._ask(query))

    async def complete(
        self,
        query: Query[RowT],
        *,
        store: Store | None = None,
        keeping: CachePolicy | None = None,
        max_requests: int | None = None,
    ) -> Report[RowT]:
        """Run one report with every row, past the server's 1,000.

        Filters split the groups into parts, requested one by one and joined. It takes a request for each 1,000 rows
        and one or two more, or twice as many if the figures change meanwhile. Parts are of different moments: for a
        report of one moment, let the range end in the past. Rows are in the order of ``sort_by``, texts by code
        point.

        Args:
            query: A `PageviewQuery` or an `EventQuery` without a ``limit``.
            store: Where to keep the report; see `run`.
            keeping: How long it stays fresh.
            max_requests: The most requests to send; with 0, only the store answers.

        Raises:
            ArgumentError: The address of the store is invalid, or the report takes more than `max_requests`.
            StoreError: The store cannot be used.
            QueryError: The query has a limit.
            InseparableError: No filter can separate some of the rows; the message says what to change.
            InconsistentError: The server's answers contradict each other; rows may be wrong or missing.
            ValidationError: The server rejected a query that passed all checks.
        """
        check_query("complete", query)
        cache = self._cache(store, keeping)
        ask = partial(complete, query, self._ask, max_requests, now=self._send.session.clock.unix())
        return await (ask() if cache is None else cache.complete(query, ask))

    def plan(self, queries: Iterable[Query[RowT]], *, fuse: bool = True) -> BulkPlan[RowT]:
        """Return the requests that `run` would send for these queries, and their duration; sends nothing.

        Args:
            queries: `PageviewQuery`s and `EventQuery`s.
            fuse: Whether to fuse queries whose answers are contained in one.

        Raises:
            ArgumentError: One of them is not a query.
            QueryError: One of them cannot be answered.
        """
        session = self._send.session
        knowledge = session.scope.resource("knowledge", ServerKnowledge)
        return planned(queries, session.lanes["reports"], knowledge, is_fused=fuse)

    def run(
        self,
        queries: Iterable[Query[RowT]],
        *,
        fuse: bool = True,
        store: Store | None = None,
        keeping: CachePolicy | None = None,
        priority: Priority = Priority.BULK,
        max_requests: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> AsyncGenerator[Outcome[RowT], None]:
        """Run many reports in as few requests as possible, and yield each outcome as it arrives.

        A failed query is an outcome like any other. The run ends with the iteration. With a store, an interrupted run
        resumes: started again, it requests only what is missing.

        Args:
            queries: `PageviewQuery`s and `EventQuery`s.
            fuse: Whether to fuse queries whose answers are contained in one. No answer changes.
            store: Cache of answers: a path such as ``reports.db``, ``memory://`` or ``redis://host:port/db``, open
                until the client closes; or a store that you opened.
            keeping: How long answers stay fresh; those for ranges that have ended do so for good.
            priority: Order among waiting requests; behind all others by default.
            max_requests: The most requests to send, retries aside. A larger plan is rejected before any report is
                sent. A query that turns out to need more fails with `ArgumentError`. The list of sites, by which a
                store knows time zones, does not count.
            on_progress: Called with the progress at the start and after each step.

        Raises:
            ArgumentError: One of them is not a query, the plan has more requests than `max_requests`, or the address
                of the store is invalid.
            QueryError: One of them cannot be answered.
            StoreError: The store cannot be used.
            ClosedError: The client was closed.
        """
        resource = ReportsResource(self._send.for_run(priority))
        cache = resource._cache(store, keeping)
        run = Run(
            resource._send,
            checked(queries),
            cache=cache,
            is_fused=fuse,
            max_requests=max_requests,
            on_progress=on_progress,
        )
        return run.outcomes()

    async def gather(
        self, queries: Iterable[Query[RowT]], **options: Unpack[BulkOptions]
    ) -> list[Report[RowT]]:
        """Run many reports like `run`, and return them in the order of the queries.

        Args:
            queries: As in `run`.
            **options: Those of `run`.

        Raises:
            BulkError: Some queries failed; its `outcomes` include the other reports.
        """
        return await reports_in_order(self.run(queries, **options))

    async def compare(
        self,
        query: Query[RowT],
        *,
        to: str | Period = "previous period",
        over: str | Period | None = None,
        now: date | None = None,
        by_weekday: bool = False,
        store: Store | None = None,
        keeping: CachePolicy | None = None,
    ) -> Comparison[RowT]:
        """Run one report over two periods, in one run, and compare them.

        A current period, such as ``month to date``, is compared up to the last whole hour of the site's clock, with
        the same part of the previous one. Groups are requested without the ``limit``: a group that left the top is
        not gone.

        Args:
            query: A `PageviewQuery` or an `EventQuery`.
            to: ``previous period``: the one of the same length before it, which is a month for whole months and for
                ``month to date``; grouped by date, whole groups before, such as months; ``previous year``: the same
                dates a year before; or a `Period`.
            over: The period, in words such as ``last 30 days``, or a `Period`; the query's range by default.
            now: The moment on the site's clock, a date for the end of that day, or an aware moment; by default the
                present one. The site's time zone is needed while the period may run, and for words; see `time_zones`.
            by_weekday: Whether to go back by whole weeks, comparing Mondays with Mondays.
            store: Where to keep the answers; see `run`.
            keeping: How long they stay fresh.

        Raises:
            QueryError: There is no range, it lies in the future, or there is no such previous period.
            NotFoundError: The site does not exist, or the token cannot see it.
        """
        check_query("compare", query)
        question = Question(query, to, over, by_weekday)
        if now is None:
            now = datetime.fromtimestamp(self._send.session.clock.unix(), UTC)
            now = await self._on_clock(now, query, store) if question.depends_on_clock(now) else now
        elif isinstance(now, datetime) and now.tzinfo is not None:
            now = await self._on_clock(now, query, store)
        priority = self._send.options.priority
        run = self.run(question.queries(now), store=store, keeping=keeping, priority=priority)
        async with aclosing(run):
            both = sorted([outcome async for outcome in run], key=attrgetter("position"))
        current, previous = (outcome.result() for outcome in both)
        return Comparison(current, previous, query.limit)

    async def time_zones(
        self, site_ids: Iterable[str | Site], *, store: Store | None = None
    ) -> dict[str, ZoneInfo]:
        """Return the time zones of sites, for periods in words.

        They are kept for a day. Missing ones are requested in one list, in the other lane.

        Args:
            site_ids: Ids of the sites.
            store: Also keeps the time zones; see `run`.

        Raises:
            NotFoundError: Sites do not exist, or the token cannot see them; it names all.
        """
        cache, sites = self._cache(store, None), list(dict.fromkeys(map(id_of, site_ids)))
        zones = self._send.session.scope.resource("site zones", SiteZones)
        if cache is not None:
            await cache.find_account()
        now = self._send.session.clock.unix()
        return await zones.get(self._send, None if cache is None else cache.store, sites, now=now)

    async def forget(self, site_id: str | Site, *, since: date | str | None = None, store: Store) -> int:
        """Delete a site's answers from a store, after data was imported or corrected.

        Args:
            site_id: Id of the site.
            since: Delete only answers whose range ends then or later, or is open: a date, a datetime or an ISO string
                on the site's clock. If the site's time zone is unknown, answers in another one are deleted if they
                may end then.
            store: Where the answers are; see `run`.

        Returns:
            The number of deleted answers.

        Raises:
            StoreError: The store cannot be used.
        """
        return await open_cache(self._send, store, CachePolicy()).forget(id_of(site_id), since)

    async def backfill(
        self,
        query: Query[RowT],
        *,
        target: "Destination | str" = "parquet:backfill",
        since: date | str,
        until: date | str | None = None,
        grouping: DateGrouping = "day",
        look_back: int = 0,
        incomplete: bool = False,
        zone: "ZoneInfo | Callable[[], Awaitable[ZoneInfo | None]] | None" = None,
        priority: Priority = Priority.BULK,
        on_progress: OnProgress | None = None,
    ) -> "BackfillSummary":
        """Bring a table up to date with a report, requesting only the periods that are missing.

        A killed backfill leaves whole periods, and the next one continues. One target holds the same report of many
        sites or events, filled in one after the other.

        Args:
            query: The report, without a range, a limit and an order. The table has the columns ``site_id``, for
                events ``entity_name``, ``date``, the groupings and the aggregates.
            target: A `ParquetDataset`, `DuckDBTable` or `SqliteTable` of `fathom_async.backfill`, or such a target
                as a string: ``parquet:directory``, ``duckdb:file#table``, ``sqlite:file#table``. By default a
                Parquet dataset in the directory ``backfill``, which needs the extra ``fathom_async[arrow]``. Another
                report needs another target.
            since: The first day; the period that contains it is filled in whole.
            until: The last day, likewise; today by default.
            grouping: The periods: ``hour``, ``day``, ``month`` or ``year``.
            look_back: Number of the latest complete periods to request again in each run, for data that is added or
                corrected later, such as imports.
            incomplete: Whether to write the current period too.
            zone: The site's time zone, or a function that looks it up; requested by default.
            priority: Order among waiting requests; behind all others by default.
            on_progress: Called with the progress at the start and after each report. Reports by groups are as many
                as the rows so far suggest.

        Raises:
            ArgumentError: An argument is out of range, or the target holds something else than this report.
            QueryError: The query does not suit a table of periods.
            TargetBusyError: Another backfill is writing to the target.
            TargetError: The target cannot be used.
            InconsistentError: The server returned rows that were not requested, or two of the same group.
            ImportError: The target needs an extra that is not installed; the message names it.
        """
        from fathom_async.backfill._chunks import unheard  # noqa: PLC0415 - rarely needed
        from fathom_async.backfill._run import backfill, tell_progress  # noqa: PLC0415 - rarely needed

        check_query("backfill", query)
        send = self._send.for_run(Priority(priority))

        async def requested() -> ZoneInfo | None:
            name = (await send(endpoints.site(query.site_id))).timezone
            return None if name is None else site_zone(query.site_id, name)

        return await backfill(
            query,
            ReportsResource(send).complete,
            target=target,
            since=since,
            until=until,
            grouping=grouping,
            look_back=look_back,
            incomplete=incomplete,
            zone=zone or requested,
            now=lambda: datetime.fromtimestamp(send.session.clock.unix(), UTC),
            on_report=unheard if on_progress is None else partial(tell_progress, send, on_progress),
        )

    async def current_visitors(self, site_id: str | Site, *, detailed: bool = False) -> CurrentVisitors:
        """Return the current visitors of a site.

        Args:
            site_id: Id of the site.
            detailed: Whether to include the top 150 pages and referrers.

        Raises:
            ArgumentError: The id is empty.
            NotFoundError: The site does not exist.
        """
        return await self._send(endpoints.current_visitors(site_id, detailed=detailed))

    def live(
        self,
        site_ids: Iterable[str | Site],
        *,
        every: float = 60.0,
        share: float = 0.5,
        detailed: bool = False,
    ) -> AsyncGenerator[LiveVisitors, None]:
        """Watch the current visitors of sites, until the iteration ends or the client is closed.

        Requests are sent one at a time, for each site in turn: in the first round at once, as far as the share of a
        window goes, and then evenly spaced. An error is an outcome like any other, and does not end the iteration.
        Nothing runs between its steps.

        Args:
            site_ids: The sites, or their ids.
            every: Seconds between requests for a site; more if the share requires it.
            share: Share of the reports lane to spend at most.
            detailed: Whether to include the top 150 pages and referrers.

        Raises:
            ArgumentError: An argument is out of range, or an id is empty.
        """
        sites = check_sites(site_ids)
        session = self._send.session
        limit = session.lanes["reports"].limit
        seconds = interval(len(sites), every, share, limit)
        ask = partial(self.current_visitors, detailed=detailed)
        return watch(sites, seconds, ask, session.scope, at_once=burst(len(sites), share, limit))

    def _cache(self, store: Store | None, keeping: CachePolicy | None) -> ReportCache | None:
        if store is not None:
            return open_cache(self._send, store, keeping or CachePolicy())
        if keeping is not None:
            raise ArgumentError("keeping says how long a store's answers stay fresh; name a store too")
        return None

    async def _on_clock(self, moment: datetime, query: Query[RowT], store: Store | None) -> datetime:
        """Return a moment on the clock of a query."""
        if query.timezone is not None:
            return moment.astimezone(ZoneInfo(query.timezone))
        zones = await self.time_zones([query.site_id], store=store)
        return moment.astimezone(zones.get(query.site_id, UTC))

    async def _ask(self, query: Query[RowT]) -> Report[RowT]:
        return await self._send(endpoints.aggregation(query))
