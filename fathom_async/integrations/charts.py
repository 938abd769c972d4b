"""Charts of reports as SVG: without scripts, without a network, and without other libraries.

1. A chart is 100 units wide and 100 high, and nothing of it is outside. The page stretches it, so that its scale and
   its labels are HTML beside it, which keep their size on a phone.
2. Its colours are CSS: the classes ``grid``, ``front`` (a bar or a line), ``area``, ``unfinished`` (what is still
   running) and ``reach`` (an invisible bar as high as the chart, for the pointer).
3. A value that is None has no bar and breaks the line; one that is small shows.
4. The chart has a ``<title>`` and a ``<desc>``, and each bar a ``<title>``, so that texts are said and shown. What is
   drawn must be on the page as a table too.
"""

import math
from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import Final, Self

from attrs import frozen

Number = int | float | None

_SIZE: Final = 100
_GAP: Final = 0.25
"""Fraction of a bar's width that stays empty."""
_WIDEST: Final = 12.0
_LEAST: Final = 0.8
"""Height of the smallest bar that is not zero (rule 3)."""
_FEW: Final = 4
_TINY: Final = 1e-9


@frozen
class Scale:
    """A vertical axis with round ends, from 0 unless some values are negative.

    Attributes:
        low: The number at the lower edge.
        top: The number at the upper edge.
    """

    low: float
    top: float

    @classmethod
    def of(cls, values: Sequence[Number]) -> Self:
        """Return the axis that shows all these values."""
        known = [value for value in values if value is not None]
        low, top = min(known, default=0), max(known, default=0)
        return cls(-round_up(-low) if low < 0 else 0, round_up(top) if top > 0 or low >= 0 else 0)

    @property
    def ticks(self) -> tuple[float, float, float]:
        """The numbers at the upper edge, half-way, and at the lower edge."""
        return self.top, (self.top + self.low) / 2, self.low

    def y(self, value: float) -> float:
        """Return how far below the upper edge a value is."""
        return round(_SIZE * (self.top - value) / (self.top - self.low), 2)


@frozen
class Bar:
    """A bar's left upper corner, width and height."""

    x: float
    y: float
    width: float
    height: float


def bars(values: Sequence[Number], scale: Scale) -> list[Bar | None]:
    """Return a bar of each value, from left to right; None for those that are None."""
    place = _SIZE / max(len(values), 1)
    width = min(place * (1 - _GAP), _WIDEST)
    zero = scale.y(0)

    def bar(number: int, value: float) -> Bar:
        edge = scale.y(value)
        height = max(abs(zero - edge), _LEAST if value else 0)
        y = min(max(zero - height if value > 0 else zero, 0), _SIZE - height)
        x = place * (number + 0.5) - width / 2
        return Bar(round(x, 3), round(y, 2), round(width, 3), round(height, 2))

    return [None if value is None else bar(number, value) for number, value in enumerate(values)]


def column_chart(
    values: Sequence[Number],
    scale: Scale,
    *,
    title: str,
    description: str,
    tips: Sequence[str],
    is_running: bool = False,
) -> str:
    """Return a chart with a bar of each value.

    Args:
        values: The values, from left to right.
        scale: The vertical axis.
        title: What it shows.
        description: What can be seen in it.
        tips: The text of each bar.
        is_running: Whether the last value is not final yet.
    """
    places = bars([0] * len(values), scale)
    drawn = [
        f"<g><title>{escape(tip)}</title>"
        f'<rect class="reach" x="{place.x}" y="0" width="{place.width}" height="{_SIZE}"/>'
        + ("" if bar is None else _rect(bar, is_running=is_running and number == len(values) - 1))
        + "</g>"
        for number, (place, bar, tip) in enumerate(zip(places, bars(values, scale), tips, strict=True))
        if place is not None
    ]
    return _svg("".join(drawn), scale, title, description)


def line_chart(
    values: Sequence[Number], scale: Scale, *, title: str, description: str, is_running: bool = False
) -> str:
    """Return a chart with a line through many values, and the area below it; see `column_chart`."""
    place = _SIZE / max(len(values), 1)
    points = [
        None if value is None else (round(place * (number + 0.5), 2), scale.y(value))
        for number, value in enumerate(values)
    ]
    last = [points.pop()] if is_running and len(points) > 1 and points[-1] and points[-2] else []
    parts = [[each for each in part if each] for known, part in groupby(points, key=bool) if known]
    zero = scale.y(0)
    areas = "".join(f"M{part[0][0]} {zero}{_through(part)}V{zero}Z" for part in parts if len(part) > 1)
    lines = "".join(f"M{_through(part)[1:]}{'' if len(part) > 1 else 'h0'}" for part in parts)
    drawn = f'<path class="area" d="{areas}"/><path class="front" d="{lines}" vector-effect="non-scaling-stroke"/>'
    for end in filter(None, last):
        dashed = f"M{_through([*parts[-1][-1:], end])[1:]}"
        drawn += f'<path class="front unfinished" d="{dashed}" vector-effect="non-scaling-stroke"/>'
    return _svg(drawn, scale, title, description)


def meter(share: float) -> str:
    """Return a horizontal bar, which is decoration beside a number: `share` of its width, from 0 to 1."""
    width = round(_SIZE * min(max(share, 0), 1), 2)
    return (
        '<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{width}" height="1"/></svg>'
    )


def round_up(number: float) -> float:
    """Round up to a number with at most two significant digits, whose half is as round: 4, 38, 1,400.

    Whole numbers become even ones.
    """
    if isinstance(number, int):
        if number <= _FEW:
            return _FEW
        step: int = max(2, 10 ** (len(str(number)) - 1) // 5)
        return math.ceil(number / step) * step
    if not _TINY < number < math.inf:
        return 1.0
    size = 10.0 ** math.floor(math.log10(number))
    return round(math.ceil(round(number / size * 5, 9)) / 5 * size, 12)


def _rect(bar: Bar, *, is_running: bool) -> str:
    kind = "front unfinished" if is_running else "front"
    return f'<rect class="{kind}" x="{bar.x}" y="{bar.y}" width="{bar.width}" height="{bar.height}"/>'


def _through(points: Sequence[tuple[float, float]]) -> str:
    return "".join(f"L{x:g} {y:g}" for x, y in points)


def _svg(drawn: str, scale: Scale, title: str, description: str) -> str:
    lines = {0.0, _SIZE / 2, float(_SIZE), scale.y(0)}
    grid = "".join(f"M0 {y:g}H{_SIZE}" for y in sorted(lines))
    return (
        f'<svg viewBox="0 0 {_SIZE} {_SIZE}" preserveAspectRatio="none" role="img"><title>{escape(title)}</title>'
        f'<desc>{escape(description)}</desc><path class="grid" d="{grid}" vector-effect="non-scaling-stroke"/>'
        f"{drawn}</svg>"
    )
