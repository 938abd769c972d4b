"""One run of a job file, from its plan to its last file."""

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

from attrs import define, field

from fathom_async import (
    BudgetError,
    CachePolicy,
    DecodeError,
    FathomClient,
    FathomError,
    Priority,
    Progress,
    RateLimitError,
    Report,
    RetryPolicy,
    ServerError,
    TransportError,
)
from fathom_async._cli.bulk.asking import Answer, Asking
from fathom_async._cli.bulk.eta import reporting
from fathom_async._cli.bulk.overview import Overview, headline
from fathom_async._cli.bulk.report_files import prepare, write_dataset, write_report
from fathom_async._cli.bulk.report_spec import (
    ReportSpec,
    RunOptions,
    read_jobs,
    sites_to_locate,
    wanted,
)
from fathom_async._cli.bulk.unfinished import Unfinished
from fathom_async._cli.connection import connect
from fathom_async._cli.credentials import address
from fathom_async._cli.failures import CommandError
from fathom_async._cli.output import note
from fathom_async._cli.progress import telling
from fathom_async._util.text import counted
from fathom_async.store import ReportStore, open_store

_KEEPING = CachePolicy()
_FLOW: Final = "fathom run"
_TEMPORARY = (TransportError, ServerError, RateLimitError, DecodeError, BudgetError)


@define
class RunSummary:
    """Results of a run so far.

    Attributes:
        progress: Progress of the run; None before it begins.
        done: Number of reports that were answered.
        failed: Failed reports, and their errors.
        cut: Reports that may lack rows, because they have the most that the server returns.
        rows: Number of rows written.
        places: The dataset, or the directories written to.
        pageviews: The cost on the account's bill: every request, also the list of sites for their time zones.
    """

    progress: Progress | None = None
    done: int = 0
    failed: list[tuple[ReportSpec, FathomError]] = field(factory=list[tuple[ReportSpec, FathomError]])
    cut: list[ReportSpec] = field(factory=list[ReportSpec])
    rows: int = 0
    places: set[Path] = field(factory=set[Path])
    pageviews: int = 0

    @property
    def may_be_retried(self) -> bool:
        """Whether a failure may be temporary, so that the run can be resumed."""
        return any(isinstance(error, _TEMPORARY) for _, error in self.failed)


def overview_of(fathom: FathomClient, reports: Sequence[ReportSpec], *, is_fused: bool) -> Overview:
    plain = [query for each in reports if not each.job.complete for query in each.named.queries]
    plan = fathom.reports.plan(plain, fuse=is_fused)
    complete = [query for each in reports if each.job.complete for query in each.named.queries]
    requests = plan.requests + len(complete)
    return Overview(
        len(reports), plan, complete, _as_run(fathom).eta(requests, lane="reports") if requests else 0.0
    )


def _as_run(fathom: FathomClient) -> FathomClient:
    return fathom.with_options(priority=Priority.BULK, flow=_FLOW)


async def carry_out(file: Path, options: RunOptions, summary: RunSummary) -> None:
    """Run the reports of a job file, and write them; the summary has the results even of an interrupted run."""
    # Read once before any request; without the sites' time zones, periods follow this machine's clock.
    now = datetime.now().astimezone().replace(tzinfo=None)
    draft = wanted(read_jobs(file, now=now), file, options)
    prepare(draft, options.dataset, options.format)
    async with connect(retry=RetryPolicy()) as fathom, _opened({each.store for each in draft}) as stores:
        where = address(os.environ)
        notes = [Unfinished.of(store, file, where) for store in stores.values()]
        began = None if options.fresh else await _began_at(notes)
        if began is not None:
            moment = datetime.fromtimestamp(began).astimezone()
            note(f"resuming the run of {moment:%Y-%m-%d %H:%M}; --fresh starts a new one")
        started = time.time() if began is None else began
        reports = await _located(fathom, file, options, stores, datetime.fromtimestamp(started, UTC))
        found = overview_of(fathom, reports, is_fused=options.fuse)
        note(headline(found))
        keeping = CachePolicy(max_age=time.time() - started + _KEEPING.max_age)
        asking = Asking(_as_run(fathom), keeping, options.fuse, options.max_requests)
        if options.max_requests is not None and found.requests > options.max_requests:
            missing = await asking.missing(reports, stores)
            found = overview_of(fathom, missing, is_fused=options.fuse)
            if found.requests > options.max_requests:
                raise CommandError(
                    f"{counted(found.requests, 'request')} would be sent, more than --max-requests "
                    f"{options.max_requests}; allow more, or leave out reports"
                )
        if began is None:
            for each in notes:
                await each.begin(started)
        try:
            await _make(asking, options, reports, stores, summary)
        finally:
            summary.pageviews = fathom.stats.pageviews
        if not summary.may_be_retried:
            for each in notes:
                await each.end()


async def _make(
    asking: Asking,
    options: RunOptions,
    reports: Sequence[ReportSpec],
    stores: Mapping[str, ReportStore],
    summary: RunSummary,
) -> None:
    answers: dict[str, tuple[ReportSpec, Answer]] = {}
    async with reporting(asking.fathom) as show:

        def on_progress(progress: Progress) -> None:
            summary.progress = progress
            show(progress)

        async with aclosing(asking.outcomes(reports, stores, on_progress)) as outcomes:
            async for each, answer in outcomes:
                if isinstance(answer, FathomError):
                    summary.failed.append((each, answer))
                    continue
                summary.done += 1
                if each.named.limit is None and _is_cut(answer):
                    summary.cut.append(each)
                if options.dataset is not None:
                    answers[each.named.name] = each, answer
                else:
                    summary.rows += await asyncio.to_thread(write_report, each, answer)
                    summary.places.add(each.path.parent)
    if options.dataset is not None:
        found = [answers[each.named.name] for each in reports if each.named.name in answers]
        write = partial(write_dataset, options.dataset, options.format, found)
        summary.rows = await asyncio.to_thread(write)
        summary.places.add(options.dataset)


def _is_cut(answer: Answer) -> bool:
    """Whether rows may be missing that were asked for."""
    reports = [answer] if isinstance(answer, Report) else [answer.current, answer.previous]
    return any(report.truncated and report.query.limit is None for report in reports)


async def _located(
    fathom: FathomClient, file: Path, options: RunOptions, stores: Mapping[str, ReportStore], moment: datetime
) -> list[ReportSpec]:
    """Return the reports, with periods in their sites' time zones, of which the first store keeps all."""
    to_locate = sites_to_locate(read_jobs(file, now=moment.replace(tzinfo=None)))
    async with telling(fathom):
        zones = await fathom.reports.time_zones(to_locate, store=next(iter(stores.values()), None))
    return wanted(read_jobs(file, now=moment, zones=zones), file, options, zones)


async def _began_at(notes: Iterable[Unfinished]) -> float | None:
    found = [began for each in notes if (began := await each.began_at(time.time())) is not None]
    return min(found, default=None)


@asynccontextmanager
async def _opened(places: Iterable[str]) -> AsyncGenerator[dict[str, ReportStore]]:
    async with AsyncExitStack() as stack:
        yield {place: await stack.enter_async_context(open_store(place)) for place in sorted(places)}
