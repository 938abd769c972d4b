"""``fathom run`` and ``fathom plan``."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from fathom_async import FathomClient
from fathom_async._cli.bulk import overview
from fathom_async._cli.bulk.report_spec import Format, Places, ReportSpec, read_jobs, wanted
from fathom_async._cli.bulk.runner import RunOptions, RunSummary, carry_out, overview_of
from fathom_async._cli.connection import connect, run_async
from fathom_async._cli.credentials import find_token
from fathom_async._cli.failures import CommandError, ExitCode, failure_of, interruption
from fathom_async._cli.formatting import counted
from fathom_async._cli.output import STANDARD, OutputOptions, note, records, stdout_console, write

Fuse = Annotated[bool, Parameter(negative="--no-fuse")]

_SHOWN = 20


def run(
    jobs: Path,
    /,
    *,
    dataset: Path | None = None,
    directory: Path | None = None,
    format: Format | None = None,
    store: str | None = None,
    keep: Annotated[bool, Parameter(negative="--no-keep")] = True,
    fresh: Annotated[bool, Parameter(negative=())] = False,
    fuse: Fuse = True,
    dry_run: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Make the reports of a job file, and write each into a file, or all into one dataset.

    A run that ended early, however it ended, goes on where it was when it is started again.

    Args:
        jobs: The job file, in TOML; its paths start where it is.
        dataset: Write all reports into this one file (.csv, .jsonl, .json or .parquet) instead of one each.
        directory: Write the reports here, instead of where the job file says.
        format: Write them as csv, jsonl or parquet, whatever the job file says.
        store: Keep answers here, instead of where the job file says: a path, or redis://host:6379/0. Without
            either, they are kept beside the job file: those of jobs.toml in jobs.db.
        keep: Whether to keep answers at all, so that a run that ended early can go on.
        fresh: Begin anew, even if there is a run to go on with.
        fuse: Whether to put reports together whose answers are contained in one. No answer changes.
        dry_run: Show what would be sent, and send nothing.
    """
    places = Places(directory=directory, format=format, store=store, is_kept=keep)
    if dry_run:
        run_async(partial(_show, jobs, places, STANDARD, is_fused=fuse))
        return ExitCode.OK
    options = RunOptions(
        file=jobs, places=places, dataset=dataset, dataset_format=format, is_fused=fuse, is_fresh=fresh
    )
    tally = RunSummary()
    try:
        run_async(partial(carry_out, options, tally))
    except KeyboardInterrupt as error:
        raise CommandError(_broken_off(options, tally), interruption(error)) from None
    return _ended(options, tally)


def plan(jobs: Path, /, *, fuse: Fuse = True, output: OutputOptions = STANDARD) -> None:
    """Show the requests that a job file would send, how long they take, and what they cost; nothing is sent.

    Periods are counted on this machine's clock: the sites' clocks would have to be asked for.

    Args:
        jobs: The job file, in TOML.
        fuse: Whether to put reports together whose answers are contained in one.
        output: Where the figures go, and how they are written.
    """
    output.check()
    run_async(partial(_show, jobs, Places(), output, is_fused=fuse))


async def _show(file: Path, places: Places, output: OutputOptions, *, is_fused: bool) -> None:
    now = datetime.now().astimezone().replace(tzinfo=None)
    reports = wanted(read_jobs(file, now=now), file, places)
    async with _anybody() as fathom:
        found = overview_of(fathom, reports, is_fused=is_fused)
    if output.output is None and output.resolved() == "table":
        stdout_console().print(overview.headline(found), "", sep="\n", soft_wrap=True)
        write(overview.table(found), output)
    else:
        write(records(overview.COLUMNS, [found.cells()], is_single=True), output)


@asynccontextmanager
async def _anybody() -> AsyncGenerator[FathomClient]:
    """Open a client that sends nothing: where there is no token, it needs none."""
    try:
        find_token(os.environ)
    except CommandError:
        async with FathomClient("none") as fathom:
            yield fathom
    else:
        async with connect(is_onlooker=True) as fathom:
            yield fathom


def _ended(options: RunOptions, tally: RunSummary) -> int:
    """Tell what became of the reports, and return the exit code."""
    progress = tally.progress
    done = 0 if progress is None else progress.done - progress.failed
    if tally.cut:
        note(
            f"{_names(tally.cut)}: as many rows as the server returns at most; complete = true gets those that "
            "may be missing"
        )
    for each, error in tally.failed[:_SHOWN]:
        note(f"{each.name}: {failure_of(error).message}")
    if len(tally.failed) > _SHOWN:
        note(f"and {len(tally.failed) - _SHOWN:,} more")
    where = f" in {', '.join(sorted(map(str, tally.places)))}" if tally.places else ""
    told = f"{counted(done, 'report')}{where}, {counted(tally.rows, 'row')}"
    stdout_console().print(told, markup=False, soft_wrap=True)
    if not tally.failed:
        return ExitCode.OK
    what_to_do = "mend the job file, or use another token"
    if tally.may_be_mended and options.places.is_kept:
        what_to_do = "run the same command again, and only these are asked for"
    note(f"{len(tally.failed):,} of {counted(len(tally.failed) + done, 'report')} failed; {what_to_do}")
    return ExitCode.SOME_FAILED


def _names(reports: list[ReportSpec]) -> str:
    names = ", ".join(each.name for each in reports[:_SHOWN])
    return names if len(reports) <= _SHOWN else f"{names} and {len(reports) - _SHOWN:,} more"


def _broken_off(options: RunOptions, tally: RunSummary) -> str:
    if tally.progress is None:
        return "interrupted before the first request"
    so_far = f"interrupted with {tally.progress.done:,} of {counted(tally.progress.queries, 'report')} done"
    if not options.places.is_kept:
        return f"{so_far}; nothing was kept, because of --no-keep"
    return f"{so_far}; they are kept: run the same command again to go on"
