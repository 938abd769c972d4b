"""Export rows as CSV, and as tables of polars, pandas and Arrow.

The table libraries are optional, and imported on use.
"""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO, cast, get_args

from fathom_async._core.codec.rows import Column, ColumnKind, Row, requested
from fathom_async._util.arrow import arrow_table, check_counts
from fathom_async._util.csv_fields import write_fields
from fathom_async._util.lazy import optional

if TYPE_CHECKING:
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


def to_polars(columns: Sequence[Column], rows: Sequence[Row]) -> "pl.DataFrame":
    polars = optional("polars", extra="polars")
    schema = {column.name: getattr(polars, _POLARS[column.kind]) for column in columns}
    return cast("pl.DataFrame", polars.DataFrame(_by_column(columns, rows), schema=schema))


def to_pandas(columns: Sequence[Column], rows: Sequence[Row]) -> "pd.DataFrame":
    """Return a pandas frame with nullable types."""
    pandas = optional("pandas", extra="pandas")
    types = (_PANDAS[column.kind] for column in columns)
    values = _by_column(columns, rows).items()
    return pandas.DataFrame(
        {name: pandas.Series(each, dtype=kind) for (name, each), kind in zip(values, types, strict=True)}
    )


def to_arrow(columns: Sequence[Column], rows: Sequence[Row]) -> "pa.Table":  # pyright: ignore[reportUnknownParameterType, reportUnknownMemberType]
    return arrow_table(_kinds(columns), requested(rows))


def _by_column(columns: Sequence[Column], rows: Sequence[Row]) -> dict[str, list[object]]:
    """Return the values of each column, of which counts fit into a table."""
    found = requested(rows)
    check_counts(_kinds(columns), found)
    return {column.name: [row[place] for row in found] for place, column in enumerate(columns)}


def _kinds(columns: Sequence[Column]) -> dict[str, str]:
    return {column.name: column.kind for column in columns}
