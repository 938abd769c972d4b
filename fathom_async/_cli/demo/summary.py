"""The screen after the job: its figures, and how it went."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Final

from attrs import frozen
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fathom_async import PageviewRow, Report
from fathom_async._cli import charts
from fathom_async._cli.demo.catalogue import (
    BROWSERS,
    COUNTRIES,
    DEVICES,
    OVERVIEW,
    PAGES,
    REFERRERS,
    TRAFFIC,
)
from fathom_async._cli.drawing import drawn
from fathom_async._cli.figures import Number, Ranking, TimeSeries, figures_of
from fathom_async._cli.formatting import clock_time, counted, duration
from fathom_async._cli.output import shown
from fathom_async._util.text import columns, cut, printable

Reports = Mapping[str, Mapping[str, Report[PageviewRow]]]

_PAGEVIEWS: Final = "pageviews"
_SPARK_WIDTH: Final = 15
_SITE_WIDTH: Final = 20
_PAGES_SHOWN: Final = 9
_SHARES_SHOWN: Final = 5
_SHARE_WIDTH: Final = 36
_SHARE_LABEL: Final = 12
_BESIDE_PAGE: Final = 56
"""Characters of a line that the site, the figure and the bar take from a page's path."""
_LEAST_PAGE: Final = 16
_NAMELESS: Final = {
    REFERRERS: "(direct)",
    COUNTRIES: "(unknown)",
    DEVICES: "(unknown)",
    BROWSERS: "(unknown)",
}


@frozen
class Comparison:
    """Measurements of the job.

    Attributes:
        reports: Requests of the reports lane, counted by the server.
        others: The other requests, likewise.
        refused: Requests that the server refused.
        failed: Requests that ended with an error.
        lost: Requests that were planned and never ended.
        seconds: Real seconds from the start to the last report's answer.
        optimum: Server seconds that a perfect client would need for these reports.
        speed: Server seconds in a real one.
    """

    reports: int
    others: int
    refused: int
    failed: int
    lost: int
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
        wrong = {"refused": self.refused, "failed": self.failed, "lost": self.lost}
        told = [f"{number} {what}" for what, number in wrong.items() if number]
        return f"of {self.reports + self.others} requests, {', '.join(told)}" if told else None


def summarize(
    reports: Reports,
    visitors: Mapping[str, int],
    verdict: Comparison,
    days: tuple[date, date],
    width: int,
    *,
    ascii_only: bool = False,
) -> Iterator[RenderableType]:
    """Return the parts of the summary, from top to bottom; those without data are left out.

    Args:
        reports: The reports over all days, by kind and by the site's name.
        visitors: Current visitors, by the site's name.
        verdict: How the job went.
        days: The first and the last day.
        width: Characters a line.
        ascii_only: Whether the terminal shows ASCII only.
    """
    if OVERVIEW in reports:
        first, last = days
        table = _sites(reports, visitors, ascii_only=ascii_only)
        yield from _titled(f"Sites, {first:%d %b %Y} to {last:%d %b %Y}", table)
    if traffic := traffic_of(reports.get(TRAFFIC, {}).values()):
        yield from _titled_figure(drawn(traffic, width, ascii_only=ascii_only))
    if pages := _pages(reports.get(PAGES, {})):
        label = _SITE_WIDTH + 2 + max(width - _BESIDE_PAGE, _LEAST_PAGE)
        yield from _titled_figure(drawn(pages, width, ascii_only=ascii_only, label_width=label))
    shares = [share for kind in _NAMELESS if (share := _share(kind, reports.get(kind, {}).values()))]
    if first_shares := shares[: width // _SHARE_WIDTH]:
        grid = Table.grid(padding=(0, 3, 0, 0))
        figures = (
            drawn(each, _SHARE_WIDTH - 3, ascii_only=ascii_only, format_value=_percent)
            for each in first_shares
        )
        grid.add_row(*(Group(*_titled_figure(lines)) for lines in figures))
        yield grid
    yield from _titled("How it went", _account(verdict))


def traffic_of(reports: Iterable[Report[PageviewRow]]) -> TimeSeries | None:
    """Return the pageviews of several reports by date, without a gap; None of none."""
    total = Counter[date]()
    for report in reports:
        total.update({row.date: row.pageviews or 0 for row in report})
    is_hourly = any(isinstance(each, datetime) for each in total)
    found = figures_of(
        ("date", _PAGEVIEWS),
        list(total.items()),
        metrics=(_PAGEVIEWS,),
        unit="hour" if is_hourly else "day",
    )
    return next((figure for figure in found if isinstance(figure, TimeSeries)), None)


def _titled(title: str, *parts: RenderableType) -> Iterator[RenderableType]:
    yield Text(f"\n{title}", style="bold")
    yield from (Padding(part, (0, 0, 0, 2), expand=False) for part in parts)


def _titled_figure(figure: list[str]) -> Iterator[RenderableType]:
    title, *lines = figure
    yield Text(f"\n{title[0].upper()}{title[1:]}", style="bold")
    yield Text("\n".join(lines), style="cyan", no_wrap=True)


def _sites(reports: Reports, visitors: Mapping[str, int], *, ascii_only: bool) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("site", no_wrap=True, overflow="ellipsis", max_width=_SITE_WIDTH)
    for name in ("visits", "pageviews", "bounce", "time", "now"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("trend", style="cyan", no_wrap=True)
    for name, report in reports[OVERVIEW].items():
        row = report.rows[0]
        traffic = traffic_of(each for site, each in reports.get(TRAFFIC, {}).items() if site == name)
        values = [value or 0 for value in traffic.lines[0].values] if traffic else []
        table.add_row(
            Text(printable(name)),
            *(shown(figure) for figure in (row.visits, row.pageviews)),
            "-" if row.bounce_rate is None else f"{row.bounce_rate:.0%}",
            "-" if row.avg_duration is None else clock_time(row.avg_duration),
            shown(visitors.get(name)),
            charts.sparkline(values, _SPARK_WIDTH, ascii_only=ascii_only),
        )
    return table


def _pages(reports: Mapping[str, Report[PageviewRow]]) -> Ranking | None:
    """Return the first pages of each site, as many of each."""
    most = max(_PAGES_SHOWN // max(len(reports), 1), 1)
    labels: list[tuple[str, ...]] = []
    values: list[Number] = []
    for name, report in reports.items():
        for place, row in enumerate(report.rows[:most]):
            site = "" if place else cut(printable(name), _SITE_WIDTH)
            page = printable(row.pathname or "")
            labels.append((site, page) if len(reports) > 1 else (page,))
            values.append(row.pageviews)
    return Ranking("top pages", tuple(columns(labels)), tuple(values)) if labels else None


def _share(kind: str, reports: Iterable[Report[PageviewRow]]) -> Ranking | None:
    """Return the shares of the most frequent values of all sites; None if there is none that has a name."""
    counts = Counter[str]()
    for report in reports:
        for value, pageviews in zip(report.column(report.columns[0]), report.column(_PAGEVIEWS), strict=True):
            counts[str(value or "")] += int(str(pageviews or 0))
    if not any(counts):
        return None
    found = counts.most_common(_SHARES_SHOWN)
    labels = (printable(value) or _NAMELESS[kind] for value, _ in found)
    # Padded: the bars of all shares start in the same place.
    padded = tuple(cut(label, _SHARE_LABEL).ljust(_SHARE_LABEL) for label in labels)
    total = counts.total()
    return Ranking(kind, padded, tuple(pageviews / total if total else 0.0 for _, pageviews in found))


def _percent(share: Number) -> str:
    return f"{share or 0:.0%}"


def _account(verdict: Comparison) -> Table:
    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    reports, others = counted(verdict.reports, "report"), f"{verdict.others:,} others"
    table.add_row("requests sent", f"{verdict.reports + verdict.others:,}", f"{reports} and {others}")
    table.add_row("refused", _to_be_zero(verdict.refused), "as the server counted them")
    table.add_row("failed or lost", _to_be_zero(verdict.failed + verdict.lost), "")
    table.add_row("best possible", duration(verdict.optimum), _here(verdict.optimum, verdict))
    taken = verdict.seconds * verdict.speed
    table.add_row("time taken", duration(taken), _here(taken, verdict))
    if verdict.ratio is None:
        table.add_row("", "", "all fit into one window: nothing had to wait")
    else:
        table.add_row("ratio", Text(f"{verdict.ratio:.3f}", style="bold"), "times the best possible")
    return table


def _to_be_zero(number: int) -> Text:
    return Text(f"{number:,}", style="bold red" if number else "bold green")


def _here(server_seconds: float, verdict: Comparison) -> str:
    return f"of server time, {server_seconds / verdict.speed:.2f} s here"
