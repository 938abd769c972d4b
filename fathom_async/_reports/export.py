"""Export rows as dicts, CSV, JSON lines, and tables of polars, pandas and Arrow.

The table libraries are optional, and imported on use.
"""

from collections.abc import Sequence
from operator import attrgetter
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO, cast, get_args

import msgspec

from fathom_async._core.codec.rows import Column, ColumnKind, Row, requested
from fathom_async._util.arrow import arrow_table, check_counts
from fathom_async._util.csv_fields import write_fields
from fathom_async._util.lazy import optional

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


def column_values(rows: Sequence[Row], column: str) -> "list[str | int | float | date | None]":
    """Return the values of one column."""
    return list(map(attrgetter(column), rows))


def to_dicts(rows: Sequence[Row]) -> "list[dict[str, str | int | float | date | None]]":
    """Return each row as a dict, in the order of the columns, and then what nobody requested."""
    return [msgspec.structs.asdict(row) for row in rows]


def write_csv(
    columns: Sequence[Column],
    rows: Sequence[Row],
    target: str | PathLike[str] | TextIO,
    *,
    spreadsheet: bool = False,
) -> None:
    """Write a header and the rows; nulls are empty, dates ISO, and a path is written as UTF-8."""
    if isinstance(target, (str, PathLike)):
        with Path(target).open("w", encoding="utf-8", newline="") as file:
            write_csv(columns, rows, file, spreadsheet=spreadsheet)
        return
    names = [column.name for column in columns]
    write_fields(names, requested(rows), target, spreadsheet=spreadsheet)


def to_jsonl(rows: Sequence[Row]) -> str:
    """Return one JSON object per line."""
    return msgspec.json.Encoder().encode_lines(rows).decode()


def to_polars(columns: Sequence[Column], rows: Sequence[Row]) -> "pl.DataFrame":
    """Return a polars frame."""
    polars = optional("polars", extra="polars")
    check_counts(_kinds(columns), requested(rows))
    schema = {column.name: getattr(polars, _POLARS[column.kind]) for column in columns}
    data = {name: column_values(rows, name) for name in schema}
    return cast("pl.DataFrame", polars.DataFrame(data, schema=schema))


def to_pandas(columns: Sequence[Column], rows: Sequence[Row]) -> "pd.DataFrame":
    """Return a pandas frame with nullable types."""
    pandas = optional("pandas", extra="pandas")
    check_counts(_kinds(columns), requested(rows))
    return pandas.DataFrame(
        {
            column.name: pandas.Series(column_values(rows, column.name), dtype=_PANDAS[column.kind])
            for column in columns
        }
    )


def to_arrow(columns: Sequence[Column], rows: Sequence[Row]) -> "pa.Table":  # pyright: ignore[reportUnknownParameterType, reportUnknownMemberType]
    """Return an Arrow table."""
    return arrow_table(_kinds(columns), requested(rows))


def write_parquet(columns: Sequence[Column], rows: Sequence[Row], target: str | PathLike[str]) -> None:
    """Write a Parquet file."""
    parquet = optional("pyarrow.parquet", extra="arrow")
    parquet.write_table(to_arrow(columns, rows), target)  # pyright: ignore[reportUnknownMemberType]


def _kinds(columns: Sequence[Column]) -> dict[str, str]:
    return {column.name: column.kind for column in columns}
