"""The bulk job: many reports, all started at once, along with the account's other requests.

Nothing here waits, counts or paces: the client does.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

from attrs import define, field

from fathom_async import EventQuery, FathomClient, FathomError, PageviewRow, Report, Site
from fathom_async._cli.demo.catalogue import TRAFFIC, PlannedReport, plan_reports
from fathom_async._cli.demo.source import Source
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.formatting import counted

_SITES_LISTED = 1
_DRAFT_REQUESTS = 5
_RECENT = 5


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


@define
class DemoJob:
    """The job and its results.

    Attributes:
        fathom: The client.
        source: What is reported on.
        reports_wanted: How many reports.
        counts: By lane.
        reports: The reports over all days, by kind and by the site's name.
        visitors: Current visitors, by the site's name.
        recent: The last answers, in words.
        failures: Errors, in words.
        started: When the job began, in real seconds.
        answered: When the last report was answered, likewise.
    """

    fathom: FathomClient
    source: Source
    reports_wanted: int
    counts: Mapping[str, LaneCounts] = field(init=False)
    reports: defaultdict[str, dict[str, Report[PageviewRow]]] = field(factory=lambda: defaultdict(dict))
    visitors: dict[str, int] = field(factory=dict[str, int])
    recent: deque[str] = field(factory=lambda: deque[str](maxlen=_RECENT))
    failures: list[str] = field(factory=list[str])
    started: float = field(factory=time.perf_counter)
    answered: float = field(factory=time.perf_counter)

    def __attrs_post_init__(self) -> None:
        self.counts = {
            "reports": LaneCounts(self.reports_wanted),
            "crud": LaneCounts(_SITES_LISTED + _DRAFT_REQUESTS),
        }

    async def run(self) -> None:
        """Run the job.

        Raises:
            FathomError: The sites or their events could not be listed.
            CommandError: The data has fewer different reports.
        """
        planned = plan_reports(
            await self._list_events(), self.source.first, self.source.last, self.reports_wanted
        )
        if len(planned) < self.reports_wanted:
            raise CommandError(
                f"there are {counted(len(planned), 'different report')} of this data, not {self.reports_wanted:,}",
                ExitCode.USAGE,
            )
        self.counts["crud"].planned += sum(each.kind == TRAFFIC and each.is_whole for each in planned)
        async with asyncio.TaskGroup() as group:
            for each in planned:
                group.create_task(self._report(each))
            drafting = group.create_task(self._make_drafts())
        for draft in drafting.result():
            await self._delete(draft)

    async def _list_events(self) -> dict[Site, Sequence[str]]:
        """Return the sites, and the names of each one's events."""
        sites = [site async for site in self.fathom.sites.list()]
        crud = self.counts["crud"]
        crud.answered += _SITES_LISTED
        crud.planned += len(sites)
        names: dict[Site, Sequence[str]] = dict.fromkeys(sites, ())
        async with asyncio.TaskGroup() as group:
            for site in sites:
                group.create_task(self._list_events_of(site, names))
        return names

    async def _list_events_of(self, site: Site, names: dict[Site, Sequence[str]]) -> None:
        with self._counted("crud", f"events of {site.name}"):
            names[site] = [event.name async for event in self.fathom.events.list(site.id)]

    async def _report(self, planned: PlannedReport) -> None:
        name = planned.site.name
        with self._counted("reports", f"{planned} of {name}"):
            found = await self._fetch(planned)
            self.answered = time.perf_counter()
            self.recent.append(f"{name}: {planned}, {found}")
        if planned.is_whole and planned.kind == TRAFFIC and (report := self.reports[TRAFFIC].get(name)):
            await self._mark_busiest(planned.site, report)

    async def _fetch(self, planned: PlannedReport) -> str:
        """Get one report, keep it for the summary if it covers all days, and say what came."""
        name = planned.site.name
        if planned.query is None:
            visitors = await self.fathom.reports.current_visitors(planned.site.id)
            self.visitors[name] = visitors.total
            return counted(visitors.total, "visitor")
        if isinstance(planned.query, EventQuery):
            return counted(len(await self.fathom.reports.aggregate(planned.query)), "row")
        report = await self.fathom.reports.aggregate(planned.query)
        if planned.is_whole:
            self.reports[planned.kind][name] = report
        return counted(len(report), "row")

    async def _mark_busiest(self, site: Site, traffic: Report[PageviewRow]) -> None:
        """Leave a milestone on the day or hour with the most pageviews."""
        if not traffic.rows:
            return
        busiest = max(traffic, key=lambda row: row.pageviews or 0)
        with self._counted("crud", f"milestone of {site.name}"):
            await self.fathom.milestones.create(
                site.id,
                name=f"Busiest: {busiest.pageviews or 0:,} pageviews",
                milestone_date=f"{busiest.date:%Y-%m-%d}",
            )

    async def _make_drafts(self) -> Sequence[Site]:
        """Create, change and annotate a site; return no site if that fails."""
        made: list[Site] = []
        with self._counted("crud", "creating a site"):
            made.append(await self.fathom.sites.create(name="Draft", timezone="Europe/Berlin"))
        for draft in made:
            with self._counted("crud", "updating a site"):
                await self.fathom.sites.update(draft.id, name="Draft, renamed")
            with self._counted("crud", "creating a milestone"):
                await self.fathom.milestones.create(draft.id, name="Launch", milestone_date=self.source.last)
            with self._counted("crud", "reading a site"):
                await self.fathom.sites.get(draft.id)
        return made

    async def _delete(self, site: Site) -> None:
        with self._counted("crud", "deleting a site"):
            await self.fathom.sites.delete(site.id)

    @contextmanager
    def _counted(self, lane: str, what: str) -> Generator[None]:
        """Count one request as answered, or as failed; a failure ends nothing else."""
        try:
            yield
        except FathomError as error:
            self.counts[lane].failed += 1
            self.failures.append(f"{what}: {error}")
        else:
            self.counts[lane].answered += 1
