"""A table in a SQLite file."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Final

import attrs

from fathom_async._reports.export import KINDS
from fathom_async._util.checks import file_path
from fathom_async.backfill._destination import OpenDestination
from fathom_async.backfill._layout import Cell, Cells, Layout
from fathom_async.backfill._sql import Connection, Dialect, SqlTable, table_name

_BUSY_SECONDS: Final = 30.0


@attrs.frozen
class SqliteTable:
    """A table in a SQLite file, created if missing.

    Texts are TEXT, counts INTEGER, other numbers REAL, and dates TEXT, such as ``2026-01-31`` and for hours
    ``2026-01-31 15:00:00``, which SQLite's date functions understand and which sort as dates do.

    Args:
        path: The file; its directory must exist.
        table: Name of the table.

    Raises:
        ArgumentError: The table's name is not a plain word.
    """

    path: Path = attrs.field(converter=file_path)
    table: str = attrs.field(converter=table_name)

    def __str__(self) -> str:
        return f"sqlite:{self.path}#{self.table}"

    def using(self, layout: Layout, zone: str) -> OpenDestination:
        """See `Destination.using`."""
        return SqlTable(_DIALECT, self.path, self.table, layout, zone)


def _connect(path: Path) -> Connection:
    return sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _encode(cells: Cells) -> Cells:
    return tuple([_text(cell) if isinstance(cell, date) else cell for cell in cells])


def _text(moment: date) -> Cell:
    return moment.isoformat(sep=" ") if isinstance(moment, datetime) else moment.isoformat()


def _insert(connection: Connection, table: str, columns: Mapping[str, str], rows: Sequence[Cells]) -> None:
    marks = ", ".join("?" * len(columns))
    sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - own names
    connection.executemany(sql, rows)


_DIALECT: Final = Dialect(
    connect=_connect,
    errors=(sqlite3.Error,),
    begin="BEGIN IMMEDIATE",
    types=dict.fromkeys(KINDS, "TEXT") | {"count": "INTEGER", "number": "REAL"},
    tables="SELECT lower(name) FROM sqlite_master WHERE type IN ('table', 'view')",
    encode=_encode,
    insert=_insert,
    by_series=True,
)
