"""Tables for the eyes: aligned text for a terminal, and HTML for a notebook."""

from collections.abc import Collection, Iterable, Sequence
from html import escape
from typing import Final

import attrs

from fathom_async._util.text import cells, columns, counted, cut, printable

TEXT_ROWS: Final = 20
HTML_ROWS: Final = 60
_WIDEST: Final = 48
_LEFT: Final = ' style="text-align: left"'  # notebooks align cells to the right


def table_text(
    names: Sequence[str],
    rows: Sequence[Sequence[object]],
    right: Collection[int],
    count: int,
    notes: Iterable[str] = (),
) -> str:
    """Return an aligned table of the first of `count` rows, some columns `right`-aligned, and lines below it."""
    lines = [[*names], *([cut(_plain(cell), _WIDEST) for cell in row] for row in rows[:TEXT_ROWS])]
    lines.insert(1, ["-" * max(map(cells, column)) for column in zip(*lines, strict=True)])
    return "\n".join([*columns(lines, right=right), *_more(count - TEXT_ROWS), *notes])


def table_html(
    names: Sequence[str],
    rows: Sequence[Sequence[object]],
    right: Collection[int],
    count: int,
    notes: Iterable[str] = (),
) -> str:
    """Return an HTML table with everything escaped; see `table_text`."""

    def line(tag: str, each: Sequence[object]) -> str:
        sides = ("" if place in right else _LEFT for place in range(len(each)))
        filled = (
            f"<{tag}{side}>{escape(_plain(cell))}</{tag}>" for cell, side in zip(each, sides, strict=True)
        )
        return f"<tr>{''.join(filled)}</tr>"

    head, body = line("th", names), "".join(line("td", row) for row in rows[:HTML_ROWS])
    below = "".join(f"<p>{escape(_plain(line))}</p>" for line in [*_more(count - HTML_ROWS), *notes])
    return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>{below}"


def objects_html(objects: Sequence[object], notes: Iterable[str] = ()) -> str | None:
    """Return a table of attrs objects of one class, with the fields that one of them has; None of others."""
    if not objects or not attrs.has(kind := type(objects[0])):
        return None
    fields = [field.name for field in attrs.fields(kind)]
    names = [name for name in fields if any(getattr(each, name) not in (None, {}, ()) for each in objects)]
    rows = [[getattr(each, name) for name in names] for each in objects]
    return table_html(names, rows, (), len(rows), notes)


def _plain(cell: object) -> str:
    """Return what a cell shows; visitors choose the texts, so that nothing may steer the terminal."""
    if cell is None:
        return "-"
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        return printable(str(cell))
    return f"{cell:,.2f}" if isinstance(cell, float) else f"{cell:,}"


def _more(count: int) -> list[str]:
    return [f"… and {counted(count, 'more row')}"] if count > 0 else []
