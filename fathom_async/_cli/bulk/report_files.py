"""Reports written to disk, a file each or all in one dataset; files are replaced atomically."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from itertools import chain
from pathlib import Path
from typing import Final

from fathom_async import Report
from fathom_async._cli.bulk.report_spec import ReportSpec
from fathom_async._cli.files import check_directory, check_file, write_file
from fathom_async._cli.output import Cell, Format, Kind, OutputOptions, Records, encoded, records_of_report
from fathom_async._util.lazy import optional
from fathom_async.reports import Row

Found = tuple[ReportSpec, Report[Row]]

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
    """Check that the reports can be written, before requests are spent.

    Raises:
        CommandError: The dataset's ending names no format.
        ImportError: Parquet needs an extra.
        OSError: A directory cannot be created, or a file not be written.
    """
    if dataset is None:
        formats: set[Format] = {each.format for each in reports}
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


def write_report(wanted: ReportSpec, report: Report[Row]) -> None:
    """Write one report to its file."""
    records = records_of_report(report)
    write_file(wanted.path, encoded(records, wanted.format, spreadsheet=wanted.spreadsheet))


def write_dataset(path: Path, format: Format | None, found: Sequence[Found]) -> int:
    """Write all reports to one file, and return the number of rows.

    Columns are the report's name, job, site, event and range, then every column that any report has.

    Args:
        path: The file.
        format: Its format; what its ending names by default.
        found: The reports, in the order of the file.
    """
    columns = _columns([report for _, report in found])
    rows = [row for wanted, report in found for row in _rows(wanted, report, columns)]
    chosen = OutputOptions(format=format, output=path).resolved()
    spreadsheet = any(wanted.spreadsheet for wanted, _ in found)
    write_file(path, encoded(Records(columns, rows), chosen, spreadsheet=spreadsheet))
    return len(rows)


def _columns(reports: Sequence[Report[Row]]) -> dict[str, Kind]:
    """Return every column of any report: dates, then groups, then metrics."""
    found = dict(_ABOUT)
    columns = chain.from_iterable(report.query.codec.columns for report in reports)
    for column in sorted(columns, key=lambda column: (column.kind not in _DATES, column.kind != "text")):
        kind: Kind = "day" if column.kind in _MONTHS else column.kind
        if found.setdefault(column.name, kind) == "day":
            found[column.name] = kind  # hours of one report make moments of the days of others
    return found


def _rows(wanted: ReportSpec, report: Report[Row], columns: dict[str, Kind]) -> Iterable[tuple[Cell, ...]]:
    query = report.query
    about: dict[str, Cell] = {
        "report": wanted.name,
        "job": wanted.job,
        "site_id": query.site_id,
        "entity_name": getattr(query, "entity_name", None),
        "date_from": query.date_from,
        "date_to": query.date_to,
    }
    has_hours = columns.get("date") == "hour"
    for row in report.to_dicts():
        cells = row | about
        moment = cells.get("date")
        if has_hours and isinstance(moment, date) and not isinstance(moment, datetime):
            cells["date"] = datetime.combine(moment, time())
        yield tuple(cells.get(name) for name in columns)
