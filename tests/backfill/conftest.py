"""Targets of each kind."""

from pathlib import Path

import pytest

from fathom_async.backfill._destination import Destination
from fathom_async.backfill._duckdb import DuckDBTable
from fathom_async.backfill._parquet import ParquetDataset
from fathom_async.backfill._sqlite import SqliteTable

KINDS = ("parquet", "duckdb", "sqlite")


def target_in(directory: Path, kind: str) -> Destination:
    match kind:
        case "parquet":
            return ParquetDataset(directory / "reports")
        case "duckdb":
            return DuckDBTable(directory / "stats.duckdb", "reports")
        case _:
            return SqliteTable(directory / "stats.db", "reports")


@pytest.fixture(params=KINDS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Destination:
    """A target of each kind that is not there yet."""
    return target_in(tmp_path, request.param)
