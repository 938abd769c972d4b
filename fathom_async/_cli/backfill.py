"""``fathom backfill``."""

from functools import partial
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from attrs import frozen
from cyclopts import Parameter, validators

from fathom_async import EventQuery, PageviewQuery, RetryPolicy
from fathom_async._cli.connection import connect, run_async
from fathom_async._cli.failures import CommandError, interruption
from fathom_async._cli.named_sites import site_ids
from fathom_async._cli.output import stdout_console
from fathom_async._cli.progress import telling
from fathom_async._cli.query_options import Names, Selection
from fathom_async._cli.report import check_event
from fathom_async.reports import DateGrouping, EventAggregate, PageviewAggregate, Query, Row

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


async def _fill(queries: list[Query[Row]], target: str, periods: Periods) -> None:
    console = stdout_console()
    sites = [query.site_id for query in queries]
    async with connect(retry=RetryPolicy()) as fathom:

        async def zone_of(site_id: str) -> ZoneInfo | None:
            return (await fathom.reports.time_zones(sites)).get(site_id)  # one list for all sites

        for query in queries:
            async with telling(fathom):
                summary = await fathom.reports.backfill(
                    query,
                    target=target,
                    since=periods.since,
                    until=periods.until,
                    grouping=periods.per,
                    look_back=periods.look_back,
                    incomplete=periods.incomplete,
                    zone=partial(zone_of, query.site_id),
                )
            if isinstance(query, EventQuery) and not summary.rows:
                await check_event(fathom, query)
            console.print(f"{query.site_id} into {summary}", markup=False, soft_wrap=True)
