"""Figures of a report drawn with characters: pure functions from figures to lines of text."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, assert_never

from fathom_async._cli import charts
from fathom_async._cli.figures import Figure, Number, Ranking, TimeSeries, Total, day_label
from fathom_async._cli.formatting import counted
from fathom_async._cli.output import shown
from fathom_async._util.text import bar, cells, columns, cut

_HEIGHT: Final = 8
_LABEL: Final = 32
_GAP: Final = 2


def drawn(
    figure: Figure,
    width: int,
    *,
    label_width: int = _LABEL,
    format_value: Callable[[Number], str] = shown,
) -> list[str]:
    """Return a figure's lines, its title first."""
    match figure:
        case Total():
            return [f"{figure.metric}  {shown(figure.value)}"]
        case Ranking():
            figures = [format_value(value) for value in figure.values]
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
    together = charts.bundle(len(values), room)
    heights = _highest(values, together)
    thickness = charts.thickness_for(len(heights), room)
    each = f", each column is the highest of {counted(together, figure.unit)}" if together > 1 else ""
    yield f"{figure.metric} by {figure.unit}{each}"
    chart = charts.column_chart(heights, height=_HEIGHT, thickness=thickness)
    for place, line in enumerate(chart):
        scale = top if place == 0 else "0" if place == _HEIGHT - 1 else ""
        yield f"  {scale.rjust(len(top))}  {line}".rstrip()
    labels = [day_label(figure.dates[start], figure.unit) for start in range(0, len(values), together)]
    yield f"  {' ' * len(top)}  {charts.axis(labels, width=room, thickness=thickness)}"


def _sparklines(figure: TimeSeries, width: int) -> Iterator[str]:
    peaks = [shown(max((value or 0 for value in line.values), default=0)) for line in figure.lines]
    beside = max(map(len, peaks))
    name = min(_LABEL, max(cells(line.label) for line in figure.lines), max(width - beside - 20, 1))
    room = max(1, width - name - beside - 3 * _GAP - len("highest "))
    rows: list[tuple[str, ...]] = []
    for line, peak in zip(figure.lines, peaks, strict=True):
        heights = _highest(line.values, charts.bundle(len(line.values), room))
        rows.append((cut(line.label, name), f"highest {peak.rjust(beside)}", charts.sparkline(heights)))
    return _indented(columns(rows))


def _indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def _highest(values: Sequence[Number], together: int) -> list[float]:
    """Return the highest of each so many neighbours: visitors, durations and rates do not add up."""
    return [
        float(max(value or 0 for value in values[start : start + together]))
        for start in range(0, len(values), together)
    ]


def _ends(figure: TimeSeries) -> str:
    return f"{day_label(figure.dates[0], figure.unit)} to {day_label(figure.dates[-1], figure.unit)}"


def _more(left_out: int) -> list[str]:
    return [f"  and {counted(left_out, 'group')} more"] if left_out else []
