"""The reports of a job file, each with its file and its store."""

import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from attrs import frozen
from cyclopts import Parameter

from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.settings import STORE
from fathom_async.jobs import Job, JobFile, NamedQuery, load_jobs

Format = Literal["csv", "jsonl", "parquet"]
Fuse = Annotated[bool, Parameter(negative="--no-fuse")]

_MEMORY: Final = "memory://"


@Parameter(name="*")
@frozen(kw_only=True)
class RunOptions:
    """Options of a run, of which some override the job file."""

    dataset: Path | None = None
    """Write all reports to this file (.csv, .jsonl, .json or .parquet) instead of one file each."""

    directory: Path | None = None
    """Directory of the reports; overrides the job file."""

    format: Format | None = None
    """Format of the reports; overrides the job file."""

    spreadsheet: bool = False
    """Write CSV for a spreadsheet: legible to Excel, and without formulas, which visitors could smuggle in."""

    fill: bool = False
    """Add a row of zeros for each hour, day, month or year of the range in which nothing was counted."""

    html: bool = False
    """Write a page with charts beside each report, from the same answers."""

    store: str | None = None
    """Store of cached answers, a path or redis://host:6379/0; by default the job file's, FATHOM_STORE, or jobs.db."""

    keep: Annotated[bool, Parameter(negative="--no-keep")] = True
    """Whether to cache answers, so that a run can be resumed."""

    fresh: bool = False
    """Start a new run, even if there is one to resume."""

    fuse: Fuse = True
    """Whether to fuse queries into fewer requests, with the same answers."""

    max_requests: int | None = None
    """Send no report if this run would send more requests than this; cached answers take none."""

    dry_run: bool = False
    """Show the plan, and send nothing."""


AS_WRITTEN: Final = RunOptions()


@frozen
class ReportSpec:
    """One report of a job: its query, its store, and its file, unless all reports go into one dataset.

    The site's time zone is None if it is not known.
    """

    job: Job
    named: NamedQuery
    options: RunOptions
    store: str
    path: Path
    zone: ZoneInfo | None = None


def read_jobs(file: Path, *, now: datetime, zones: dict[str, ZoneInfo] | None = None) -> JobFile:
    """Return the jobs of a file; see `load_jobs`."""
    try:
        return load_jobs(file, now=now, zones=zones)
    except FileNotFoundError:
        raise CommandError(
            f"no such job file: {file}; docs/job-files.md describes the format", ExitCode.USAGE
        ) from None


def wanted(
    jobs: JobFile, file: Path, options: RunOptions, zones: Mapping[str, ZoneInfo] | None = None
) -> list[ReportSpec]:
    """Return all reports of a file, in its order; its paths are relative to it."""
    return [
        ReportSpec(
            job,
            named,
            options,
            _store(job, file, options),
            (options.directory or file.parent / job.output.directory)
            / f"{named.name}.{options.format or job.output.format}",
            (zones or {}).get(named.query.site_id),
        )
        for job in jobs.jobs
        for named in job.queries
    ]


def sites_to_locate(jobs: JobFile) -> Sequence[str]:
    """Return the sites whose time zones the file's periods depend on."""
    return list(
        dict.fromkeys(
            named.query.site_id
            for job in jobs.jobs
            for named in job.queries
            if named.period is not None and named.query.timezone is None
        )
    )


def _store(job: Job, file: Path, options: RunOptions) -> str:
    if not options.keep:
        return _MEMORY
    if options.store is not None:
        return options.store
    if not job.output.store and (usual := os.environ.get(STORE)):
        return usual
    written = job.output.store or file.with_suffix(".db").name
    return written if "://" in written else str(file.parent / Path(written).expanduser())
