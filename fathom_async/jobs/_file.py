"""Read and check job files."""

import tomllib
from collections.abc import Mapping, Sequence
from datetime import datetime
from os import PathLike, fspath
from pathlib import Path
from typing import BinaryIO, Final, Literal, cast
from zoneinfo import ZoneInfo

import attrs

from fathom_async._reports.arguments import known_word, sendable
from fathom_async.errors import ArgumentError
from fathom_async.jobs._expand import PARAMETERS, JobClock, NamedQuery, Table, expanded, matrix_of
from fathom_async.jobs._faults import Fault, Faults, JobFileError, no_such_key
from fathom_async.jobs._matrix import as_toml

Format = Literal["csv", "jsonl", "parquet"]

FORMATS: Final[tuple[Format, ...]] = ("csv", "jsonl", "parquet")
MOST_QUERIES: Final = 10_000

_TOP: Final = ("job", "output")
_JOB: Final = (*PARAMETERS, "extra", "compare", "complete", "name", "matrix", "output")
_OUTPUT: Final = ("format", "directory", "store")


@attrs.frozen
class Output:
    """Where the reports of a job are written.

    Args:
        format: ``csv``, ``jsonl`` or ``parquet``.
        directory: Directory of one file per query, with the query's name.
        store: Path or URL of the store from which an interrupted run continues, or None.
    """

    format: Format = "csv"
    directory: Path = Path("reports")
    store: str | None = None


@attrs.frozen
class Job:
    """Queries that belong together.

    Args:
        name: The job's name in the file.
        queries: The queries, in the order of the matrix; their names are unique in the file.
        complete: Whether to fetch every row, past the server's 1,000.
        output: Where the reports are written.
    """

    name: str
    queries: tuple[NamedQuery, ...]
    complete: bool
    output: Output


@attrs.frozen
class JobFile:
    """All jobs of a file, in order.

    Args:
        file: The file's name, for messages.
        jobs: The jobs, at least one.
    """

    file: str
    jobs: tuple[Job, ...]

    def __len__(self) -> int:
        return sum(len(job.queries) for job in self.jobs)


def load_jobs(
    source: str | PathLike[str] | BinaryIO, *, now: datetime, zones: Mapping[str, ZoneInfo] | None = None
) -> JobFile:
    """Read a job file; ``docs/job-files.md`` describes the format. Blocks while it reads the disk.

    Args:
        source: A path, or a file opened in binary mode.
        now: The moment that periods such as ``last 30 days`` end at. A naive datetime is the local time of every
            site.
        zones: The time zone of each site by its ID. Not needed if ``now`` is naive, or for queries with a
        ``timezone``
            or without a ``period``.

    Raises:
        JobFileError: The file has errors; the message lists all of them, and what to write instead.
        OSError: The file cannot be read.

    >>> from io import BytesIO
    >>> toml = b'''[job.pages]
    ... aggregates = ["pageviews"]
    ... period = "last 7 days"
    ... matrix.site_id = ["CDBUGS", "DAFFYD"]'''
    >>> [each.name for each in load_jobs(BytesIO(toml), now=datetime(2026, 3, 15)).jobs[0].queries]
    ['pages-CDBUGS', 'pages-DAFFYD']
    """
    file, tables = read_tables(source)
    faults = Faults()
    jobs = _jobs(tables, JobClock(now, zones or {}), faults)
    faults.check(file)
    return JobFile(file, jobs)


def read_tables(source: str | PathLike[str] | BinaryIO) -> tuple[str, Table]:
    """Return the name of a file, and what it says."""
    file = fspath(source) if isinstance(source, str | PathLike) else str(getattr(source, "name", "the file"))
    content: object = Path(source).read_bytes() if isinstance(source, str | PathLike) else source.read()
    if not isinstance(content, bytes):
        raise ArgumentError("open the file in binary mode: open(path, 'rb')")
    try:
        return file, tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise JobFileError(file, [Fault("", f"this is not TOML: {error}")]) from None


def _jobs(tables: Table, clock: JobClock, faults: Faults) -> tuple[Job, ...]:
    check_keys("", tables, _TOP, faults)
    shared = _output("output", tables.get("output", {}), Output(), faults)
    jobs: list[Job] = []
    names: set[str] = set()
    for name, table in named_tables("job", tables, faults).items():
        place = f"job.{name}"
        check_keys(place, table, _JOB, faults)
        output = _output(f"{place}.output", table.get("output", {}), shared, faults)
        is_complete = _complete(place, table, faults)
        room = MOST_QUERIES - len(names)
        queries = expanded(name, table, clock, room, faults)
        for query in queries:
            if query.name.casefold() in names:
                faults.add(
                    f"{place}.name",
                    f"two queries are named {query.name!r}; put what tells them apart into the name, such as "
                    "{site_id} or {period}, or give the values of the matrix labels",
                )
            names.add(query.name.casefold())
        jobs.append(Job(name, queries, is_complete, output))
    return tuple(jobs)


def named_tables(kind: str, written: Table, faults: Faults) -> dict[str, dict[str, object]]:
    """Return the tables of a kind by name, at least one."""
    given = written.get(kind, {})
    tables = cast("dict[str, object]", given) if isinstance(given, dict) else {}
    found = {name: cast("dict[str, object]", each) for name, each in tables.items() if isinstance(each, dict)}
    if len(found) < len(tables) or not found:
        faults.add(kind, f"each {kind} is a named table; write e.g. [{kind}.top-pages]")
    return found


def _complete(place: str, table: Table, faults: Faults) -> bool:
    complete = table.get("complete", False)
    if not isinstance(complete, bool):
        faults.add(f"{place}.complete", f"write true or false, not {as_toml(complete)}")
    elif complete and "limit" in {*table, *matrix_of(table)}:
        faults.add(f"{place}.limit", "a complete report has every row; leave out limit or complete")
    return complete is True


def _output(place: str, written: object, default: Output, faults: Faults) -> Output:
    if not isinstance(written, dict):
        faults.add(place, f"must be a table; write [{place}]")
        return default
    table = cast("dict[str, object]", written)
    check_keys(place, table, _OUTPUT, faults)
    for key, value in table.items():
        with faults.at(f"{place}.{key}"):
            match key:
                case "format":
                    known_word("format", value, FORMATS)
                    default = attrs.evolve(default, format=cast("Format", value))
                case "directory":
                    default = attrs.evolve(default, directory=Path(not_empty("directory", value)))
                case "store":
                    default = attrs.evolve(default, store=not_empty("store", value))
                case _:
                    pass
    return default


def not_empty(key: str, value: object) -> str:
    """Check a text that has something in it."""
    if not sendable(key, value).strip():
        raise ArgumentError(f"{key} is empty; name one, or leave it out")
    return sendable(key, value)


def check_keys(place: str, table: Table, known: Sequence[str], faults: Faults) -> None:
    """Add an error for each key that is not known."""
    for key in table:
        if key not in known:
            faults.add(f"{place}.{key}".lstrip("."), no_such_key(key, known))
