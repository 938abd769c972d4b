"""A report for the eyes: a table in a terminal, and one in a notebook."""

from collections.abc import Sequence
from typing import Final

from fathom_async._core.codec.rows import Column, Row, requested
from fathom_async._reports.fields import VALUE
from fathom_async._util.tables import table_html, table_text

_HEADINGS: Final = {VALUE: f"{VALUE} (cents)"}


def heading(column: str) -> str:
    """Return what stands above a column: its name, and its unit where the name does not tell."""
    return _HEADINGS.get(column, column)


def as_text(columns: Sequence[Column], rows: Sequence[Row], *, is_truncated: bool = False) -> str:
    """Return the first rows as an aligned table: numbers to the right, long texts cut."""
    return table_text(*_table(columns, rows, is_truncated))


def as_html(columns: Sequence[Column], rows: Sequence[Row], *, is_truncated: bool = False) -> str:
    """Return the first rows as an HTML table, with everything escaped."""
    return table_html(*_table(columns, rows, is_truncated))


def _table(
    columns: Sequence[Column], rows: Sequence[Row], is_truncated: bool
) -> tuple[list[str], Sequence[Sequence[object]], set[int], list[str]]:
    right = {place for place, column in enumerate(columns) if column.kind in {"count", "number"}}
    note = f"cut off at {len(rows):,} row{'' if len(rows) == 1 else 's'}; there may be more"
    return (
        [heading(column.name) for column in columns],
        requested(rows),
        right,
        [note] if is_truncated else [],
    )
