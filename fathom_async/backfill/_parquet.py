"""A directory of Parquet files, one for each month of a series; needs the extra ``fathom_async[arrow]``."""

import hashlib
import json
import os
import sqlite3
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import date
from glob import escape
from itertools import groupby
from pathlib import Path
from typing import Any, Final, cast

import attrs

from fathom_async._reports.fields import DATE_COLUMN
from fathom_async._util.arrow import arrow_type
from fathom_async._util.checks import file_path
from fathom_async._util.lazy import optional
from fathom_async.backfill._destination import OpenDestination, TargetError, lock
from fathom_async.backfill._layout import Cells, Layout, Series
from fathom_async.backfill._ledger import Ledger, Span
from fathom_async.errors import ArgumentError

_LOCK: Final = "_backfill.lock"
_LEDGER: Final = b"fathom_async"


@attrs.frozen
class ParquetDataset:
    """A directory of Parquet files in Hive's layout, created if missing.

    Hours and days are in one file per month, ``month=2026-01/CDBUGS.parquet``, months and years in one per year. Each
    file belongs to one series and is replaced atomically. Its metadata name the settled periods; a file without rows
    is a month without visitors.

    Args:
        path: The directory; its parent must exist.
    """

    path: Path = attrs.field(converter=file_path)

    def __str__(self) -> str:
        return f"parquet:{self.path}"

    def using(self, layout: Layout, zone: str) -> OpenDestination:
        """See `Destination.using`.

        Raises:
            ImportError: pyarrow is not installed; the message names the extra.
        """
        return _OpenDataset(self.path, layout, zone)


@attrs.frozen
class _Content:
    """A file's table and metadata."""

    table: Any
    series: Series
    ledger: Ledger


class _OpenDataset:
    """See `OpenDestination`."""

    def __init__(self, path: Path, layout: Layout, zone: str) -> None:
        self._arrow: Any = optional("pyarrow", extra="arrow")
        self._parquet: Any = optional("pyarrow.parquet", extra="arrow")
        self._path = path
        self._layout = layout
        self._zone = zone
        self._lock: sqlite3.Connection | None = None
        self._partition = "month" if layout.unit.name in {"hour", "day"} else "year"

    def open(self) -> None:
        if not self._path.parent.is_dir():
            raise ArgumentError(
                f"there is no directory {self._path.parent} for {self._path.name}; create it first"
            )
        if self._path.exists() and not self._path.is_dir():
            raise ArgumentError(f"{self._path} is a file; name a directory for the Parquet files")
        self._check_contents()
        with self._failures():
            self._path.mkdir(exist_ok=True)
        self._lock = lock(self._path / _LOCK, str(self._path))
        with self._failures():
            for left_over in self._path.glob("*/.*.tmp"):
                left_over.unlink()
        for path in self._files("*"):
            self._read(path, with_rows=False)
            break

    def ledger(self, series: Series) -> Ledger:
        files = self._files(escape(_stem(series)))
        return Ledger.of(self._read_own(path, series).ledger for path in files)

    def replace(self, series: Series, span: Span, rows: Sequence[Cells], settled: Span) -> None:
        unit = self._layout.unit
        by_index: dict[int, list[Cells]] = {}
        for row in rows:
            by_index.setdefault(unit.index(cast("date", row[len(self._layout.key)])), []).append(row)
        for name, indexes in groupby(range(span.first, span.after), key=self._partition_of):
            numbers = list(indexes)
            part = Span(numbers[0], numbers[-1] + 1)
            path = self._path / name / f"{_stem(series)}.parquet"
            with self._failures():
                table = self._table([row for index in numbers for row in by_index.get(index, ())])
                done = Span(max(part.first, settled.first), min(part.after, settled.after))
                ledger = Ledger()
                if path.exists():
                    old = self._read_own(path, series, with_rows=True)
                    table = self._arrow.concat_tables([self._without(old.table, part), table])
                    table = table.sort_by(DATE_COLUMN)
                    ledger = old.ledger
                self._write(path, table, series, ledger.replaced(part, done, self._zone))

    def close(self) -> None:
        if self._lock is not None:
            self._lock.close()

    def _check_contents(self) -> None:
        if not self._path.is_dir():
            return
        prefix = f"{self._partition}="
        for entry in self._path.iterdir():
            if entry.name.startswith((".", "_", prefix)):
                continue
            if entry.name.startswith(("month=", "year=")):
                raise ArgumentError(
                    f"{self._path} holds reports by another unit than {self._layout.unit.name}; name a new target"
                )
            raise ArgumentError(
                f"{self._path} holds something else, such as {entry.name}; name a new or empty directory"
            )

    def _partition_of(self, index: int) -> str:
        digits = len("2026-01" if self._partition == "month" else "2026")
        return f"{self._partition}={self._layout.unit.start(index).isoformat()[:digits]}"

    def _files(self, stem: str) -> Iterable[Path]:
        return sorted(self._path.glob(f"{self._partition}=*/{stem}.parquet"))

    def _table(self, rows: Sequence[Cells]) -> Any:  # noqa: ANN401 - pyarrow is not typed
        schema = self._arrow.schema([(each.name, arrow_type(each.kind)) for each in self._layout.columns])
        columns = zip(*rows, strict=True) if rows else [() for _ in schema]
        arrays = [self._arrow.array(cells, field.type) for cells, field in zip(columns, schema, strict=True)]
        return self._arrow.Table.from_arrays(arrays, schema=schema)

    def _without(self, table: Any, span: Span) -> Any:  # noqa: ANN401 - pyarrow is not typed
        unit = self._layout.unit
        dates = cast("list[date]", table.column(DATE_COLUMN).to_pylist())
        return table.filter(self._arrow.array([unit.index(value) not in span for value in dates], "bool"))

    def _read_own(self, path: Path, series: Series, *, with_rows: bool = False) -> _Content:
        content = self._read(path, with_rows=with_rows)
        if content.series != series:
            raise ArgumentError(f"{path} is of {content.series}, not of {series}; name a new target")
        return content

    def _read(self, path: Path, *, with_rows: bool) -> _Content:
        with self._failures():
            schema = self._parquet.read_schema(path)
            ledger = cast("dict[bytes, bytes]", schema.metadata or {}).get(_LEDGER)
            if ledger is None:
                raise ArgumentError(f"{path} was not written by a backfill; name another directory")
            table = None
            if with_rows:
                table = self._parquet.ParquetFile(path).read().replace_schema_metadata(None)
        found = json.loads(ledger)
        self._layout.check(
            found["definition"], str(self._path)
        )  # first, since other versions have other metadata
        known = Ledger.from_json(self._layout.unit, found["ledger"])
        return _Content(table, Series(*found["series"]), known)

    def _write(self, path: Path, table: Any, series: Series, ledger: Ledger) -> None:  # noqa: ANN401
        kept = {
            "definition": self._layout.describe(),
            "series": series.cells,
            "ledger": ledger.to_json(self._layout.unit),
        }
        table = table.replace_schema_metadata({_LEDGER: json.dumps(kept).encode()})
        path.parent.mkdir(exist_ok=True)
        beside = path.with_name(f".{path.name}.tmp")
        with beside.open("wb") as file:
            self._parquet.write_table(table, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)

    @contextmanager
    def _failures(self) -> Generator[None]:
        try:
            yield
        except (OSError, self._arrow.ArrowException) as error:
            raise TargetError(f"{self._path} cannot be used: {error}") from error


def _stem(series: Series) -> str:
    """Return a file name for a series; names of events may hold anything, so they are hashed."""
    if series.entity_name is None:
        return series.site_id
    return f"{series.site_id}-{hashlib.sha256(series.entity_name.encode()).hexdigest()[:16]}"
