"""A report for the eyes: a table in a terminal, and one in a notebook."""

from collections.abc import Sequence
from typing import Final

from fathom_async._core.codec.rows import Column, Row, requested
from fathom_async._reports.fields import VALUE
from fathom_async._util.tables import HTML_ROWS

_HEADINGS: Final = {VALUE: f"{VALUE} (cents)"}


def heading(column: str) -> str:
    """Return what stands above a column: its name, and its unit where the name does not tell."""
    return _HEADINGS.get(column, column)


def table(
    columns: Sequence[Column], rows: Sequence[Row], *, is_truncated: bool
) -> tuple[list[str], Sequence[Sequence[object]], set[int], int, list[str]]:
    """Return what `table_text` and `table_html` show of a report, with the figures to the right."""
    figures = {place for place, column in enumerate(columns) if column.kind in {"count", "number"}}
    note = f"cut off at {len(rows):,} row{'' if len(rows) == 1 else 's'}; there may be more"
    names = [heading(column.name) for column in columns]
    return names, requested(rows[:HTML_ROWS]), figures, len(rows), [note] if is_truncated else []
