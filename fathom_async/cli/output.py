"""Rows in the format that was asked for, to the terminal, into a pipe or into a file."""

import csv
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from importlib import import_module
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, cast

import msgspec
from attrs import field, frozen
from cyclopts import Parameter

from fathom_async.cli.failures import CommandError, ExitCode
from fathom_async.cli.wording import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from fathom_async import Report
    from fathom_async.reports.rows import EventRow, PageviewRow

Format = Literal["table", "json", "jsonl", "csv", "parquet"]
Cell = str | int | float | date | tuple[str, ...] | None
Kind = Literal["text", "texts", "count", "number", "flag", "day", "moment"]

_SUFFIXES: Final[dict[str, Format]] = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".txt": "table",
}
_ARROW: Final[dict[Kind, str]] = {
    "text": "string",
    "count": "int64",
    "number": "float64",
    "flag": "bool",
    "day": "date32",
}
_WIDE = 10_000  # no terminal: nothing is cut


@Parameter(name="*")
@frozen(kw_only=True)
class OutputOptions:
    """Where rows go, and how they are written."""

    format: Format | None = None
    """How to write it: a table in a terminal and JSON lines elsewhere, unless told or named by the file's ending."""

    output: Annotated[Path | None, Parameter(alias="-o")] = None
    """Write into this file instead of the standard output."""

    def resolved(self) -> Format:
        """Return the format: the one asked for, that of the file's ending, or what suits the standard output."""
        if self.format is not None:
            return self.format
        if self.output is not None:
            suffix = self.output.suffix.lower()
            if suffix in _SUFFIXES:
                return _SUFFIXES[suffix]
            raise CommandError(
                f"the ending of {self.output} names no format; add --format, or end it with "
                f"{', '.join(_SUFFIXES)}",
                ExitCode.USAGE,
            )
        return "table" if sys.stdout.isatty() else "jsonl"


STANDARD: Final = OutputOptions()


@frozen
class Records:
    """Rows to write.

    Attributes:
        columns: Names of the columns.
        rows: The cells of each row.
        arrow: Makes the Arrow table that becomes a Parquet file.
        is_single: Whether it is one object rather than a list of them.
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[Cell, ...]]
    arrow: Callable[[], object] = field(repr=False)
    is_single: bool = False

    def dicts(self) -> list[dict[str, Cell]]:
        """Return each row as a dict."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def records(
    columns: Mapping[str, Kind], rows: Iterable[tuple[Cell, ...]], *, is_single: bool = False
) -> Records:
    """Return records of columns that are named here.

    Args:
        columns: Names of the columns, and what they hold.
        rows: The cells of each row.
        is_single: Whether it is one object rather than a list of them.
    """
    found = list(rows)

    def arrow() -> object:
        pyarrow = _pyarrow("pyarrow")
        kinds = {
            "moment": pyarrow.timestamp("us", tz="UTC"),
            "texts": pyarrow.list_(pyarrow.string()),
        }
        return pyarrow.table(
            {
                name: pyarrow.array(
                    [row[place] for row in found],
                    kinds.get(kind) or pyarrow.type_for_alias(_ARROW[kind]),
                )
                for place, (name, kind) in enumerate(columns.items())
            }
        )

    return Records(tuple(columns), found, arrow, is_single)


def records_of(columns: Mapping[str, Kind], objects: Iterable[object], *, is_single: bool = False) -> Records:
    """Return records of objects whose attributes are the columns, such as sites."""
    rows = (tuple(getattr(each, name) for name in columns) for each in objects)
    return records(columns, rows, is_single=is_single)


def records_of_report(report: "Report[PageviewRow] | Report[EventRow]") -> Records:
    """Return records of a report."""
    rows = [tuple(each.values()) for each in report.to_dicts()]

    def arrow() -> object:
        return cast("object", report.to_arrow())  # pyright: ignore[reportUnknownMemberType]

    return Records(report.columns, rows, arrow)


def write(rows: Records, options: OutputOptions = STANDARD) -> None:
    """Write records where the options say.

    Raises:
        CommandError: A terminal cannot show the format, the file's ending names none, or an extra is missing.
        OSError: The file cannot be written.
    """
    chosen = options.resolved()
    if options.output is not None:
        write_file(options.output, encoded(rows, chosen))
    elif chosen == "table":
        stdout_console().print(table(rows))
    elif chosen == "parquet" and sys.stdout.isatty():
        raise CommandError(
            "a terminal cannot show Parquet; add --output report.parquet, or pipe it", ExitCode.USAGE
        )
    else:
        write_bytes(encoded(rows, chosen))


def write_bytes(data: bytes) -> None:
    """Write to the standard output, whatever its encoding."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; a device or a pipe is written into.

    Raises:
        OSError: It cannot be written.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    target = path.resolve()  # what a link points to is replaced, not the link
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        temporary.chmod(target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def encoded(rows: Records, format: Format) -> bytes:
    """Return records in a format.

    Raises:
        CommandError: The format needs an extra that is not installed.
    """
    match format:
        case "table":
            text = StringIO()
            from rich.console import Console  # noqa: PLC0415 - only tables need it

            Console(file=text, width=_WIDE, color_system=None).print(table(rows))
            return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines()).encode()
        case "json":
            objects = rows.dicts()
            return (
                msgspec.json.format(msgspec.json.encode(objects[0] if rows.is_single else objects), indent=2)
                + b"\n"
            )
        case "jsonl":
            return msgspec.json.Encoder().encode_lines(rows.dicts())
        case "csv":
            text = StringIO(newline="")
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(rows.columns)
            writer.writerows(
                [" ".join(cell) if isinstance(cell, tuple) else cell for cell in row] for row in rows.rows
            )
            return text.getvalue().encode()
        case "parquet":
            sink = BytesIO()
            _pyarrow("pyarrow.parquet").write_table(rows.arrow(), sink)
            return sink.getvalue()


def table(rows: Records) -> "Table":
    """Return records as a table for the eyes: a row each, or a single object's fields one below the other."""
    from rich import box  # noqa: PLC0415 - only tables need it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    if rows.is_single:
        grid = Table.grid(padding=(0, 2))
        for name, cell in zip(rows.columns, rows.rows[0], strict=True):
            grid.add_row(Text(name, style="bold"), Text(shown(cell)))
        return grid
    found = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for place, name in enumerate(rows.columns):
        is_number = any(isinstance(row[place], int | float) for row in rows.rows)
        found.add_column(name, justify="right" if is_number else "left", overflow="fold", no_wrap=is_number)
    for row in rows.rows:
        found.add_row(*(Text(shown(cell)) for cell in row))
    return found


def shown(cell: Cell) -> str:  # noqa: PLR0911 - one return a kind
    """Return what a cell looks like; strangers choose the texts, so that nothing may steer the terminal."""
    match cell:
        case None:
            return "-"
        case bool():
            return "yes" if cell else "no"
        case float():
            return f"{cell:,.2f}"
        case int():
            return f"{cell:,}"
        case datetime():
            return f"{cell:%Y-%m-%d %H:%M}{' UTC' if cell.tzinfo else ''}"
        case tuple():
            return printable(", ".join(cell))
        case _:
            return printable(str(cell))


def stdout_console() -> "Console":
    """Return a console on the standard output; where that is no terminal, lines are as long as they need to be."""
    from rich.console import Console  # noqa: PLC0415 - only tables need it

    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)


def note(text: str) -> None:
    """Tell something besides the rows, on standard error."""
    sys.stderr.write(f"fathom: {text}\n")


def _pyarrow(module: str) -> Any:  # noqa: ANN401 - a module that may not be there has no type
    try:
        return import_module(module)
    except ModuleNotFoundError:
        raise CommandError(
            'pyarrow is not installed; for Parquet, pip install "fathom_async[arrow]"'
        ) from None


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
