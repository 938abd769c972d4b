"""Plot tables of results: a line for each row, with a mark for its figure in each of some columns.

`python -m benchmarks` draws them whenever it writes RESULTS.md, from the files in ``benchmarks/results``.
"""

import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from benchmarks.admission_contenders import OURS
from benchmarks.admission_plot import INK, Axes, tidy
from benchmarks.results import Picture, Result, Table

_COLOURS: Final = ("#0072b2", "#e69f00", "#009e73", "#cc79a7")
"""Distinct for colour-blind readers too."""

_NUMBER: Final = re.compile(r"\d[\d,]*(?:\.\d+)?")


@frozen
class Panel:
    """A part of a picture: some columns of a table.

    Attributes:
        table: What the table's title begins with.
        columns: Heads of the columns.
        title: What the figures are.
        is_logarithmic: Whether equal ratios are equal distances.
    """

    table: str
    columns: Sequence[str]
    title: str
    is_logarithmic: bool = False


@frozen
class Chart:
    """A picture of what a benchmark found.

    Attributes:
        name: Name of the file in docs/images.
        text: What it shows, for those who do not see it.
        panels: Its parts, side by side.
    """

    name: str
    text: str
    panels: Sequence[Panel]

    @property
    def picture(self) -> Picture:
        """What RESULTS.md says of it."""
        return Picture(self.name, self.text)


CHARTS: Final[dict[str, Sequence[Chart]]] = {
    "fusing": [
        Chart(
            "fusing.png",
            "Queries asked and requests sent, by set of queries",
            [Panel("requests", ("asked", "floor", "sent"), "Queries, and requests", is_logarithmic=True)],
        )
    ],
    "request": [
        Chart(
            "request.png",
            "Requests a second of each client, with 1, 50 and 1,000 at once",
            [
                Panel(f"{count} at once", ("requests/s",), f"Requests a second, {count} at once")
                for count in ("1", "50", "1,000")
            ],
        )
    ],
    "rows": [
        Chart(
            "rows.png",
            "Rows a second and peak memory of each parser",
            [
                Panel("a report into rows, beside peers", ("rows/s",), "Rows a second"),
                Panel("peak memory", ("MB/million rows",), "Peak memory, MB for a million rows"),
            ],
        )
    ],
    "queue_cost": [
        Chart(
            "queue-cost.png",
            "CPU time of an admission and memory of a waiting task, by limiter and number of waiting tasks",
            [
                Panel(
                    "µs of CPU for one admission",
                    ("100", "1,000", "10,000", "100,000"),
                    "µs of CPU for an admission, by waiting tasks",
                    is_logarithmic=True,
                ),
                Panel("bytes per waiter, with its task", ("100,000",), "Bytes for a waiter, with its task"),
            ],
        )
    ],
    "startup": [
        Chart(
            "startup.png",
            "Time from the start of a process to its end, by what it imports",
            [Panel("from the start of a process", ("ms",), "ms from the start of a process to its end")],
        )
    ],
}
"""The pictures of each benchmark that draws none itself."""


def number(cell: str) -> float:
    """Return the first number of a cell, such as 1234.5 of ``1,234.5 (1,200-1,300)``.

    Raises:
        ValueError: There is none.
    """
    found = _NUMBER.search(cell)
    if found is None:
        raise ValueError(f"no number in {cell!r}")
    return float(found[0].replace(",", ""))


def draw(chart: Chart, result: Result, file: Path) -> None:
    """Write a chart in the format of the file's extension.

    Raises:
        KeyError: The result has not what the chart shows.
    """
    tables = [result.table(panel.table) for panel in chart.panels]
    matplotlib = import_module("matplotlib")
    matplotlib.use("Agg")
    pyplot: Any = import_module("matplotlib.pyplot")
    lines = max(len(table.rows) for table in tables)
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 9, "text.color": INK}):
        figure, grid = pyplot.subplots(
            1, len(tables), squeeze=False, figsize=(9.2, 0.32 * lines + 1.2), dpi=130
        )
        for axes, panel, table in zip(grid[0], chart.panels, tables, strict=True):
            _draw_panel(axes, panel, table)
        for axes, before, table in zip(grid[0][1:], tables, tables[1:], strict=False):
            if _names(table) == _names(before):
                axes.set_yticklabels([])
        figure.tight_layout()
        figure.savefig(file)
        pyplot.close(figure)


def _draw_panel(axes: Axes, panel: Panel, table: Table) -> None:
    names = _names(table)
    for column, colour in zip(panel.columns, _COLOURS, strict=False):
        figures = [number(table.cell(*row[: table.names], column)) for row in table.rows]
        if len(panel.columns) == 1:
            axes.barh(range(len(names)), figures, height=0.55, color=colour, zorder=2)
        else:
            axes.plot(figures, range(len(names)), "o", ms=6, color=colour, label=column, zorder=3)
    if panel.is_logarithmic:
        axes.set_xscale("log")
    else:
        axes.set_xlim(left=0)
    axes.minorticks_off()
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.locator_params(axis="x", **({} if panel.is_logarithmic else {"nbins": 4}))
    axes.set_title(panel.title, loc="left", fontsize=9.5)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    if len(panel.columns) > 1:
        axes.legend(frameon=False, fontsize=8.5, handletextpad=0.1, loc="best")
    ours = next((place for place, name in enumerate(names) if OURS in name), None)
    tidy(axes, ours)
    if ours is not None:
        axes.get_yticklabels()[ours].set_fontweight("bold")


def _names(table: Table) -> list[str]:
    return [" ".join(row[: table.names]) for row in table.rows]
