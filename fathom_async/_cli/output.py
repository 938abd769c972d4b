"""Rows, written in any format to a terminal, a pipe or a file."""

import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from attrs import evolve, frozen
from cyclopts import Parameter, Token
from cyclopts.completion import CompletionContext

from fathom_async._cli.failures import CommandError, ExitCode, failure_of
from fathom_async._cli.files import check_file, write_file
from fathom_async._cli.formatting import fitted, tell
from fathom_async._cli.settings import LIST, errors
from fathom_async._util.arrow import arrow_table
from fathom_async._util.checks import suggestion
from fathom_async._util.csv_fields import write_fields
from fathom_async._util.lazy import optional
from fathom_async._util.text import cells, printable, printable_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from fathom_async import Comparison, Report
    from fathom_async.reports import Row

Format = Literal["table", "json", "jsonl", "csv", "parquet"]
Cell = str | int | float | date | tuple[str, ...] | None
Kind = Literal["text", "texts", "count", "number", "flag", "hour", "day", "month", "year", "moment"]

_SUFFIXES: Final[dict[str, Format]] = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".txt": "table",
}
_WIDE = 10_000  # no terminal: nothing is cut
_LONGEST_WORD: Final = 16
"""Characters up to which a word stays whole in a narrow column; longer ones, such as paths, are folded."""
_GAP: Final = 3


def listed(context: CompletionContext) -> list[str]:
    """Return what a shell completes the last of several names to: those that were not chosen yet."""
    chosen, comma, _ = context.incomplete.rpartition(",")
    names = context.argument.get_choices(force=True) or ()
    return [f"{chosen}{comma}{name}" for name in names if name not in chosen.split(",")] if comma else []


def split(_kind: object, tokens: Sequence[Token]) -> tuple[str, ...]:
    """Split options such as ``--by pathname,browser --by city`` into names."""
    return tuple(name.strip() for token in tokens for name in token.value.split(",") if name.strip())


@Parameter(name="*")
@frozen(kw_only=True)
class OutputOptions:
    """Destination and format of rows."""

    format: Format | None = None
    """Format; by default what the file's ending says, a table in a terminal, and JSON lines elsewhere."""

    output: Annotated[Path | None, Parameter(alias="-o")] = None
    """Write into this file instead of standard output."""

    json: Annotated[tuple[str, ...], Parameter(converter=split, consume_multiple=False)] = ()
    """Write these columns, separated by commas, as JSON; without any, tell which there are."""

    spreadsheet: bool = False
    """Write CSV for a spreadsheet: legible to Excel, and without formulas, which visitors could smuggle in."""

    @property
    def is_by_default(self) -> bool:
        """Whether no format was asked for."""
        return self.format is None and not self.json

    def resolved(self) -> Format:
        """Return the format: the one given, that of the file's ending, or the default of standard output."""
        if self.format is not None:
            return self.format
        if self.json:
            return "json"
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

    def check(self, columns: Collection[str]) -> None:
        """Check that rows with these columns can be written; every command does so before it sends anything."""
        if self.json and self.resolved() not in {"json", "jsonl"}:
            raise CommandError(f"--json and --format {self.format} exclude each other", ExitCode.USAGE)
        if self.json == (LIST,):
            raise CommandError(
                f"--json takes columns, separated by commas: {', '.join(columns)}", ExitCode.USAGE
            )
        for name in self.json:
            if name not in columns:
                raise CommandError(f"there is no column {name!r}{suggestion(name, columns)}", ExitCode.USAGE)
        if self.resolved() == "parquet":
            if self.output is None and sys.stdout.isatty():
                raise CommandError(
                    "a terminal cannot show Parquet; add --output report.parquet, or pipe it", ExitCode.USAGE
                )
            optional("pyarrow", extra="arrow")
        if self.output is not None:
            check_file(self.output)


STANDARD: Final = OutputOptions()


@frozen
class Records:
    """Rows to write, and what each column holds; a single object is written as one, not as a list.

    A table ends with the row of totals, if there is one.
    """

    kinds: Mapping[str, Kind]
    rows: Sequence[tuple[Cell, ...]]
    is_single: bool = False
    total: tuple[Cell, ...] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.kinds)

    def dicts(self) -> list[dict[str, Cell]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def only(self, columns: Sequence[str]) -> "Records":
        rows = [tuple(row[name] for name in columns) for row in self.dicts()]
        return evolve(self, kinds={name: self.kinds[name] for name in columns}, rows=rows)


def records_of(columns: Mapping[str, Kind], objects: Iterable[object], *, is_single: bool = False) -> Records:
    """Return records of objects whose attributes are the columns, such as sites."""
    return Records(columns, [tuple(getattr(each, name) for name in columns) for each in objects], is_single)


def records_of_report(report: "Report[Row]") -> Records:
    kinds: dict[str, Kind] = {column.name: column.kind for column in report.query.codec.columns}
    return Records(kinds, [tuple(each[name] for name in kinds) for each in report.to_dicts()])


def records_of_comparison(comparison: "Comparison[Row]", *, is_table: bool = False) -> Records:
    """Return each row with both figures and the change, for the eyes such as ``+12.5 %``."""
    own = records_of_report(comparison.current).kinds
    told: Kind = "text" if is_table else "number"
    kinds: dict[str, Kind] = {
        name: own.get(name.removesuffix("_previous"), told) for name in comparison.columns
    }
    return Records(kinds, [tuple(comparison.cells(row, in_words=is_table)) for row in comparison])


def write(rows: Records, options: OutputOptions = STANDARD) -> None:
    """Write records to their destination; the options have been checked.

    A terminal gets no control characters in any format; files and pipes get texts unchanged.
    """
    chosen = options.resolved()
    rows = rows.only(options.json) if options.json else rows
    if options.output is not None:
        write_file(options.output, encoded(rows, chosen, spreadsheet=options.spreadsheet))
    elif chosen == "table":
        console = stdout_console()
        console.print(table(rows, console.width))
    else:
        on_terminal = sys.stdout.isatty()
        write_bytes(encoded(rows, chosen, for_terminal=on_terminal, spreadsheet=options.spreadsheet))


def write_change(rows: Records, options: OutputOptions, *, done: str) -> None:
    """Write the result of a change; an error says what was done, such as ``the site CDBUGS was deleted``."""
    try:
        write(rows, options)
    except BrokenPipeError:
        raise
    except (OSError, CommandError) as error:
        raise CommandError(f"{done}, but {failure_of(error).message}") from error


def write_bytes(data: bytes) -> None:
    """Write to standard output, whatever its encoding."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def encoded(rows: Records, format: Format, *, for_terminal: bool = False, spreadsheet: bool = False) -> bytes:
    """Return records in a format, for a terminal with control characters escaped, as a table always has them."""
    match format:
        case "table":
            text = StringIO()
            from rich.console import Console  # noqa: PLC0415 - only tables need it

            Console(file=text, width=_WIDE, color_system=None).print(table(rows))
            return "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines()).encode()
        case "json":
            objects = rows.dicts()
            written = msgspec.json.encode(objects[0] if rows.is_single else objects)
            return _json(msgspec.json.format(written, indent=2) + b"\n", for_terminal=for_terminal)
        case "jsonl":
            return _json(msgspec.json.Encoder().encode_lines(rows.dicts()), for_terminal=for_terminal)
        case "csv":
            text = StringIO(newline="")
            fields = ([_field(cell, for_terminal=for_terminal) for cell in row] for row in rows.rows)
            write_fields(rows.columns, fields, text, spreadsheet=spreadsheet)
            return text.getvalue().encode()
        case "parquet":
            sink = BytesIO()
            optional("pyarrow.parquet", extra="arrow").write_table(arrow_table(rows.kinds, rows.rows), sink)
            return sink.getvalue()


def _json(written: bytes, *, for_terminal: bool) -> bytes:
    return printable_json(written.decode()).encode() if for_terminal else written


def _field(cell: Cell, *, for_terminal: bool) -> Cell:
    found = " ".join(cell) if isinstance(cell, tuple) else cell
    return printable(found) if for_terminal and isinstance(found, str) else found


def table(rows: Records, width: int = _WIDE) -> "Table":
    """Return records as a table for the eyes.

    The fields of a single object stand one below the other, and so do those of every row where columns have no
    room.
    """
    from rich import box  # noqa: PLC0415 - only tables need it
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    last = None if rows.total is None or not rows.rows else rows.rows[-1]
    rows = rows if rows.total is None else evolve(rows, rows=[*rows.rows, rows.total])
    if rows.is_single or _least_width(rows) > width:
        grid = Table.grid(padding=(0, 2))
        for place, row in enumerate(rows.rows):
            if place:
                grid.add_row()
            for name, cell in zip(rows.columns, row, strict=True):
                grid.add_row(Text(name, style="bold"), Text(shown(cell), overflow="fold"))
        return grid
    found = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    for place, name in enumerate(rows.columns):
        is_number = _is_number(rows, place)
        found.add_column(name, justify="right" if is_number else "left", overflow="fold", no_wrap=is_number)
    for row in rows.rows:
        found.add_row(*(Text(shown(cell)) for cell in row))
        if row is last:
            found.add_section()
    return found


def _least_width(rows: Records) -> int:
    """Return the fewest characters per line at which no figure is cut, and words stay whole."""
    whole: list[int] = []
    broken: list[int] = []
    for place, name in enumerate(rows.columns):
        texts = [name, *(shown(row[place]) for row in rows.rows)]
        widest = max(map(cells, texts))
        if widest <= _LONGEST_WORD or _is_number(rows, place):
            whole.append(widest)
        else:
            broken.append(min(max(cells(word) for text in texts for word in text.split()), _LONGEST_WORD))
    # Rich takes room from the widest columns until they are equally wide.
    return sum(whole) + len(broken) * max(broken, default=0) + _GAP * (len(rows.columns) - 1)


def _is_number(rows: Records, place: int) -> bool:
    return any(isinstance(row[place], int | float) for row in rows.rows)


def shown(cell: Cell) -> str:  # noqa: PLR0911 - one return a kind
    """Return a cell as a table shows it; visitors choose texts, so nothing in them may steer the terminal."""
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
    """Return a console on standard output, which breaks no lines unless it is a terminal."""
    from rich.console import Console  # noqa: PLC0415 - only tables need it

    return Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)


def say(*lines: str) -> None:
    """Write the result of a command in words on standard output."""
    text = fitted("\n".join(lines), sys.stdout)
    stdout_console().print(text, markup=False, soft_wrap=True)


def note(text: str, *, is_error: bool = False) -> None:
    """Write a line on standard error; a command that is quiet writes errors only."""
    tell(errors() if is_error else sys.stderr, text)
