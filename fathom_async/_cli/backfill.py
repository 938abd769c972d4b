"""``fathom backfill``."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from attrs import define, frozen
from cyclopts import Parameter, validators
from rich.console import Console

from fathom_async import EventQuery, FathomClient, PageviewQuery, Priority, Progress, RetryPolicy
from fathom_async._cli.bulk.eta import reporting
from fathom_async._cli.connection import connect, run_async
from fathom_async._cli.failures import CommandError, interruption
from fathom_async._cli.named_sites import site_ids
from fathom_async._cli.output import say
from fathom_async._cli.progress import is_screen, telling
from fathom_async._cli.query_options import Names, Selection
from fathom_async._cli.report import check_event
from fathom_async.reports import DateGrouping, EventAggregate, OnProgress, PageviewAggregate, Query, Row

Metric = PageviewAggregate | EventAggregate

_METRICS: Final[tuple[PageviewAggregate, ...]] = ("pageviews", "visits")
_EVENT_METRICS: Final[tuple[EventAggregate, ...]] = ("conversions", "unique_conversions")


@Parameter(name="*")
@frozen(kw_only=True)
class Columns(Selection):
    """Columns of the table."""

    event: str | None = None
    """Copy the completions of this event instead of pageviews."""

    metrics: Annotated[tuple[Metric, ...], Names] = ()
    """Metrics, separated by commas: pageviews,visits, or conversions,value (in cents) of an event."""

    def query(self, site: str) -> Query[Row]:
        metrics = self.metrics or (_METRICS if self.event is None else _EVENT_METRICS)
        if self.event is None:
            return self.selected(PageviewQuery, site_id=site, aggregates=metrics)
        return self.selected(EventQuery, site_id=site, entity_name=self.event, aggregates=metrics)


@Parameter(name="*")
@frozen(kw_only=True)
class Periods:
    """Rows of the table."""

    since: str
    """First day, such as 2026-01-31."""

    until: str | None = None
    """Last day; today by default."""

    per: DateGrouping = "day"
    """Length of a period."""

    look_back: Annotated[int, Parameter(validator=validators.Number(gte=0))] = 0
    """Request this many of the latest complete periods again, for data that is added later, such as imports."""

    incomplete: bool = False
    """Write the current period too."""


WHOLE = Columns()


def backfill(*sites: str, target: str, columns: Columns = WHOLE, periods: Periods) -> None:
    """Update a table from a report; request only the periods that it lacks.

    Each period is replaced as a whole, so the table is consistent whenever the command ends. Sites share one table.

    Args:
        sites: Names, domains or IDs of the sites; by default that of FATHOM_SITE.
        target: Destination: parquet:directory, duckdb:file#table or sqlite:file#table.
        columns: Columns of the table.
        periods: Rows of the table.
    """
    columns.query("CDBUGS")  # errors come before any request
    queries = [columns.query(site) for site in dict.fromkeys(site_ids(sites or ["."], is_read=True))]
    try:
        run_async(partial(_fill, queries, target, periods))
    except KeyboardInterrupt as error:
        raise CommandError(
            f"interrupted; {target} is consistent: run the same command again to resume",
            interruption(error),
        ) from None


@define
class _Job:
    """How far the backfills of several sites are, if those to come take as many requests as the present one."""

    fathom: FathomClient
    sites_left: int
    _before: int = 0
    _done: int = 0

    def tell(self, stop: Callable[[], None], show: OnProgress, progress: Progress) -> None:
        """Show it instead of what the first request waits for; the end only in a terminal, as a summary follows."""
        stop()
        self._done = self._before + progress.done
        total = self._before + progress.requests * self.sites_left
        if self._done < total or (total and is_screen(Console(stderr=True))):
            left = self.fathom.eta(total - self._done, lane="reports") if self._done < total else 0.0
            show(Progress(total, self._done, requests=total, answered=self._done, seconds_left=left))

    def end_site(self) -> None:
        self._before = self._done
        self.sites_left -= 1


async def _fill(queries: list[Query[Row]], target: str, periods: Periods) -> None:
    sites = [query.site_id for query in queries]
    async with connect(retry=RetryPolicy()) as fathom:

        async def zone_of(site_id: str) -> ZoneInfo | None:
            return (await fathom.reports.time_zones(sites)).get(site_id)  # one list for all sites

        # Its place in the queue tells the time left.
        asking = fathom.with_options(priority=Priority.BULK, flow="backfill")
        job = _Job(asking, len(queries))
        for query in queries:
            async with telling(asking) as stop, reporting(asking) as show:
                summary = await asking.reports.backfill(
                    query,
                    target=target,
                    since=periods.since,
                    until=periods.until,
                    grouping=periods.per,
                    look_back=periods.look_back,
                    incomplete=periods.incomplete,
                    zone=partial(zone_of, query.site_id),
                    on_progress=partial(job.tell, stop, show),
                )
            job.end_site()
            if isinstance(query, EventQuery) and not summary.rows:
                await check_event(fathom, query)
            say(f"{query.site_id} into {summary}")
