"""Bar charts as coordinates for an SVG of 100 by 100, which the page stretches; labels are HTML beside it."""

import math
from collections.abc import Sequence

from attrs import frozen

_GAP = 0.25
"""Fraction of a bar's width that stays empty."""


@frozen
class Bar:
    """One bar: the visits in front of the pageviews.

    Attributes:
        label: Its hour, day or month.
        visits: Number of visits.
        pageviews: Number of pageviews.
        x: Left edge.
        width: Width.
        visits_height: Height of the front bar.
        pageviews_height: Height of the bar behind.
    """

    label: str
    visits: int
    pageviews: int
    x: float
    width: float
    visits_height: float
    pageviews_height: float


@frozen
class Chart:
    """A bar chart.

    Attributes:
        bars: The bars, from left to right.
        top: The number at the upper edge.
        marks: Labels below the chart, from left to right.
    """

    bars: Sequence[Bar]
    top: int
    marks: Sequence[str]


def draw(labels: Sequence[str], visits: Sequence[int], pageviews: Sequence[int]) -> Chart:
    """Return the chart of two series of the same length, with at least one bar."""
    top = round_up(max((*visits, *pageviews)))
    place = 100 / len(labels)
    bars = [
        Bar(
            label=label,
            visits=front,
            pageviews=behind,
            x=round(place * (number + _GAP / 2), 3),
            width=round(place * (1 - _GAP), 3),
            visits_height=round(100 * front / top, 2),
            pageviews_height=round(100 * behind / top, 2),
        )
        for number, (label, front, behind) in enumerate(zip(labels, visits, pageviews, strict=True))
    ]
    return Chart(bars, top, [labels[position] for position in sorted({0, len(labels) // 2, len(labels) - 1})])


def round_up(number: int) -> int:
    """Round up to an even number with at most two significant digits: 4, 38, 1,300."""
    if number <= 4:  # noqa: PLR2004 - so that half of it is a whole number
        return 4
    step: int = max(2, 10 ** (len(str(number)) - 1) // 5)
    return math.ceil(number / step) * step
