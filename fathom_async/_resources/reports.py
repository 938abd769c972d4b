"""Endpoints of reports. Source: https://usefathom.com/api/v1#reports."""

from collections.abc import AsyncGenerator, Iterable
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from fathom_async import _endpoints as endpoints
from fathom_async._bulk.complete import complete
from fathom_async._bulk.live import LiveVisitors, check_sites, interval, watch
from fathom_async._bulk.request import by_the_hour
from fathom_async._bulk.results import BulkPlan, OnProgress, Outcome, checked, planned, reports_in_order
from fathom_async._bulk.run import Run
from fathom_async._cache.entry import CachePolicy
from fathom_async._cache.report_cache import Store, open_cache
from fathom_async._core.codec.rows import RowT
from fathom_async._core.session import Caller
from fathom_async._ratelimit.plan import Priority
from fathom_async._reports.fields import DateGrouping
from fathom_async._reports.query import Query
from fathom_async._reports.report import Report
from fathom_async.errors import ArgumentError
from fathom_async.models import CurrentVisitors

if TYPE_CHECKING:
    from fathom_async.backfill._destination import Destination
    from fathom_async.backfill._run import BackfillSummary


class ReportsResource:
    """Ad-hoc reports; all of them share the scarce reports lane. Source: https://usefathom.com/api/v1#reports."""

    def __init__(self, send: Caller) -> None:
        self._send = send

    async def aggregate(self, query: Query[RowT]) -> Report[RowT]:
        """Run one report.

        It is one request, except that more than 7 days by the hour are asked for in pieces of 7 days, which lie
        side by side without changing any figure.

        Args:
            query: A `PageviewQuery` or an `EventQuery`.

        Raises:
            QueryError: The pieces of the range would not make up the report; the message says why.
            NotFoundError: There is no such site, or the token cannot see it.
            ValidationError: The server refused the query, though it looked right.
        """
        return await (by_the_hour(query, self._ask) if query.exceeds_hour_span else self._ask(query))

    async def complete(self, query: Query[RowT]) -> Report[RowT]:
        """Run one report with every row, past the 1,000 rows at which the server stops.

        The groups are parted by filters, asked for part by part, and joined: two requests for each 1,000 rows at
        the most as a rule, and a few more. Parts are asked at different moments, so that a report which must be
        of one moment ends in the past. Rows come in the order of ``sort_by``, texts by code point.

        Args:
            query: A `PageviewQuery` or an `EventQuery` without a ``limit``.

        Raises:
            QueryError: The query has a limit.
            InseparableError: No filter tells some of the rows apart; the message says what to change.
            InconsistentError: The server's answers contradict each other, so that rows might be wrong or missing.
            ValidationError: The server refused the query, though it looked right.
        """
        return await complete(query, self._ask)

    def plan(self, queries: Iterable[Query[RowT]], *, fuse: bool = True) -> BulkPlan[RowT]:
        """Return what `run` would send for these queries, and how long it would take; nothing is sent.

        Args:
            queries: `PageviewQuery`s and `EventQuery`s.
            fuse: Whether to put queries together whose answers are contained in one.

        Raises:
            ArgumentError: One of them is no query.
            QueryError: One of them cannot be asked.
        """
        return planned(queries, self._send.session.lanes["reports"], is_fused=fuse)

    def run(
        self,
        queries: Iterable[Query[RowT]],
        *,
        fuse: bool = True,
        store: Store | None = None,
        keeping: CachePolicy | None = None,
        priority: Priority = Priority.BULK,
        on_progress: OnProgress | None = None,
    ) -> AsyncGenerator[Outcome[RowT], None]:
        """Run many reports in as few requests as will do, and yield the outcome of each as it comes.

        A query that fails is an outcome like any other. The run ends with the iteration; with a store, one that
        was broken off or killed and is started again asks only for what is missing.

        Args:
            queries: `PageviewQuery`s and `EventQuery`s.
            fuse: Whether to put queries together whose answers are contained in one. No answer changes.
            store: Where to keep answers: a path such as ``reports.db``, ``memory://``, ``redis://host:port/db``,
                which stay open until the client is closed; or a store that you opened. None keeps nothing.
            keeping: How long kept answers are good for; those of ranges that are over are so for ever.
            priority: Who goes first when requests wait; by default, everybody else's requests do.
            on_progress: Is told how far the run has come, at the start and whenever something is over.

        Raises:
            ArgumentError: One of them is no query, or the store's place is none.
            QueryError: One of them cannot be asked.
            StoreError: The store cannot be used.
            ClosedError: The client was closed.
        """
        if keeping is not None and store is None:
            raise ArgumentError("keeping says how long a store's answers are good for; name a store too")
        caller = self._send.with_priority(priority)
        cache = None if store is None else open_cache(caller, store, keeping or CachePolicy())
        run = Run(caller, checked(queries), cache=cache, is_fused=fuse, on_progress=on_progress)
        return run.outcomes()

    async def gather(
        self,
        queries: Iterable[Query[RowT]],
        *,
        fuse: bool = True,
        store: Store | None = None,
        keeping: CachePolicy | None = None,
        priority: Priority = Priority.BULK,
        on_progress: OnProgress | None = None,
    ) -> list[Report[RowT]]:
        """Run many reports as `run` does, and return them in the order asked.

        Args:
            queries: As in `run`, like everything else.
            fuse: See there.
            store: See there.
            keeping: See there.
            priority: See there.
            on_progress: See there.

        Raises:
            BulkError: Some queries failed; its `outcomes` have the reports of the others.
        """
        outcomes = self.run(
            queries, fuse=fuse, store=store, keeping=keeping, priority=priority, on_progress=on_progress
        )
        return await reports_in_order(outcomes)

    async def backfill(
        self,
        query: Query[RowT],
        *,
        target: "Destination | str" = "parquet:backfill",
        since: date | str,
        until: date | str | None = None,
        grouping: DateGrouping = "day",
        look_back: int = 3,
        incomplete: bool = False,
        priority: Priority = Priority.BULK,
    ) -> "BackfillSummary":
        """Bring a table up to date with a report, asking only for the periods that it does not have yet.

        Killed at any moment, it leaves whole periods behind, and the next one goes on. One target holds the same
        report of many sites or events, which are filled in one after the other.

        Args:
            query: What to ask; without a range, a limit and an order. The table has the columns ``site_id``, for
                events ``entity_name``, ``date``, the groupings and the aggregates.
            target: A `ParquetDataset`, `DuckDBTable` or `SqliteTable` of `fathom_async.backfill`, or such a target
                as a string: ``parquet:directory``, ``duckdb:file#table``, ``sqlite:file#table``. By default a
                Parquet dataset in the directory ``backfill``, which takes the extra ``fathom_async[arrow]``; another
                report needs a target of its own.
            since: The first day. The period that it is in is filled in whole.
            until: The last day, likewise; today unless given.
            grouping: The periods: ``hour``, ``day``, ``month`` or ``year``.
            look_back: How many periods a period must have been over for when it was asked for, so that it is not
                asked for again: data may come late.
            incomplete: Whether the period that is running is written too.
            priority: Who goes first when requests wait; by default, everybody else's requests do.

        Raises:
            ArgumentError: An argument is out of range, or the target holds another report or something else.
            QueryError: The query does not suit a table of periods.
            TargetBusyError: Another backfill is writing into the target.
            TargetError: The target cannot be used.
            ImportError: The target needs an extra that is not installed; the message names it.
        """
        from fathom_async.backfill._run import backfill  # noqa: PLC0415 - few need it

        send = self._send.with_priority(Priority(priority))

        async def zone() -> ZoneInfo | None:
            name = (await send(endpoints.site(query.site_id))).timezone
            return None if name is None else ZoneInfo(name)

        return await backfill(
            query,
            ReportsResource(send).complete,
            target=target,
            since=since,
            until=until,
            grouping=grouping,
            look_back=look_back,
            incomplete=incomplete,
            zone=zone,
            now=lambda: datetime.fromtimestamp(send.session.unix(), UTC),
        )

    async def current_visitors(self, site_id: str, *, detailed: bool = False) -> CurrentVisitors:
        """Return who is on a site right now.

        Args:
            site_id: Id of the site.
            detailed: Whether to return the top 150 pages and referrers too.

        Raises:
            ArgumentError: The id is empty.
            NotFoundError: There is no such site.
        """
        return await self._send(endpoints.current_visitors(site_id, detailed=detailed))

    def live(
        self, site_ids: Iterable[str], *, every: float = 60.0, share: float = 0.5, detailed: bool = False
    ) -> AsyncGenerator[LiveVisitors, None]:
        """Watch the current visitors of sites, until the iteration ends or the client is closed.

        One request at a time goes out, to the sites in turn and evenly spaced. An error is an outcome like any
        other, and does not end the iteration. Nothing runs between two steps of it.

        Args:
            site_ids: Ids of the sites.
            every: Seconds from one request for a site to the next; more of them where the share demands it.
            share: How much of the reports lane may be spent on this.
            detailed: Whether to return the top 150 pages and referrers too.

        Raises:
            ArgumentError: An argument is out of range, or an id is empty.
        """
        sites = check_sites(site_ids)
        seconds = interval(len(sites), every, share, self._send.session.lanes["reports"].limit)
        return watch(
            sites, seconds, partial(self.current_visitors, detailed=detailed), self._send.session.scope
        )

    async def _ask(self, query: Query[RowT]) -> Report[RowT]:
        return await self._send(endpoints.aggregation(query))
