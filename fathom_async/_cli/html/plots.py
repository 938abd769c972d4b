"""Figures of a report as plotly draws them."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Final, assert_never

from fathom_async._cli.figures import Figure, Number, Ranking, TimeSeries, Total
from fathom_async._cli.output import shown
from fathom_async._util.lazy import optional
from fathom_async._util.text import cut

Plot = Mapping[str, object]

_COLOURS: Final = ("#2f7dd1", "#e07b39", "#2a9d6f", "#b0569f", "#c9a227", "#4aa3a2", "#8a6fd1", "#d1495b")
_FILL: Final = "rgba(47, 125, 209, 0.18)"
_LABEL: Final = 44
_NARROW_LABEL: Final = 18
_LINE_HEIGHT: Final = 26
_AROUND: Final = 90
_SERIES_HEIGHT: Final = 340
_SHOWN_POINTS: Final = 40
_CONFIG: Final = {"responsive": True, "displayModeBar": False}


def script() -> str:
    """Return plotly's script, to inline."""
    return str(optional("plotly.offline", extra="html").get_plotlyjs())


def markup(plot: Plot, name: str) -> str:
    """Return the HTML of a plot, which needs the script."""
    written = optional("plotly.io", extra="html").to_html(
        dict(plot), config=_CONFIG, include_plotlyjs=False, full_html=False, div_id=name, validate=False
    )
    return str(written)


def plot_of(figure: Ranking | TimeSeries) -> Plot:
    """Return plotly's description of a figure. Its colours fit both a light and a dark page."""
    match figure:
        case Ranking():
            return _ranking(figure)
        case TimeSeries():
            return _time_series(figure)
        case _:
            assert_never(figure)


def told(figure: Figure) -> str:
    """Return a description of a figure for screen readers."""
    match figure:
        case Total():
            return f"{figure.metric}: {shown(figure.value)}"
        case Ranking():
            return (
                f"Bar chart of {figure.metric}: the highest is {figure.labels[0]} with "
                f"{shown(figure.values[0])}"
            )
        case TimeSeries():
            return (
                f"Line chart of {figure.metric} by {figure.unit}, from {figure.dates[0]} to "
                f"{figure.dates[-1]}"
            )
        case _:
            assert_never(figure)


def _ranking(figure: Ranking) -> Plot:
    places = list(range(len(figure.labels)))
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": list(figure.values),
        "y": places,  # not the labels, of which two may be equal once they are cut
        "hovertext": [escape(label, quote=False) for label in figure.labels],
        "hovertemplate": f"%{{hovertext}}<br>%{{x:{_digits(figure.values)}}}<extra></extra>",
        "marker": {"color": _COLOURS[0]},
    }
    labels = {
        "long": [_harmless(label) for label in figure.labels],
        "short": [_harmless(label, _NARROW_LABEL) for label in figure.labels],
    }
    axis = {
        "tickvals": places,
        "ticktext": labels["long"],
        "autorange": "reversed",
        "automargin": True,
        "fixedrange": True,
        "showgrid": False,
        "zeroline": False,
    }
    layout = _layout(_LINE_HEIGHT * len(places) + _AROUND)
    return {
        "data": [bars],
        "layout": {
            **layout,
            "meta": labels,
            "yaxis": axis,
            "xaxis": {"rangemode": "tozero", "fixedrange": True},
        },
    }


def _time_series(figure: TimeSeries) -> Plot:
    dates = [moment.isoformat() for moment in figure.dates]
    lines = [
        {
            "type": "scatter",
            "mode": "lines+markers" if len(dates) <= _SHOWN_POINTS else "lines",
            "name": _harmless(line.label),
            "x": dates,
            "y": list(line.values),
            "cliponaxis": False,
            "line": {"color": colour, "width": 2},
            "hovertemplate": f"%{{x}}<br>%{{y:{_digits(line.values)}}}<extra>{_harmless(line.label)}</extra>",
            **({"fill": "tozeroy", "fillcolor": _FILL} if len(figure.lines) == 1 else {}),
        }
        for line, colour in zip(figure.lines, _COLOURS, strict=False)
    ]
    layout = _layout(_SERIES_HEIGHT + _LINE_HEIGHT * (len(lines) if len(lines) > 1 else 0))
    return {
        "data": lines,
        "layout": {
            **layout,
            "showlegend": len(lines) > 1,
            "legend": {"orientation": "h", "y": -0.2},
            "xaxis": {"fixedrange": True, "type": "date"},
            "yaxis": {"rangemode": "tozero", "fixedrange": True, "automargin": True},
        },
    }


def _layout(height: int) -> dict[str, object]:
    return {
        "height": height,
        "margin": {"l": 48, "r": 16, "t": 12, "b": 48},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "colorway": list(_COLOURS),
    }


def _digits(values: Sequence[Number]) -> str:
    """Return plotly's number format for these values, the same as the table's."""
    return ",.2f" if any(isinstance(value, float) for value in values) else ","


def _harmless(label: str, longest: int = _LABEL) -> str:
    """Return a label without markup, which plotly would follow: visitors choose what is in it."""
    return escape(cut(label, longest), quote=False)
