"""The page of a report, made of its figures and rows."""

from collections.abc import Sequence
from datetime import date, datetime
from html import escape
from importlib.resources import files
from string import Template
from typing import Final

from attrs import frozen

from fathom_async import __version__
from fathom_async._cli.figures import Figure, Ranking, TimeSeries, Total
from fathom_async._cli.formatting import counted
from fathom_async._cli.html.plots import markup, plot_of, script, told
from fathom_async._cli.output import Records, shown
from fathom_async._util.text import printable

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
        """Return the page."""
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
