"""Figures of a report drawn with characters: pure functions from figures to lines of text."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, assert_never

from fathom_async._cli.figures import Figure, Number, Ranking, TimeSeries, Total, day_label
from fathom_async._cli.output import shown
from fathom_async._util.text import bar, cells, columns, counted, cut

_HEIGHT: Final = 8
_LABEL: Final = 32
_GAP: Final = 2
_EIGHTHS: Final = " ▁▂▃▄▅▆▇█"
_WIDEST_COLUMN: Final = 3


def drawn(figure: Figure, width: int, *, label_width: int = _LABEL) -> list[str]:
    match figure:
        case Total():
            return [f"{figure.metric}  {shown(figure.value)}"]
        case Ranking():
            figures = [shown(value) for value in figure.values]
            bars = _bars(figure, figures, width, label_width)
            return [figure.metric, *bars, *_more(figure.left_out)]
        case TimeSeries(lines=[line]) if not line.label:
            return list(_columns(figure, width))
        case TimeSeries():
            return [
                f"{figure.metric} by {figure.unit}, {_ends(figure)}",
                *_sparklines(figure, width),
                *_more(figure.left_out),
            ]
        case _:
            assert_never(figure)


def _bars(figure: Ranking, figures: Sequence[str], width: int, label_width: int) -> Iterator[str]:
    beside = max(map(len, figures))
    name = min(label_width, max(map(cells, figure.labels)), max(width - beside - 3 * _GAP - 1, 1))
    room = max(1, width - name - beside - 3 * _GAP)
    highest = max((value or 0 for value in figure.values), default=0)
    labels = [cut(label, name) for label in figure.labels]
    bars = [bar(value or 0, highest, room) for value in figure.values]
    return _indented(columns(list(zip(labels, figures, bars, strict=True)), right={1}))


def _columns(figure: TimeSeries, width: int) -> Iterator[str]:
    values = figure.lines[0].values
    top = shown(max((value or 0 for value in values), default=0))
    room = max(1, width - len(top) - 2 * _GAP)
    together = bundle(len(values), room)
    heights = _heights(values, together)
    thickness = thickness_for(len(heights), room)
    each = f", each column is the highest of {counted(together, figure.unit)}" if together > 1 else ""
    yield f"{figure.metric} by {figure.unit}{each}"
    chart = column_chart(heights, height=_HEIGHT, thickness=thickness)
    for place, line in enumerate(chart):
        scale = top if place == 0 else "0" if place == _HEIGHT - 1 else ""
        yield f"  {scale.rjust(len(top))}  {line}".rstrip()
    labels = [day_label(figure.dates[start], figure.unit) for start in range(0, len(values), together)]
    yield f"  {' ' * len(top)}  {axis(labels, width=room, thickness=thickness)}"


def _sparklines(figure: TimeSeries, width: int) -> Iterator[str]:
    peaks = [shown(max((value or 0 for value in line.values), default=0)) for line in figure.lines]
    beside = max(map(len, peaks))
    name = min(_LABEL, max(cells(line.label) for line in figure.lines), max(width - beside - 20, 1))
    room = max(1, width - name - beside - 3 * _GAP - len("highest "))
    rows: list[tuple[str, ...]] = []
    for line, peak in zip(figure.lines, peaks, strict=True):
        heights = _heights(line.values, bundle(len(line.values), room))
        rows.append((cut(line.label, name), f"highest {peak.rjust(beside)}", sparkline(heights)))
    return _indented(columns(rows))


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def _heights(values: Sequence[Number], together: int) -> list[float]:
    return [value or 0.0 for value in highest(values, together)]


def _ends(figure: TimeSeries) -> str:
    return f"{day_label(figure.dates[0], figure.unit)} to {day_label(figure.dates[-1], figure.unit)}"


def _more(left_out: int) -> list[str]:
    return [f"  and {counted(left_out, 'group')} more"] if left_out else []


def sparkline(values: Sequence[float]) -> str:
    """Return one line that rises and falls with the values, one character each."""
    return column_chart(values, height=1)[0] if values else ""


def column_chart(values: Sequence[float], *, height: int, thickness: int = 1) -> list[str]:
    """Return a column chart, from its top line to its bottom line; the last of several characters is a gap."""
    highest = max(values, default=0.0)
    full = len(_EIGHTHS) - 1
    # Rounded up, so that the smallest value still shows.
    eighths = [math.ceil(value / highest * height * full) if highest > 0 else 0 for value in values]
    lines: list[str] = []
    for level in reversed(range(height)):
        column = [_EIGHTHS[min(max(eighth - level * full, 0), full)] for eighth in eighths]
        lines.append("".join((cell * max(1, thickness - 1)).ljust(thickness) for cell in column).rstrip())
    return lines


def thickness_for(count: int, width: int) -> int:
    """Return the characters that each of `count` columns may take."""
    return max(1, min(_WIDEST_COLUMN, width // max(count, 1)))


def bundle(count: int, most: int) -> int:
    """Return how many neighbours to merge so that at most `most` of `count` values are left."""
    return max(1, math.ceil(count / max(most, 1)))


def highest(values: Sequence[Number], together: int) -> list[Number]:
    """Return the highest of each so many neighbours, None where none has a value: visitors and rates have no sum."""
    parts = (values[start : start + together] for start in range(0, len(values), together))
    return [max((each for each in part if each is not None), default=None) for part in parts]


def axis(labels: Sequence[str], *, width: int, thickness: int = 1) -> str:
    """Return a line of labels under columns, as many as fit without touching."""
    line = ""
    for place, label in enumerate(labels):
        start = place * thickness
        if (not line or start >= len(line) + 2) and start + len(label) <= width:
            line = line.ljust(start) + label
    return line
