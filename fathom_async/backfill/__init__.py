"""Reports copied into a table, period by period: each run asks for what is new, and for what may have changed."""

from fathom_async.backfill.duckdb import DuckDBTable
from fathom_async.backfill.errors import TargetBusyError, TargetError
from fathom_async.backfill.parquet import ParquetDataset
from fathom_async.backfill.run import BackfillSummary, backfill
from fathom_async.backfill.sqlite import SqliteTable
from fathom_async.backfill.target import Target

__all__ = [
    "BackfillSummary",
    "DuckDBTable",
    "ParquetDataset",
    "SqliteTable",
    "Target",
    "TargetBusyError",
    "TargetError",
    "backfill",
]
