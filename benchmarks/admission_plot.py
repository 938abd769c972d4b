"""Plot the admission benchmark: refusals and makespan of each client, with a dot for each kind of server."""

import math
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from statistics import mean, median
from typing import Any, TypeVar

from benchmarks import admission_mixed
from benchmarks.admission_contenders import OURS
from benchmarks.admission_report import makespan
from benchmarks.admission_scenarios import Played
from benchmarks.admission_world import Outcome

Mixed = Mapping[str, Mapping[str, Sequence[admission_mixed.Outcome]]]
Run = TypeVar("Run", Outcome, admission_mixed.Outcome)

Axes = Any
"""Matplotlib's type; type checkers run without matplotlib."""

_COLOURS = {
    "Laravel": "#0072b2",
    "Laravel, exact store": "#0072b2",
    "Laravel, floor store": "#56b4e9",
    "clock-aligned": "#e69f00",
    "sliding log": "#009e73",
    "token bucket": "#cc79a7",
}
"""A colour for each kind of server, the same in all plots; distinct for colour-blind readers too."""

INK = "#22303c"
_GREY = "#8795a1"
_BAND = "#e8f3ec"
_SPREAD = 0.13
_MOST = 10_000


def draw(played: Played, file: Path) -> None:
    """Write the plot in the format of the file's extension."""
    matplotlib = import_module("matplotlib")
    matplotlib.use("Agg")
    pyplot: Any = import_module("matplotlib.pyplot")
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 9, "text.color": INK}):
        figure, (left, right) = pyplot.subplots(
            1, 2, sharey=True, figsize=(9.2, 0.36 * len(played) + 1.9), width_ratios=(1.15, 1), dpi=130
        )
        _draw_refusals(left, played)
        _draw_makespans(right, played)
        names = list(played)
        left.set_yticks(range(len(names)), names)
        left.set_ylim(len(names) - 0.5, -0.5)
        left.get_yticklabels()[names.index(OURS)].set_fontweight("bold")
        for axes in (left, right):
            tidy(axes, names.index(OURS))
        figure.suptitle("100 reports at once, 10 a minute allowed", x=0.012, ha="left", fontweight="bold")
        handles, labels = right.get_legend_handles_labels()
        hollow = pyplot.Line2D([], [], marker="o", ls="", ms=5, mew=1.3, mfc="white", mec=INK)
        figure.legend(
            [*handles, hollow],
            [*labels, "hollow: requests lost"],
            loc="lower center",
            ncols=len(labels) + 1,
            frameon=False,
            handletextpad=0.1,
            columnspacing=1.2,
            fontsize=8.5,
        )
        figure.tight_layout(rect=(0, 0.045, 1, 1.0))
        figure.savefig(file)
        pyplot.close(figure)


def draw_pages(plain: Mixed, hurried: Mixed, file: Path) -> None:
    """Write the plot of pages beside a job: their mean wait and the share served within 5 s."""
    matplotlib = import_module("matplotlib")
    matplotlib.use("Agg")
    pyplot: Any = import_module("matplotlib.pyplot")
    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 9, "text.color": INK}):
        names = list(plain)
        figure, (left, right) = pyplot.subplots(
            1, 2, sharey=True, figsize=(9.2, 0.36 * len(names) + 1.9), width_ratios=(1.15, 1), dpi=130
        )
        _dots(left, plain, mean_wait)
        left.set_xscale("symlog", linthresh=1, linscale=0.6)
        ticks = (0, 1, 10, 100, 1000)
        left.set_xticks(ticks, [f"{tick:,} s" for tick in ticks])
        left.minorticks_off()
        left.set_xlim(-0.12, 2000)
        left.set_title("Mean wait of a page", loc="left", fontsize=9.5)
        _dots(right, hurried, lambda outcomes: 100 * served(outcomes))
        right.set_xticks((0, 50, 100), ("0 %", "50 %", "100 %"))
        right.set_xlim(-3, 103)
        right.set_title("Served if no page waits for more than 5 s", loc="left", fontsize=9.5)
        left.set_yticks(range(len(names)), names)
        left.set_ylim(len(names) - 0.5, -0.5)
        left.get_yticklabels()[names.index(OURS)].set_fontweight("bold")
        for axes in (left, right):
            tidy(axes, names.index(OURS))
        figure.suptitle(
            "A page a minute beside 300 reports, 10 a minute allowed", x=0.012, ha="left", fontweight="bold"
        )
        handles, labels = right.get_legend_handles_labels()
        figure.legend(handles, labels, loc="lower center", ncols=len(labels), frameon=False, fontsize=8.5)
        figure.tight_layout(rect=(0, 0.06, 1, 1.0))
        figure.savefig(file)
        pyplot.close(figure)


def mean_wait(outcomes: Sequence[admission_mixed.Outcome]) -> float:
    """Return the mean wait of all served pages."""
    waits = [wait for outcome in outcomes for wait in outcome.waits]
    return mean(waits) if waits else math.nan


def served(outcomes: Sequence[admission_mixed.Outcome]) -> float:
    """Return the share of pages that were served."""
    good = sum(len(outcome.waits) for outcome in outcomes)
    return good / max(1, good + sum(outcome.unserved for outcome in outcomes))


def _dots(
    axes: Axes, played: Mapping[str, Mapping[str, Sequence[Run]]], value: Callable[[Sequence[Run]], float]
) -> None:
    kinds = list(next(iter(played.values())))
    for index, throttle in enumerate(kinds):
        colour = _COLOURS[throttle]
        axes.plot([], [], "o", color=colour, label=throttle)
        for row, throttles in enumerate(played.values()):
            outcomes = throttles[throttle]
            is_lossy = median(outcome.lost for outcome in outcomes) > 0
            axes.plot(
                value(outcomes),
                row + (index - (len(kinds) - 1) / 2) * _SPREAD,
                "o",
                ms=5,
                mec=colour,
                mew=1.3,
                mfc="white" if is_lossy else colour,
                clip_on=False,
                zorder=3,
            )


def _draw_refusals(axes: Axes, played: Played) -> None:
    _dots(axes, played, lambda outcomes: median(outcome.refused for outcome in outcomes))
    axes.set_xscale("symlog", linthresh=1, linscale=0.6)
    ticks = (0, 1, 10, 100, 1000, _MOST)
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(-0.12, _MOST)
    axes.set_title("Refused by the server (429)", loc="left", fontsize=9.5)


def _draw_makespans(axes: Axes, played: Played) -> None:
    _dots(axes, played, makespan)
    low, high = axes.get_xlim()
    axes.set_xlim(min(0.99, low), max(1.2, high))
    axes.axvline(1.0, color=INK, lw=1, zorder=2)
    axes.set_title("Time to the last answer, over the optimum", loc="left", fontsize=9.5)


def tidy(axes: Axes, ours: int | None) -> None:
    """Leave a grid of lines and no frame, and mark the line of a client, if it is there."""
    if ours is not None:
        axes.axhspan(ours - 0.5, ours + 0.5, color=_BAND, lw=0, zorder=0)
    axes.grid(axis="x", color="#dde3e8", lw=0.8, zorder=1)
    axes.tick_params(length=0, colors=INK)
    axes.xaxis.label.set_color(_GREY)
    for side in axes.spines.values():
        side.set_visible(False)
