"""Targets as strings."""

from pathlib import Path

import pytest

from fathom_async import ArgumentError
from fathom_async.backfill._destination import Destination
from fathom_async.backfill._duckdb import DuckDBTable
from fathom_async.backfill._parquet import ParquetDataset
from fathom_async.backfill._run import target_of
from fathom_async.backfill._sqlite import SqliteTable


@pytest.mark.parametrize(
    ("written", "target"),
    [
        ("parquet:reports", ParquetDataset("reports")),
        ("parquet:/data/a#b", ParquetDataset("/data/a#b")),
        ("duckdb:stats.duckdb#t", DuckDBTable("stats.duckdb", "t")),
        ("duckdb:///data/stats.duckdb#t", DuckDBTable("/data/stats.duckdb", "t")),
        ("sqlite:/data/#1/stats.db#t", SqliteTable("/data/#1/stats.db", "t")),
    ],
)
def test_a_string_names_a_kind_a_path_and_a_table(written: str, target: Destination) -> None:
    assert target_of(written) == target
    assert target_of(target) is target
    assert target_of(str(target)) == target


def test_home_is_known() -> None:
    assert ParquetDataset("~/reports").path == Path("~/reports").expanduser()


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("reports", "does not say its kind.*parquet:reports"),
        ("duckbd:stats.db#t", "did you mean 'duckdb'"),
        ("duckdb:stats.db", "is incomplete"),
        ("duckdb:#t", "is incomplete"),
        ("sqlite:stats.db#", "table must be a name"),
        ("sqlite:stats.db#drop table", "table must be a name"),
        ("duckdb://host/stats.db#t", "names a host"),
        ("parquet:", "is incomplete"),
        (Path("reports"), "must be a str or a target"),
        (3, "must be a str or a target"),
    ],
)
def test_anything_else_is_refused(written: object, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        target_of(written)
