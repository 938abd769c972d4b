"""A table in a SQL database, and the table of its ledger beside it."""

import json
import re
import sqlite3
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import attrs

from fathom_async._reports.fields import DATE_COLUMN
from fathom_async.backfill._destination import TargetError, lock
from fathom_async.backfill._layout import Cells, Layout, Series
from fathom_async.backfill._ledger import Ledger, Span
from fathom_async.errors import ArgumentError

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,50}")
_DEFINITION: Final = "definition"


Connection = sqlite3.Connection  # DuckDB's connections have the methods that are used here


@attrs.frozen
class Dialect:
    """The differences between the databases.

    `connect` opens a file, created if missing, and raises only `errors`. `begin` begins a write transaction, and
    `tables` asks for the names of all tables, in lower case. `types` has the column type of each kind, and `encode`
    converts the cells of a row. `insert` inserts rows into a table, given its columns with their types; names are
    quoted. `by_series` says whether to index the series and the date.
    """

    connect: Callable[[Path], Connection]
    errors: tuple[type[Exception], ...]
    begin: str
    types: Mapping[str, str]
    tables: str
    encode: Callable[[Cells], Cells]
    insert: Callable[[Connection, str, Mapping[str, str], Sequence[Cells]], None]
    by_series: bool


def table_name(name: object) -> str:
    """Return the name of a table, checked to be a plain word."""
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise ArgumentError(
            f"table must be a name of letters, digits and underscores such as 'pageviews', not {name!r}"
        )
    return name


def quoted(name: str) -> str:
    """Quote a name, which may be a keyword such as ``order``."""
    return f'"{name}"'


class SqlTable:
    """A table that a backfill writes into; see `OpenDestination`.

    A second table, whose name ends with ``_ledger``, stores the definition, and the `Ledger` of each series as JSON.
    """

    def __init__(self, dialect: Dialect, path: Path, table: str, layout: Layout, zone: str) -> None:
        self._dialect = dialect
        self._path = path
        self._table = table
        self._ledger = f"{table}_ledger"
        self._layout = layout
        self._zone = zone
        self._where = f"table {table} of {path}"
        self._lock: sqlite3.Connection | None = None
        self._connection: Connection | None = None

    def open(self) -> None:
        if not self._path.parent.is_dir():
            raise ArgumentError(
                f"there is no directory {self._path.parent} for {self._path.name}; create it first"
            )
        file = self._path.resolve()
        self._lock = lock(file.with_name(f"{file.name}.{self._table.lower()}.lock"), self._where)
        with self._failures():
            self._connection = self._dialect.connect(self._path)
        with self._transaction() as connection:
            self._prepare(connection)

    def ledger(self, series: Series) -> Ledger:
        with self._transaction() as connection:
            return self._read(connection, series)

    def replace(self, series: Series, span: Span, rows: Sequence[Cells], settled: Span) -> None:
        """See `OpenDestination.replace`: all of it is one transaction."""
        unit, encode = self._layout.unit, self._dialect.encode
        bounds = encode((unit.value(span.first), unit.value(span.after)))
        mine = "".join(f"{quoted(name)} = ? AND " for name in self._layout.key)
        at = quoted(DATE_COLUMN)
        with self._transaction() as connection:
            connection.execute(
                f"DELETE FROM {quoted(self._table)} WHERE {mine}{at} >= ? AND {at} < ?",  # noqa: S608 - own names
                (*series.cells, *bounds),
            )
            if rows:
                self._dialect.insert(
                    connection, quoted(self._table), self._columns, [encode(row) for row in rows]
                )
            ledger = self._read(connection, series).replaced(span, settled, self._zone)
            self._put(connection, _name(series), json.dumps(ledger.to_json(unit)))

    def close(self) -> None:
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                with self._failures():
                    connection.close()
        finally:
            if self._lock is not None:
                self._lock.close()

    @property
    def _columns(self) -> dict[str, str]:
        return {quoted(column.name): self._dialect.types[column.kind] for column in self._layout.columns}

    def _prepare(self, connection: Connection) -> None:
        tables = {str(name) for (name,) in connection.execute(self._dialect.tables).fetchall()}
        if self._ledger.lower() in tables:
            self._layout.check(self._get(connection, _DEFINITION) or "{}", self._where)
        elif self._table.lower() in tables:
            raise ArgumentError(f"{self._where} was not created by a backfill; name another table")
        else:
            connection.execute(
                f"CREATE TABLE {self._ledger} (name TEXT NOT NULL PRIMARY KEY, content TEXT NOT NULL)"
            )
            self._put(connection, _DEFINITION, self._layout.describe())
        if self._table.lower() not in tables:
            columns = ", ".join(f"{name} {kind}" for name, kind in self._columns.items())
            connection.execute(f"CREATE TABLE {quoted(self._table)} ({columns})")
            connection.execute(f"DELETE FROM {self._ledger} WHERE name <> ?", (_DEFINITION,))  # noqa: S608 - own names
            if self._dialect.by_series:
                keys = ", ".join(map(quoted, (*self._layout.key, DATE_COLUMN)))
                index = f"{self._table}_by_series"
                connection.execute(f"CREATE INDEX {index} ON {quoted(self._table)} ({keys})")

    def _read(self, connection: Connection, series: Series) -> Ledger:
        return Ledger.from_json(self._layout.unit, json.loads(self._get(connection, _name(series)) or "{}"))

    def _get(self, connection: Connection, name: str) -> str | None:
        found = connection.execute(f"SELECT content FROM {self._ledger} WHERE name = ?", (name,)).fetchall()  # noqa: S608 - own names
        return str(found[0][0]) if found else None

    def _put(self, connection: Connection, name: str, content: str) -> None:
        connection.execute(
            f"INSERT INTO {self._ledger} VALUES (?, ?) "  # noqa: S608 - own names
            "ON CONFLICT (name) DO UPDATE SET content = excluded.content",
            (name, content),
        )

    @contextmanager
    def _transaction(self) -> Generator[Connection]:
        connection = self._connection
        if connection is None:
            raise TargetError(f"{self._where} is not open")
        with self._failures():
            connection.execute(self._dialect.begin)
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                self._roll_back(connection)
                raise

    def _roll_back(self, connection: Connection) -> None:
        with suppress(*self._dialect.errors):  # the failure may have ended the transaction already
            connection.execute("ROLLBACK")

    @contextmanager
    def _failures(self) -> Generator[None]:
        try:
            yield
        except self._dialect.errors as error:
            raise TargetError(f"{self._where} cannot be used: {error}") from error


def _name(series: Series) -> str:
    return json.dumps(["series", *series.cells], ensure_ascii=False)
