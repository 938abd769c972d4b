"""The reports of a job file, each with its file and its store."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

from attrs import frozen

from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async.jobs import Job, JobFile, load_jobs
from fathom_async.reports import Query, Row

Format = Literal["csv", "jsonl", "parquet"]

_MEMORY: Final = "memory://"


@frozen
class ReportSpec:
    """One report of a job file.

    Attributes:
        job: The job it belongs to.
        name: Its own name.
        query: Its query.
        is_complete: Whether to fetch every row, past the server's 1,000.
        store: Store of its answer.
        path: Its file, unless all reports go into one dataset.
        format: The format of that file.
    """

    job: str
    name: str
    query: Query[Row]
    is_complete: bool
    store: str
    path: Path
    format: Format


@frozen(kw_only=True)
class Places:
    """Destinations of reports and answers, which override the job file.

    Attributes:
        directory: Directory of the reports.
        format: Their format.
        store: Store of cached answers.
        is_kept: Whether answers outlive this process.
    """

    directory: Path | None = None
    format: Format | None = None
    store: str | None = None
    is_kept: bool = True


def read_jobs(file: Path, *, now: datetime, zones: dict[str, ZoneInfo] | None = None) -> JobFile:
    """Return the jobs of a file; see `load_jobs`.

    Raises:
        CommandError: There is no such file.
        JobFileError: It is invalid.
    """
    try:
        return load_jobs(file, now=now, zones=zones)
    except FileNotFoundError:
        raise CommandError(
            f"no such job file: {file}; docs/job-files.md describes the format", ExitCode.USAGE
        ) from None


def wanted(jobs: JobFile, file: Path, places: Places) -> list[ReportSpec]:
    """Return all reports of a file, in its order; its paths are relative to it.

    Args:
        jobs: What the file says.
        file: Its path.
        places: Options that override the file.
    """
    return [
        ReportSpec(
            job.name,
            named.name,
            named.query,
            job.complete,
            _store(job, file, places),
            (places.directory or file.parent / job.output.directory)
            / f"{named.name}.{places.format or job.output.format}",
            places.format or job.output.format,
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


def plain_queries(reports: Sequence[ReportSpec]) -> list[Query[Row]]:
    """Return the queries of the reports that are not complete ones."""
    return [each.query for each in reports if not each.is_complete]


def _store(job: Job, file: Path, places: Places) -> str:
    if not places.is_kept:
        return _MEMORY
    if places.store is not None:
        return places.store
    written = job.output.store or file.with_suffix(".db").name
    return written if "://" in written else str(file.parent / Path(written).expanduser())
