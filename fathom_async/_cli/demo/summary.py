"""The screen after the job: its figures, and how it went."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import chain
from typing import Final

from attrs import frozen
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fathom_async import PageviewRow, Report
from fathom_async._cli.drawing import drawn
from fathom_async._cli.figures import Ranking, TimeSeries, figures_of
from fathom_async._cli.formatting import counted, duration
from fathom_async._util.text import columns, cut, printable

Reports = Mapping[str, Sequence[Report[PageviewRow]]]
"""Reports over all days, by the site's name."""

_PAGEVIEWS: Final = "pageviews"
_SITE_WIDTH: Final = 20
_PAGES_SHOWN: Final = 9
_BESIDE_PAGE: Final = 34
"""Characters of a line that the figure and the bar take from a page's label."""


@frozen
class Standing:
    """Measurements of the job: requests as the server counted them, real seconds, and at best server seconds."""

    reports: int
    others: int
    refused: int
    failed: int
    seconds: float
    optimum: float
    speed: float

    @property
    def ratio(self) -> float | None:
        """The time taken over the best possible; None where nothing had to wait."""
        return self.seconds * self.speed / self.optimum if self.optimum else None

    @property
    def problem(self) -> str | None:
        """The requests that went wrong, in words, if any."""
        wrong = {"refused": self.refused, "failed": self.failed}
        told = [f"{number} {what}" for what, number in wrong.items() if number]
        return f"of {self.reports + self.others} requests, {', '.join(told)}" if told else None


def summarize(reports: Reports, verdict: Standing, width: int) -> Iterator[RenderableType]:
    """Return the parts of the summary, from top to bottom; those without data are left out."""
    for figure in (traffic_of(chain.from_iterable(reports.values())), _pages(reports)):
        if figure is not None:
            label = max(width - _BESIDE_PAGE, _SITE_WIDTH)
            title, *lines = drawn(figure, width, label_width=label)
            yield Text(f"\n{title[0].upper()}{title[1:]}", style="bold")
            yield Text("\n".join(lines), style="cyan", no_wrap=True)
    yield Text("\nHow it went", style="bold")
    yield Padding(_account(verdict), (0, 0, 0, 2), expand=False)


def traffic_of(reports: Iterable[Report[PageviewRow]]) -> TimeSeries | None:
    """Return the pageviews of several reports by date, without a gap; None of none."""
    total = Counter[date]()
    for report in reports:
        if report.query.date_grouping is not None:
            total.update({row.date: row.pageviews or 0 for row in report})
    found = figures_of(
        ("date", _PAGEVIEWS),
        list(total.items()),
        metrics=(_PAGEVIEWS,),
        unit="hour" if any(isinstance(each, datetime) for each in total) else "day",
    )
    return next((figure for figure in found if isinstance(figure, TimeSeries)), None)


def _pages(reports: Reports) -> Ranking | None:
    """Return the first pages of each site, as many of each."""
    most = max(_PAGES_SHOWN // max(len(reports), 1), 1)
    found = [
        ("" if place else cut(printable(name), _SITE_WIDTH), printable(row.pathname or ""), row.pageviews)
        for name, of_site in reports.items()
        for report in of_site
        if report.query.field_grouping == ("pathname",)
        for place, row in enumerate(report.rows[:most])
    ]
    labels = columns([(site, page) if len(reports) > 1 else (page,) for site, page, _ in found])
    return Ranking("top pages", tuple(labels), tuple(views for *_, views in found)) if found else None


def _account(verdict: Standing) -> Table:
    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    reports, others = counted(verdict.reports, "report"), f"{verdict.others:,} others"
    table.add_row("requests sent", f"{verdict.reports + verdict.others:,}", f"{reports} and {others}")
    table.add_row("refused", _to_be_zero(verdict.refused), "as the server counted them")
    table.add_row("failed", _to_be_zero(verdict.failed), "")
    for what, seconds in (
        ("best possible", verdict.optimum),
        ("time taken", verdict.seconds * verdict.speed),
    ):
        table.add_row(what, duration(seconds), f"of server time, {seconds / verdict.speed:.2f} s here")
    if verdict.ratio is None:
        table.add_row("", "", "all fit into one window: nothing had to wait")
    else:
        table.add_row("ratio", Text(f"{verdict.ratio:.3f}", style="bold"), "times the best possible")
    return table


def _to_be_zero(number: int) -> Text:
    return Text(f"{number:,}", style="bold red" if number else "bold green")
