"""The page of a report, made of its figures, which plotly draws, and its rows."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from html import escape
from importlib.resources import files
from string import Template
from typing import Final, assert_never

from attrs import frozen

from fathom_async import __version__
from fathom_async._cli.figures import Figure, Number, Ranking, TimeSeries, Total
from fathom_async._cli.formatting import counted
from fathom_async._cli.output import Records, shown
from fathom_async._util.lazy import optional
from fathom_async._util.text import cut, printable

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
    return str(optional("plotly.offline", extra="html").get_plotlyjs())


def markup(plot: Plot, name: str) -> str:
    written = optional("plotly.io", extra="html").to_html(
        dict(plot), config=_CONFIG, include_plotlyjs=False, full_html=False, div_id=name, validate=False
    )
    return str(written)


def plot_of(figure: Ranking | TimeSeries) -> Plot:
    """Return plotly's description of a figure. Its colours fit both a light and a dark page."""
    return _ranking(figure) if isinstance(figure, Ranking) else _time_series(figure)


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
    height = _LINE_HEIGHT * len(places) + _AROUND
    return _plot([bars], height, meta=labels, yaxis=axis, xaxis={"rangemode": "tozero", "fixedrange": True})


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
    return _plot(
        lines,
        _SERIES_HEIGHT + _LINE_HEIGHT * (len(lines) if len(lines) > 1 else 0),
        showlegend=len(lines) > 1,
        legend={"orientation": "h", "y": -0.2},
        xaxis={"fixedrange": True, "type": "date"},
        yaxis={"rangemode": "tozero", "fixedrange": True, "automargin": True},
    )


def _plot(data: Sequence[Plot], height: int, **layout: object) -> Plot:
    common = {
        "height": height,
        "margin": {"l": 48, "r": 16, "t": 12, "b": 48},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "colorway": list(_COLOURS),
    }
    return {"data": data, "layout": common | layout}


def _digits(values: Sequence[Number]) -> str:
    """Return plotly's number format for these values, the same as the table's."""
    return ",.2f" if any(isinstance(value, float) for value in values) else ","


def _harmless(label: str, longest: int = _LABEL) -> str:
    """Return a label without markup, which plotly would follow: visitors choose what is in it."""
    return escape(cut(label, longest), quote=False)


MOST_ROWS: Final = 5_000


@frozen
class HtmlPage:
    """A page to write: it shows the first `MOST_ROWS` rows, and facts, a line each, below its title."""

    title: str
    facts: Sequence[str]
    figures: Sequence[Figure]
    records: Records
    made: datetime

    def html(self) -> str:
        title = printable(self.title)
        template = Template(_file("page.html"))
        totals = [figure for figure in self.figures if isinstance(figure, Total)]
        plots = [figure for figure in self.figures if not isinstance(figure, Total)]
        sections = [_totals(totals)] if totals else []
        sections += [
            f'<section><h2>{escape(plot.metric)}</h2><figure role="img" aria-label="{escape(told(plot))}">'
            f"{markup(plot_of(plot), f'plot-{place}')}</figure>{_left_out(plot)}</section>"
            for place, plot in enumerate(plots)
        ]
        left_out = len(self.records.rows) - MOST_ROWS
        return template.substitute(
            title=escape(title),
            script=f"<script>{script()}</script>" if plots else "",
            facts="\n".join(f"<p>{escape(printable(fact))}</p>" for fact in self.facts),
            figures="\n".join(sections),
            table=_table(self.records, title),
            more=f"<p>and {left_out:,} more rows: write them with --format csv</p>" if left_out > 0 else "",
            made=f"{self.made:%Y-%m-%d %H:%M}",
            version=__version__,
            colours=f"<script>\n{_file('colours.js')}</script>" if plots else "",
        )


def _file(name: str) -> str:
    return files("fathom_async._cli.html").joinpath(name).read_text("utf-8")


def _left_out(plot: Ranking | TimeSeries) -> str:
    if not plot.left_out:
        return ""
    shown = len(plot.labels) if isinstance(plot, Ranking) else len(plot.lines)
    return f"<p>The {shown} highest; {counted(plot.left_out, 'group')} more in the figures below.</p>"


def _totals(totals: Sequence[Total]) -> str:
    entries = "".join(
        f"<div><dt>{escape(total.metric)}</dt><dd>{escape(shown(total.value))}</dd></div>" for total in totals
    )
    return f'<section><dl class="totals">{entries}</dl></section>'


def _table(records: Records, title: str) -> str:
    def mark_of(place: int) -> str:
        cells = [row[place] for row in records.rows]
        is_number = any(isinstance(cell, int | float) for cell in cells)
        is_date = any(isinstance(cell, date) for cell in cells)
        return ' class="number"' if is_number else ' class="date"' if is_date else ""

    mark = [mark_of(place) for place in range(len(records.columns))]
    head = "".join(
        f'<th scope="col"{mark[place]}>{escape(name)}</th>' for place, name in enumerate(records.columns)
    )
    body = "\n".join(
        f"<tr>{''.join(f'<td{mark[place]}>{escape(shown(cell))}</td>' for place, cell in enumerate(row))}</tr>"
        for row in records.rows[:MOST_ROWS]
    )
    caption = f"<caption>{escape(title)}: {counted(len(records.rows), 'row')}</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"
