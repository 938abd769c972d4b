"""``fathom run`` and ``fathom plan``."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from fathom_async import FathomClient
from fathom_async._cli.bulk import overview
from fathom_async._cli.bulk.report_spec import AS_WRITTEN, Fuse, ReportSpec, RunOptions, read_jobs, wanted
from fathom_async._cli.bulk.runner import RunSummary, carry_out, overview_of
from fathom_async._cli.connection import connect, run_async
from fathom_async._cli.credentials import find_token
from fathom_async._cli.failures import CommandError, ExitCode, failure_of, interruption
from fathom_async._cli.output import STANDARD, OutputOptions, Records, note, say, write
from fathom_async._cli.settings import PLAN
from fathom_async._util.text import counted

_SHOWN = 20


def run(jobs: Path, /, *, options: RunOptions = AS_WRITTEN) -> int:
    """Run the reports of a job file, and write each to a file, or all to one dataset.

    The same command resumes a run that ended early.

    Args:
        jobs: The job file, in TOML; its paths are relative to it.
        options: Options of the run.
    """
    if options.dry_run:
        run_async(partial(_show, jobs, STANDARD, is_fused=options.fuse))
        return ExitCode.OK
    summary = RunSummary()
    try:
        run_async(partial(carry_out, jobs, options, summary))
    except KeyboardInterrupt as error:
        raise CommandError(_broken_off(options, summary), interruption(error)) from None
    return _ended(options, summary)


def plan(jobs: Path, /, *, fuse: Fuse = True, output: OutputOptions = STANDARD) -> None:
    """Show the requests that a job file would send, their time and their cost; nothing is sent.

    Periods follow this machine's clock, because the sites' time zones would take a request.

    Args:
        jobs: The job file, in TOML.
        fuse: Whether to fuse queries into fewer requests.
        output: Destination and format of the figures.
    """
    output.check(overview.COLUMNS)
    run_async(partial(_show, jobs, output, is_fused=fuse))


async def _show(file: Path, output: OutputOptions, *, is_fused: bool) -> None:
    now = datetime.now().astimezone().replace(tzinfo=None)
    reports = wanted(read_jobs(file, now=now), file, AS_WRITTEN)
    async with _anybody() as fathom:
        found = overview_of(fathom, reports, is_fused=is_fused)
    if output.output is None and output.resolved() == "table":
        say(overview.headline(found), "")
        write(overview.table(found), output)
    else:
        write(Records(overview.COLUMNS, [found.cells()], is_single=True), output)


@asynccontextmanager
async def _anybody() -> AsyncGenerator[FathomClient]:
    """Open a client that sends nothing, and needs no token."""
    try:
        find_token(os.environ)
    except CommandError:
        async with FathomClient("none", plan=os.environ.get(PLAN) or None) as fathom:
            yield fathom
    else:
        async with connect(is_onlooker=True) as fathom:
            yield fathom


def _ended(options: RunOptions, summary: RunSummary) -> int:
    """Print the results, and return the exit code."""
    if summary.cut:
        note(
            f"{_names(summary.cut)}: cut off at the most rows that the server returns; set complete = true for all"
        )
    for each, error in summary.failed[:_SHOWN]:
        note(f"{each.named.name}: {failure_of(error).message}", is_error=True)
    if len(summary.failed) > _SHOWN:
        note(f"and {len(summary.failed) - _SHOWN:,} more", is_error=True)
    where = f" in {', '.join(sorted(map(str, summary.places)))}" if summary.places else ""
    told = f"{counted(summary.done, 'report')}{where}, {counted(summary.rows, 'row')}{_spent(summary)}"
    say(told)
    if not summary.failed:
        return ExitCode.OK
    what_to_do = "fix the job file, or use another token"
    if summary.may_be_retried and options.keep:
        what_to_do = "run the same command again to retry only these"
    failed = f"{len(summary.failed):,} of {counted(len(summary.failed) + summary.done, 'report')} failed"
    note(f"{failed}; {what_to_do}", is_error=True)
    return ExitCode.SOME_FAILED


def _spent(summary: RunSummary) -> str:
    """Return what the reports took, and what was spared."""
    progress = summary.progress
    if progress is None:
        return ""
    kept = progress.kept - progress.implied
    spared = {"fused": progress.fused, "from the store": kept, "implied by stored answers": progress.implied}
    words = [f"{number:,} {how}" for how, number in spared.items() if number]
    pageviews = counted(summary.pageviews, "pageview")
    took = f"{counted(summary.pageviews, 'request')}, {pageviews} on the account"
    return f"; {took} ({', '.join(words)})" if words else f"; {took}"


def _names(reports: list[ReportSpec]) -> str:
    names = ", ".join(each.named.name for each in reports[:_SHOWN])
    return names if len(reports) <= _SHOWN else f"{names} and {len(reports) - _SHOWN:,} more"


def _broken_off(options: RunOptions, summary: RunSummary) -> str:
    if summary.progress is None:
        return "interrupted before the first request"
    so_far = (
        f"interrupted with {summary.progress.done:,} of {counted(summary.progress.queries, 'report')} done"
    )
    if not options.keep:
        return f"{so_far}; --no-keep cached no answers, so a new run starts over"
    return f"{so_far}; run the same command again to resume"
