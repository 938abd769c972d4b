"""The bars of a board's chart; labels are HTML beside it."""

from collections.abc import Sequence

from attrs import frozen

from fathom_async.integrations.charts import Scale, bars, round_up

__all__ = ["Bar", "Chart", "draw", "round_up"]


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
    scale = Scale.of([*visits, *pageviews])
    drawn = [
        Bar(label, front, behind, first.x, first.width, first.height, second.height)
        for label, front, behind, first, second in zip(
            labels, visits, pageviews, bars(visits, scale), bars(pageviews, scale), strict=True
        )
        if first is not None and second is not None
    ]
    marks = [labels[position] for position in sorted({0, len(labels) // 2, len(labels) - 1})]
    return Chart(drawn, int(scale.top), marks)
