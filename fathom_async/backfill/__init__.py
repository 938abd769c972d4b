"""Reports copied into a table, period by period: each run asks for what is new, and for what may have changed."""

from fathom_async.backfill._duckdb import DuckDBTable
from fathom_async.backfill._errors import TargetBusyError, TargetError
from fathom_async.backfill._parquet import ParquetDataset
from fathom_async.backfill._run import BackfillSummary, backfill
from fathom_async.backfill._sqlite import SqliteTable
from fathom_async.backfill._target import Target

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
