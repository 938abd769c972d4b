"""Export rows as dicts, CSV, JSON lines, and tables of polars, pandas and Arrow.

The table libraries are optional, and imported on use.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from operator import attrgetter
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO, cast, get_args

import msgspec

from fathom_async._core.codec.rows import Column, ColumnKind, Row

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
    import polars as pl
    import pyarrow as pa  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

KINDS: Final[tuple[str, ...]] = get_args(ColumnKind)
_POLARS: Final[dict[str, str]] = dict.fromkeys(KINDS, "Date") | {
    "text": "String",
    "count": "Int64",
    "number": "Float64",
    "hour": "Datetime",
}
_PANDAS: Final[dict[str, str]] = dict.fromkeys(KINDS, "datetime64[us]") | {
    "text": "string",
    "count": "Int64",
    "number": "Float64",
}
_ARROW: Final[dict[str, str]] = dict.fromkeys(KINDS, "date32") | {
    "flag": "bool",
    "text": "string",
    "count": "int64",
    "number": "float64",
    "hour": "timestamp[us]",
}
_CRLF: Final = "\r\n"


def cells(rows: Sequence[Row], column: str) -> "list[str | int | float | date | None]":
    """Return the values of one column."""
    return list(map(attrgetter(column), rows))


def to_dicts(rows: Sequence[Row]) -> "list[dict[str, str | int | float | date | None]]":
    """Return each row as a dict, in the order of the columns."""
    return [msgspec.structs.asdict(row) for row in rows]


def write_csv(columns: Sequence[Column], rows: Sequence[Row], target: str | PathLike[str] | TextIO) -> None:
    """Write a header and the rows; nulls are empty, dates ISO, and a path is written as UTF-8."""
    if isinstance(target, (str, PathLike)):
        with Path(target).open("w", encoding="utf-8", newline="") as file:
            write_csv(columns, rows, file)
        return
    write_fields([column.name for column in columns], map(msgspec.structs.astuple, rows), target)


def write_fields(names: Iterable[str], rows: Iterable[Iterable[object]], target: TextIO) -> None:
    """Write CSV whose lines end with a line feed, and whose fields any reader gives back as they were.

    A carriage return ends a line for readers of CSV, and visitors may put one into a path. Some versions of Python
    quote it only where it is a part of the line's own end.
    """
    writer = csv.writer(_LineFeeds(target), lineterminator=_CRLF)
    writer.writerow(names)
    writer.writerows(rows)


class _LineFeeds:
    """Ends lines, each written at once, with a line feed alone."""

    def __init__(self, target: TextIO) -> None:
        self._target = target

    def write(self, line: str) -> int:
        return self._target.write(f"{line.removesuffix(_CRLF)}\n")


def to_jsonl(rows: Sequence[Row]) -> str:
    """Return one JSON object per line."""
    return msgspec.json.Encoder().encode_lines(rows).decode()


def to_polars(columns: Sequence[Column], rows: Sequence[Row]) -> "pl.DataFrame":
    """Return a polars frame."""
    polars = _optional("polars", extra="polars")
    schema = {column.name: getattr(polars, _POLARS[column.kind]) for column in columns}
    data = {name: cells(rows, name) for name in schema}
    return cast("pl.DataFrame", polars.DataFrame(data, schema=schema))


def to_pandas(columns: Sequence[Column], rows: Sequence[Row]) -> "pd.DataFrame":
    """Return a pandas frame with nullable types."""
    pandas = _optional("pandas", extra="pandas")
    return pandas.DataFrame(
        {
            column.name: pandas.Series(cells(rows, column.name), dtype=_PANDAS[column.kind])
            for column in columns
        }
    )


def to_arrow(columns: Sequence[Column], rows: Sequence[Row]) -> "pa.Table":  # pyright: ignore[reportUnknownParameterType, reportUnknownMemberType]
    """Return an Arrow table."""
    return arrow_table({each.name: each.kind for each in columns}, list(map(msgspec.structs.astuple, rows)))


def arrow_table(kinds: Mapping[str, str], rows: Sequence[Sequence[object]]) -> Any:  # noqa: ANN401 - pyarrow is not typed
    """Return an Arrow table of rows whose columns have these kinds, by name."""
    pyarrow = _optional("pyarrow", extra="arrow")
    found = {
        name: pyarrow.array([row[place] for row in rows], arrow_type(kind))
        for place, (name, kind) in enumerate(kinds.items())
    }
    return pyarrow.table(found)


def arrow_type(kind: str) -> Any:  # noqa: ANN401 - pyarrow is not typed
    """Return the Arrow type of a kind of column: a `ColumnKind`, ``flag``, or ``moment`` or ``texts``."""
    pyarrow = _optional("pyarrow", extra="arrow")
    match kind:
        case "moment":
            return pyarrow.timestamp("us", tz="UTC")
        case "texts":
            return pyarrow.list_(pyarrow.string())
        case _:
            return pyarrow.type_for_alias(_ARROW[kind])


def write_parquet(columns: Sequence[Column], rows: Sequence[Row], target: str | PathLike[str]) -> None:
    """Write a Parquet file."""
    parquet = _optional("pyarrow.parquet", extra="arrow")
    parquet.write_table(to_arrow(columns, rows), target)  # pyright: ignore[reportUnknownMemberType]


def _optional(module: str, *, extra: str) -> Any:  # noqa: ANN401 - a module that may not be there has no type
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise ImportError(
            f'{error.name} is not installed; for this, pip install "fathom_async[{extra}]"', name=error.name
        ) from None
