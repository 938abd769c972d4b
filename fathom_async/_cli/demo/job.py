"""The bulk job: many different reports, all started at once, along with the account's other requests.

Nothing here waits, counts or paces: the client does.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import aclosing
from datetime import timedelta
from itertools import count, islice, product
from typing import Final, TypeVar

from attrs import define, field

from fathom_async import FathomClient, FathomError, Outcome, PageviewQuery, PageviewRow, Report
from fathom_async._cli.bulk.overview import asked
from fathom_async._cli.demo.source import Source
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._util.text import counted
from fathom_async.reports import FieldGrouping, OnProgress, PageviewAggregate

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
    """The job and its results: the reports over all days by the site's name, and errors in words."""

    fathom: FathomClient
    source: Source
    reports_wanted: int
    reports: defaultdict[str, list[Report[PageviewRow]]] = field(factory=lambda: defaultdict(list))
    failures: list[str] = field(factory=list[str])
    started: float = field(factory=time.perf_counter)
    answered: float = field(factory=time.perf_counter)

    async def run(self, on_progress: OnProgress | None = None) -> None:
        sites = {site.id: site async for site in self.fathom.sites.list()}
        planned = plan_reports([*sites], self.source, self.reports_wanted)
        if len(planned) < self.reports_wanted:
            raise CommandError(
                f"there are {counted(len(planned), 'different report')} of this data, not {self.reports_wanted:,}",
                ExitCode.USAGE,
            )
        async with asyncio.TaskGroup() as group:
            for site in sites.values():
                group.create_task(self._ask(f"events of {site.name}", self.fathom.events.list(site.id)))
            group.create_task(self._draft())
            run = self.fathom.reports.run(planned, fuse=False, on_progress=on_progress)
            async with aclosing(run) as outcomes:
                async for outcome in outcomes:
                    self._take(outcome, sites[outcome.query.site_id].name)

    def _take(self, outcome: Outcome[PageviewRow], site_name: str) -> None:
        self.answered = time.perf_counter()
        query, report = outcome.query, outcome.report
        if report is None:
            self.failures.append(f"{site_name}: {asked(query)}: {outcome.error}")
        elif (query.date_from, query.date_to) == (self.source.begin, self.source.end):
            self.reports[site_name].append(report)

    async def _draft(self) -> None:
        sites = self.fathom.sites
        if draft := await self._ask("creating a site", sites.create(name="Draft")):
            await self._ask("updating a site", sites.update(draft.id, name="Draft, renamed"))
            await self._ask("deleting a site", sites.delete(draft.id))

    async def _ask(self, what: str, answer: Awaitable[T]) -> T | None:
        """Return an answer, or note a failure, which ends nothing else."""
        try:
            return await answer
        except FathomError as error:
            self.failures.append(f"{what}: {error}")
            return None
