"""Reports written to disk, a file each or all in one dataset; files are replaced atomically."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from itertools import chain
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from fathom_async import Report
from fathom_async._cli.bulk.asking import Answer
from fathom_async._cli.bulk.report_spec import ReportSpec
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.files import check_directory, check_file, write_file
from fathom_async._cli.html.page import HtmlPage
from fathom_async._cli.output import (
    Cell,
    Format,
    Kind,
    OutputOptions,
    Records,
    encoded,
    records_of_comparison,
    records_of_report,
)
from fathom_async._util.lazy import optional

_ABOUT: Final[dict[str, Kind]] = {
    "report": "text",
    "job": "text",
    "site_id": "text",
    "entity_name": "text",
    "date_from": "hour",
    "date_to": "hour",
}
_MONTHS: Final = frozenset({"month", "year"})
_DATES: Final = _MONTHS | {"hour", "day"}


def prepare(reports: Iterable[ReportSpec], dataset: Path | None, format: Format | None) -> None:
    """Check that the reports can be written, before requests are spent."""
    reports = list(reports)
    if dataset is not None and any(each.options.html for each in reports):
        raise CommandError("--html writes a page beside each report; leave out --dataset", ExitCode.USAGE)
    if dataset is None:
        formats = {OutputOptions(output=each.path).resolved() for each in reports}
        directories = {each.path.parent for each in reports}
    else:
        formats = {OutputOptions(format=format, output=dataset).resolved()}
        directories = {dataset.parent}
    if "parquet" in formats:
        optional("pyarrow", extra="arrow")
    for directory in directories:
        directory.mkdir(parents=True, exist_ok=True)
        check_directory(directory)
    if dataset is not None:
        check_file(dataset)


def write_report(wanted: ReportSpec, answer: Answer) -> int:
    """Write one report to its file, and its page if it has one; return the number of rows."""
    records = _records(wanted, answer)
    chosen = OutputOptions(output=wanted.path).resolved()
    write_file(wanted.path, encoded(records, chosen, spreadsheet=wanted.options.spreadsheet))
    if wanted.options.html:
        report, comparison = (answer, None) if isinstance(answer, Report) else (answer.current, answer)
        page = HtmlPage(report, report.query.site_id, _now(wanted), comparison, rest=wanted.path.name)
        write_file(wanted.path.with_suffix(".html"), page.html().encode())
    return len(records.rows)


def write_dataset(path: Path, format: Format | None, found: Sequence[tuple[ReportSpec, Answer]]) -> int:
    """Write all reports to one file, and return the number of rows.

    Columns are the report's name, job, site, event and range, then every column that any report has.
    """
    parts = [(wanted, _records(wanted, answer)) for wanted, answer in found]
    columns = _columns([records.kinds for _, records in parts])
    rows = [row for wanted, records in parts for row in _rows(wanted, records, columns)]
    chosen = OutputOptions(format=format, output=path).resolved()
    spreadsheet = any(wanted.options.spreadsheet for wanted, _ in found)
    write_file(path, encoded(Records(columns, rows), chosen, spreadsheet=spreadsheet))
    return len(rows)


def _records(wanted: ReportSpec, answer: Answer) -> Records:
    if not isinstance(answer, Report):
        return records_of_comparison(answer)
    return records_of_report(
        answer.filled(now=_now(wanted)) if wanted.options.fill and not answer.truncated else answer
    )


def _now(wanted: ReportSpec) -> datetime:
    """Return the present on the site's clock, or that of UTC, without a time zone, if the site's is not known."""
    name = wanted.named.query.timezone
    zone = wanted.zone if name is None else ZoneInfo(name)
    now = datetime.now(zone or UTC)
    return now if zone else now.replace(tzinfo=None)


def _columns(reports: Sequence[Mapping[str, Kind]]) -> dict[str, Kind]:
    """Return every column of any report: dates, then groups, then metrics."""
    found = dict(_ABOUT)
    columns = chain.from_iterable(kinds.items() for kinds in reports)
    for name, kind in sorted(columns, key=lambda column: (column[1] not in _DATES, column[1] != "text")):
        common: Kind = "day" if kind in _MONTHS else kind
        if found.setdefault(name, common) == "day":
            found[name] = common  # hours of one report make moments of the days of others
    return found


def _rows(wanted: ReportSpec, records: Records, columns: dict[str, Kind]) -> Iterable[tuple[Cell, ...]]:
    query = wanted.named.query
    about: dict[str, Cell] = {
        "report": wanted.named.name,
        "job": wanted.job.name,
        "site_id": query.site_id,
        "entity_name": getattr(query, "entity_name", None),
        "date_from": query.date_from,
        "date_to": query.date_to,
    }
    has_hours = columns.get("date") == "hour"
    for row in records.dicts():
        cells = row | about
        moment = cells.get("date")
        if has_hours and isinstance(moment, date) and not isinstance(moment, datetime):
            cells["date"] = datetime.combine(moment, time())
        yield tuple(cells.get(name) for name in columns)
