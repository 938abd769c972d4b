"""A table in a DuckDB file; needs the extra ``fathom_async[duckdb]``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import attrs

from fathom_async._reports.export import KINDS
from fathom_async._util.checks import file_path
from fathom_async._util.lazy import optional
from fathom_async.backfill._destination import OpenDestination
from fathom_async.backfill._layout import Cells, Layout
from fathom_async.backfill._sql import Connection, Dialect, SqlTable, table_name


@attrs.frozen
class DuckDBTable:
    """A table in a DuckDB file, created if missing.

    Texts are VARCHAR, counts BIGINT, other numbers DOUBLE, dates DATE, and hours TIMESTAMP. The file is open
    for the whole backfill; DuckDB does not let other processes open it meanwhile.

    Args:
        path: The file; its directory must exist.
        table: Name of the table.

    Raises:
        ArgumentError: The table's name is not a plain word.
    """

    path: Path = attrs.field(converter=file_path)
    table: str = attrs.field(converter=table_name)

    def __str__(self) -> str:
        return f"duckdb:{self.path}#{self.table}"

    def using(self, layout: Layout, zone: str) -> OpenDestination:
        """See `Destination.using`.

        Raises:
            ImportError: DuckDB is not installed; the message names the extra.
        """
        return SqlTable(_dialect(), self.path, self.table, layout, zone)


def _dialect() -> Dialect:
    duckdb = optional("duckdb", extra="duckdb")

    def connect(path: Path) -> Connection:
        if not path.exists():
            # A new file that a full disk or a kill cuts off is rejected from then on, so it is made elsewhere.
            with TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as directory:
                made = Path(directory) / path.name
                duckdb.connect(made).close()
                _move(made, path)
        return cast("Connection", duckdb.connect(path))

    types = {"text": "VARCHAR", "count": "BIGINT", "number": "DOUBLE", "hour": "TIMESTAMP"}
    return Dialect(
        connect=connect,
        errors=(duckdb.Error, OSError),
        begin="BEGIN",
        types=dict.fromkeys(KINDS, "DATE") | types,
        tables="SELECT lower(table_name) FROM information_schema.tables",
        encode=lambda cells: cells,
        insert=_insert,
        by_series=False,
    )


def _move(made: Path, path: Path) -> None:
    """Move a file, unless another backfill has made it meanwhile."""
    try:
        path.hardlink_to(made)
    except FileExistsError:
        pass
    except OSError:  # the file system has no links
        made.rename(path)


def _insert(connection: Connection, table: str, columns: Mapping[str, str], rows: Sequence[Cells]) -> None:
    """Insert rows column by column, which is a hundred times faster in DuckDB than row by row."""
    lists = ", ".join(f"unnest(?::{kind}[])" for kind in columns.values())
    sql = f"INSERT INTO {table} ({', '.join(columns)}) SELECT {lists}"
    connection.execute(sql, [list(cells) for cells in zip(*rows, strict=True)])
