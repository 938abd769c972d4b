"""Rows as other shapes: dicts, CSV, JSON lines, and the tables of polars, pandas and Arrow.

The table libraries are optional, and imported when they are asked for.
"""

from collections.abc import Sequence
from importlib import import_module
from operator import attrgetter
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO, cast

import msgspec

from fathom_async._core.codec.rows import Column, ColumnKind, Row
from fathom_async._util.csv_fields import write_fields

if TYPE_CHECKING:
    from datetime import date

    import pandas as pd  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
    import polars as pl
    import pyarrow as pa  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

_POLARS: Final[dict[ColumnKind, str]] = {
    "text": "String",
    "count": "Int64",
    "number": "Float64",
    "hour": "Datetime",
    "day": "Date",
    "month": "Date",
    "year": "Date",
}
_PANDAS: Final[dict[ColumnKind, str]] = {
    "text": "string",
    "count": "Int64",
    "number": "Float64",
    "hour": "datetime64[us]",
    "day": "datetime64[us]",
    "month": "datetime64[us]",
    "year": "datetime64[us]",
}
_ARROW: Final[dict[ColumnKind, str]] = {
    "text": "string",
    "count": "int64",
    "number": "float64",
    "hour": "timestamp[us]",
    "day": "date32",
    "month": "date32",
    "year": "date32",
}


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


def to_jsonl(rows: Sequence[Row]) -> str:
    """Return one JSON object a line."""
    return msgspec.json.Encoder().encode_lines(rows).decode()


def to_polars(columns: Sequence[Column], rows: Sequence[Row]) -> "pl.DataFrame":
    """Return a polars frame."""
    polars = _optional("polars", extra="polars")
    schema = {column.name: getattr(polars, _POLARS[column.kind]) for column in columns}
    data = {name: cells(rows, name) for name in schema}
    return cast("pl.DataFrame", polars.DataFrame(data, schema=schema))


def to_pandas(columns: Sequence[Column], rows: Sequence[Row]) -> "pd.DataFrame":
    """Return a pandas frame, of types that know nulls."""
    pandas = _optional("pandas", extra="pandas")
    return pandas.DataFrame(
        {
            column.name: pandas.Series(cells(rows, column.name), dtype=_PANDAS[column.kind])
            for column in columns
        }
    )


def to_arrow(columns: Sequence[Column], rows: Sequence[Row]) -> "pa.Table":  # pyright: ignore[reportUnknownParameterType, reportUnknownMemberType]
    """Return an Arrow table."""
    pyarrow = _optional("pyarrow", extra="arrow")
    types = {column.name: pyarrow.type_for_alias(_ARROW[column.kind]) for column in columns}
    return pyarrow.table({name: pyarrow.array(cells(rows, name), kind) for name, kind in types.items()})


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
