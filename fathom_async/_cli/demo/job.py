"""The bulk job: many different reports, all started at once, along with the account's other requests.

Nothing here waits, counts or paces: the client does.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import count, islice, product
from typing import Final, TypeVar

from attrs import define, field

from fathom_async import FathomClient, FathomError, PageviewQuery, PageviewRow, Report, Site
from fathom_async._cli.bulk.overview import asked
from fathom_async._cli.demo.source import Source
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.formatting import counted
from fathom_async.reports import FieldGrouping, PageviewAggregate

T = TypeVar("T")

_KINDS: Final[tuple[tuple[tuple[PageviewAggregate, ...], tuple[FieldGrouping, ...]], ...]] = (
    (("pageviews",), ()),
    (("pageviews", "uniques"), ("pathname",)),
    (("pageviews",), ("referrer_source",)),
    (("pageviews",), ("country_code",)),
    (("pageviews",), ("browser",)),
    (("pageviews",), ("device_type",)),
    (("visits",), ("entry_page",)),
    (("visits",), ("exit_page",)),
    (("pageviews",), ("operating_system",)),
    (("pageviews",), ("country_code", "city")),
    (("visits",), ("utm_source", "utm_campaign")),
    (("visits",), ("utm_medium",)),
    (("pageviews",), ("hostname",)),
    (("avg_duration", "bounce_rate"), ("entry_page",)),
)
"""Metrics and groupings of each kind of report; the first one is by date."""

_SECOND: Final = timedelta(seconds=1)
_SHORTEST: Final = timedelta(hours=1)
_HOURLY: Final = timedelta(days=3)
_OTHERS: Final = 4
"""Requests for the list of sites, and for the draft of a site."""

_RECENT: Final = 5


@define
class LaneCounts:
    """Counts of one lane's requests."""

    planned: int = 0
    answered: int = 0
    failed: int = 0

    @property
    def done(self) -> int:
        """Requests that have ended."""
        return self.answered + self.failed


def plan_reports(site_ids: Sequence[str], source: Source, most: int) -> list[PageviewQuery]:
    """Return different queries, up to a number.

    Every kind of report of every site comes first, over all days; after them the same over halves of the time,
    quarters, and so on.
    """
    return list(islice(_every_report(site_ids, source), most))


def _every_report(site_ids: Sequence[str], source: Source) -> Iterator[PageviewQuery]:
    whole = source.end + _SECOND - source.begin
    unit = "hour" if whole <= _HOURLY else "day"
    for parts in (2**power for power in count()):
        if parts > 1 and whole / parts < _SHORTEST:
            return
        for part in range(parts):
            first, after = (
                (source.begin + whole / parts * each).replace(microsecond=0) for each in (part, part + 1)
            )
            for (metrics, by), site_id in product(_KINDS, site_ids):
                query = PageviewQuery(site_id, aggregates=metrics, field_grouping=by)
                query = query.replace(date_from=first, date_to=after - _SECOND)
                yield query.replace(sort_by=f"{metrics[0]}:desc") if by else query.replace(date_grouping=unit)


@define
class DemoJob:
    """The job and its results.

    Attributes:
        fathom: The client.
        source: What is reported on.
        reports_wanted: How many reports.
        counts: By lane.
        reports: The reports over all days, by the site's name.
        recent: The last answers, in words.
        failures: Errors, in words.
        started: When the job began, in real seconds.
        answered: When the last report was answered, likewise.
    """

    fathom: FathomClient
    source: Source
    reports_wanted: int
    counts: Mapping[str, LaneCounts] = field(init=False)
    reports: defaultdict[str, list[Report[PageviewRow]]] = field(factory=lambda: defaultdict(list))
    recent: deque[str] = field(factory=lambda: deque[str](maxlen=_RECENT))
    failures: list[str] = field(factory=list[str])
    started: float = field(factory=time.perf_counter)
    answered: float = field(factory=time.perf_counter)

    def __attrs_post_init__(self) -> None:
        self.counts = {"reports": LaneCounts(self.reports_wanted), "crud": LaneCounts(_OTHERS)}

    async def run(self) -> None:
        """Run the job.

        Raises:
            FathomError: The sites could not be listed.
            CommandError: The data has fewer different reports.
        """
        sites = [site async for site in self.fathom.sites.list()]
        self.counts["crud"].answered += 1
        self.counts["crud"].planned += len(sites)
        planned = plan_reports([site.id for site in sites], self.source, self.reports_wanted)
        if len(planned) < self.reports_wanted:
            raise CommandError(
                f"there are {counted(len(planned), 'different report')} of this data, not {self.reports_wanted:,}",
                ExitCode.USAGE,
            )
        by_id = {site.id: site for site in sites}
        async with asyncio.TaskGroup() as group:
            for query in planned:
                group.create_task(self._report(query, by_id[query.site_id]))
            for site in sites:
                group.create_task(
                    self._ask("crud", f"events of {site.name}", self.fathom.events.list(site.id))
                )
            group.create_task(self._draft())

    async def _report(self, query: PageviewQuery, site: Site) -> None:
        what = f"{site.name}: {asked(query)}"
        report = await self._ask("reports", what, self.fathom.reports.aggregate(query))
        if report is None:
            return
        self.answered = time.perf_counter()
        self.recent.append(f"{what}, {counted(len(report), 'row')}")
        if (query.date_from, query.date_to) == (self.source.begin, self.source.end):
            self.reports[site.name].append(report)

    async def _draft(self) -> None:
        """Create, change and delete a site."""
        sites = self.fathom.sites
        if draft := await self._ask("crud", "creating a site", sites.create(name="Draft")):
            await self._ask("crud", "updating a site", sites.update(draft.id, name="Draft, renamed"))
            await self._ask("crud", "deleting a site", sites.delete(draft.id))

    async def _ask(self, lane: str, what: str, answer: Awaitable[T]) -> T | None:
        """Count one request as answered, or as failed; a failure ends nothing else."""
        try:
            found = await answer
        except FathomError as error:
            self.counts[lane].failed += 1
            self.failures.append(f"{what}: {error}")
            return None
        self.counts[lane].answered += 1
        return found
