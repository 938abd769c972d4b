"""Pictures of a report drawn with characters: pure functions from figures to lines of text."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, assert_never

from fathom_async._cli import charts
from fathom_async._cli.formatting import counted
from fathom_async._cli.output import shown
from fathom_async._cli.pictures import Number, Picture, Ranking, TimeSeries, Total, day_label
from fathom_async._util.text import cells, columns, cut

_HEIGHT: Final = 8
_LABEL: Final = 32
_GAP: Final = 2


def drawn(picture: Picture, width: int, *, ascii_only: bool = False) -> list[str]:
    """Return a picture's lines, its title first.

    Args:
        picture: What to draw.
        width: Characters a line at most.
        ascii_only: Whether the terminal knows nothing but ASCII.
    """
    match picture:
        case Total():
            return [f"{picture.metric}  {shown(picture.value)}"]
        case Ranking():
            return [picture.metric, *_bars(picture, width, ascii_only=ascii_only), *_more(picture.left_out)]
        case TimeSeries(lines=[line]) if not line.label:
            return list(_columns(picture, width, ascii_only=ascii_only))
        case TimeSeries():
            return [
                f"{picture.metric} by the {picture.unit}, {_ends(picture)}",
                *_sparklines(picture, width, ascii_only=ascii_only),
                *_more(picture.left_out),
            ]
        case _:
            assert_never(picture)


def _bars(picture: Ranking, width: int, *, ascii_only: bool) -> Iterator[str]:
    figures = [shown(value) for value in picture.values]
    beside = max(map(len, figures))
    name = min(_LABEL, max(map(cells, picture.labels)), max(width - beside - 3 * _GAP - 1, 1))
    room = max(1, width - name - beside - 3 * _GAP)
    highest = max((value or 0 for value in picture.values), default=0)
    labels = [cut(label, name) for label in picture.labels]
    bars = [charts.bar(value or 0, highest, room, ascii_only=ascii_only) for value in picture.values]
    return _indented(columns(list(zip(labels, figures, bars, strict=True)), right={1}))


def _columns(picture: TimeSeries, width: int, *, ascii_only: bool) -> Iterator[str]:
    values = picture.lines[0].values
    top = shown(max((value or 0 for value in values), default=0))
    room = max(1, width - len(top) - 2 * _GAP)
    together = charts.bundle(len(values), room)
    heights = _highest(values, together)
    thickness = charts.thickness_for(len(heights), room)
    each = f", a column is the highest of {counted(together, picture.unit)}" if together > 1 else ""
    yield f"{picture.metric} by the {picture.unit}{each}"
    chart = charts.columns(heights, width=room, height=_HEIGHT, thickness=thickness, ascii_only=ascii_only)
    for place, line in enumerate(chart):
        scale = top if place == 0 else "0" if place == _HEIGHT - 1 else ""
        yield f"  {scale.rjust(len(top))}  {line}".rstrip()
    labels = [day_label(picture.dates[start], picture.unit) for start in range(0, len(values), together)]
    yield f"  {' ' * len(top)}  {charts.axis(labels, width=room, thickness=thickness)}"


def _sparklines(picture: TimeSeries, width: int, *, ascii_only: bool) -> Iterator[str]:
    peaks = [shown(max((value or 0 for value in line.values), default=0)) for line in picture.lines]
    beside = max(map(len, peaks))
    name = min(_LABEL, max(cells(line.label) for line in picture.lines), max(width - beside - 20, 1))
    room = max(1, width - name - beside - 3 * _GAP - len("highest "))
    rows: list[tuple[str, ...]] = []
    for line, peak in zip(picture.lines, peaks, strict=True):
        heights = _highest(line.values, charts.bundle(len(line.values), room))
        spark = charts.sparkline(heights, room, ascii_only=ascii_only)
        rows.append((cut(line.label, name), f"highest {peak.rjust(beside)}", spark))
    return _indented(columns(rows))


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def _highest(values: Sequence[Number], together: int) -> list[float]:
    """Return the highest of each so many neighbours: visitors, durations and rates do not add up."""
    return [
        float(max(value or 0 for value in values[start : start + together]))
        for start in range(0, len(values), together)
    ]


def _ends(picture: TimeSeries) -> str:
    return f"{day_label(picture.dates[0], picture.unit)} to {day_label(picture.dates[-1], picture.unit)}"


def _more(left_out: int) -> list[str]:
    return [f"  and {counted(left_out, 'group')} more"] if left_out else []
