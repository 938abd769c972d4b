"""A report for the eyes: a table in a terminal, and one in a notebook."""

from collections.abc import Sequence
from html import escape
from typing import Final

import msgspec

from fathom_async._core.codec.rows import Column, Row
from fathom_async._reports.fields import VALUE
from fathom_async._util.text import cells, cut, printable
from fathom_async._util.text import columns as aligned

TEXT_ROWS: Final = 20
HTML_ROWS: Final = 60
_WIDEST: Final = 48
_HEADINGS: Final = {VALUE: f"{VALUE} (cents)"}


def heading(column: str) -> str:
    """Return what stands above a column: its name, and its unit where the name does not tell."""
    return _HEADINGS.get(column, column)


def as_text(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """Return the first rows as an aligned table: numbers to the right, long texts cut."""
    names = [heading(column.name) for column in columns]
    lines = [names, *([cut(_plain(cell), _WIDEST) for cell in _cells(row)] for row in rows[:TEXT_ROWS])]
    lines.insert(1, ["-" * max(map(cells, column)) for column in zip(*lines, strict=True)])
    right = {place for place, column in enumerate(columns) if column.kind in {"count", "number"}}
    table = "\n".join(aligned(lines, right=right))
    return table + (f"\n{_more(len(rows) - TEXT_ROWS)}" if len(rows) > TEXT_ROWS else "")


def as_html(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """Return the first rows as an HTML table, with everything escaped."""
    head = "".join(f"<th>{escape(heading(column.name))}</th>" for column in columns)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(_plain(cell))}</td>' for cell in _cells(row))}</tr>"
        for row in rows[:HTML_ROWS]
    )
    more = f"<p>{_more(len(rows) - HTML_ROWS)}</p>" if len(rows) > HTML_ROWS else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _cells(row: Row) -> tuple[object, ...]:
    return msgspec.structs.astuple(row)


def _plain(cell: object) -> str:
    """Return what a cell shows; visitors choose the texts, so that nothing may steer the terminal."""
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:,.2f}"
    if isinstance(cell, int):
        return f"{cell:,}"
    return printable(str(cell))


def _more(count: int) -> str:
    return f"… and {count:,} more row{'' if count == 1 else 's'}"
