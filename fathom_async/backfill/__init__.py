"""Copy reports into a table, period by period; each run requests new periods, and those that may have changed."""

from fathom_async.backfill._destination import Destination, TargetBusyError, TargetError
from fathom_async.backfill._duckdb import DuckDBTable
from fathom_async.backfill._parquet import ParquetDataset
from fathom_async.backfill._run import BackfillSummary, backfill
from fathom_async.backfill._sqlite import SqliteTable

__all__ = [
    "BackfillSummary",
    "Destination",
    "DuckDBTable",
    "ParquetDataset",
    "SqliteTable",
    "TargetBusyError",
    "TargetError",
    "backfill",
]
