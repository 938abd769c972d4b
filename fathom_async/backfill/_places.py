"""Targets written as one string."""

from typing import Final

from fathom_async._util.checks import suggestion
from fathom_async.backfill._duckdb import DuckDBTable
from fathom_async.backfill._parquet import ParquetDataset
from fathom_async.backfill._sqlite import SqliteTable
from fathom_async.backfill._target import Target
from fathom_async.errors import ArgumentError

KINDS: Final = ("parquet", "duckdb", "sqlite")

_ADVICE: Final = (
    "write 'parquet:reports' for a directory, 'duckdb:stats.duckdb#pageviews' or 'sqlite:stats.db#pageviews' "
    "for a table of a file"
)


def target_of(written: object) -> Target:
    """Return the target that a string means, or the target itself.

    Args:
        written: ``parquet:directory``, ``duckdb:file#table`` or ``sqlite:file#table``; paths are relative, or whole
            as in ``duckdb:/data/stats.duckdb#pageviews`` (``duckdb:///data/…`` is the same).

    Raises:
        ArgumentError: It is none of these.
    """
    if isinstance(written, ParquetDataset | DuckDBTable | SqliteTable):
        return written
    if not isinstance(written, str):
        if callable(getattr(written, "using", None)):
            return written  # type: ignore[return-value]
        raise ArgumentError(f"the target must be a str or a target, not {written!r}: {_ADVICE}")
    kind, colon, rest = written.partition(":")
    if not colon:
        raise ArgumentError(f"the target {written!r} does not say its kind: {_ADVICE}")
    if kind not in KINDS:
        raise ArgumentError(f"the target {written!r} is of no known kind{suggestion(kind, KINDS)}")
    if rest.startswith("//") and not rest.startswith("///"):
        raise ArgumentError(f"the target {written!r} names a host; targets are files: {_ADVICE}")
    rest = rest.removeprefix("//")
    path, mark, table = (rest, "", "") if kind == "parquet" else rest.rpartition("#")
    if not path.strip() or (kind != "parquet" and not mark):
        raise ArgumentError(f"the target {written!r} is not whole: {_ADVICE}")
    if kind == "parquet":
        return ParquetDataset(path)
    return DuckDBTable(path, table) if kind == "duckdb" else SqliteTable(path, table)
