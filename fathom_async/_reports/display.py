"""A report for the eyes: a table in a terminal, and one in a notebook."""

from collections.abc import Collection, Sequence
from html import escape
from typing import Final

from fathom_async._core.codec.rows import Column, Row, requested
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
    right = {place for place, column in enumerate(columns) if column.kind in {"count", "number"}}
    return table_text(_headings(columns), requested(rows[:TEXT_ROWS]), right, more=len(rows) - TEXT_ROWS)


def as_html(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """Return the first rows as an HTML table, with everything escaped."""
    return table_html(_headings(columns), requested(rows[:HTML_ROWS]), more=len(rows) - HTML_ROWS)


def table_text(
    names: Sequence[str], rows: Sequence[Sequence[object]], right: Collection[int], *, more: int
) -> str:
    """Return an aligned table, some columns `right`-aligned, that says how many more rows there are."""
    lines = [[*names], *([cut(_plain(cell), _WIDEST) for cell in row] for row in rows)]
    lines.insert(1, ["-" * max(map(cells, column)) for column in zip(*lines, strict=True)])
    return "\n".join([*aligned(lines, right=right), *_more(more)])


def table_html(names: Sequence[str], rows: Sequence[Sequence[object]], *, more: int) -> str:
    """Return an HTML table with everything escaped; see `table_text`."""
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(f'<td>{escape(_plain(cell))}</td>' for cell in row)}</tr>" for row in rows)
    left_out = "".join(f"<p>{line}</p>" for line in _more(more))
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{left_out}"


def _headings(columns: Sequence[Column]) -> list[str]:
    return [heading(column.name) for column in columns]


def _plain(cell: object) -> str:
    """Return what a cell shows; visitors choose the texts, so that nothing may steer the terminal."""
    if cell is None:
        return "-"
    if isinstance(cell, float):
        return f"{cell:,.2f}"
    if isinstance(cell, int):
        return f"{cell:,}"
    return printable(str(cell))


def _more(count: int) -> list[str]:
    return [f"… and {count:,} more row{'' if count == 1 else 's'}"] if count > 0 else []
