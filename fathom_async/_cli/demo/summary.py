"""What is on the screen in the end: the figures, and how the job went."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta

from attrs import frozen
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fathom_async._cli import charts
from fathom_async._cli.demo.catalogue import BROWSERS, COUNTRIES, DEVICES, REFERRERS
from fathom_async._cli.demo.findings import Findings, Totals
from fathom_async._cli.formatting import clock_time, counted, duration
from fathom_async._util.text import printable

_CHART_HEIGHT = 6
_SPARK_WIDTH = 15
_SITE_WIDTH = 20
_PAGES_SHOWN = 9
_SHARES_SHOWN = 5
_SHARE_WIDTH = 26
_BAR_WIDTH = 18
_SCALE_WIDTH = 5
_INDENT = (0, 0, 0, 2)
_SHARES = (REFERRERS, COUNTRIES, DEVICES, BROWSERS)
_NAMELESS = {REFERRERS: "(direct)", COUNTRIES: "(unknown)", DEVICES: "(unknown)", BROWSERS: "(unknown)"}


@frozen
class Verdict:
    """How the job went, as it was measured.

    Attributes:
        reports: Requests in the reports lane, as the server counted them.
        others: The other requests, likewise.
        refused: How many of both it refused.
        failed: Requests that ended with an error.
        lost: Requests that were planned and never ended.
        seconds: Real seconds from the job's begin to the last report's answer.
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
        """The time taken against the best possible; None where nothing had to wait."""
        return self.seconds * self.speed / self.optimum if self.optimum else None

    @property
    def problem(self) -> str | None:
        """What went wrong, if anything."""
        wrong = {"refused": self.refused, "failed": self.failed, "lost": self.lost}
        told = [f"{number} {what}" for what, number in wrong.items() if number]
        return f"of {self.reports + self.others} requests, {', '.join(told)}" if told else None


def summarize(
    findings: Findings, verdict: Verdict, first: date, last: date, width: int, *, ascii_only: bool = False
) -> Iterator[RenderableType]:
    """Return the parts of the summary, from top to bottom; those without data are left out.

    Args:
        findings: What the reports told.
        verdict: How the job went.
        first: The first day that was reported on.
        last: The last one.
        width: Characters a line.
        ascii_only: Whether the terminal knows nothing but ASCII.
    """
    if findings.totals:
        yield from _titled(
            f"Sites, {first:%d %b %Y} to {last:%d %b %Y}", _sites(findings, ascii_only=ascii_only)
        )
    if findings.traffic:
        series = continuous(findings.traffic.values())
        yield from _titled(_chart_title(series, width), _chart(series, width, ascii_only=ascii_only))
    if findings.pages:
        yield from _titled("Top pages", _pages(findings.pages, width - 2, ascii_only=ascii_only))
    known = [kind for kind in _SHARES if any(value for value in findings.shares.get(kind, ()))]
    if shown := known[: width // _SHARE_WIDTH]:
        grid = Table.grid(padding=(0, 3, 0, 0))
        grid.add_row(*(_share(kind, findings.shares[kind], ascii_only=ascii_only) for kind in shown))
        yield from ("", Padding(grid, _INDENT, expand=False))
    yield from _titled("How it went", _account(verdict))


def continuous(series: Iterable[Mapping[date, int]]) -> dict[date, int]:
    """Return the sum of several series, with a zero for each day or hour that none of them has."""
    total = Counter[date]()
    for each in series:
        total.update(each)
    if not total:
        return {}
    moment, last = min(total), max(total)
    step = timedelta(hours=1) if isinstance(moment, datetime) else timedelta(days=1)
    filled: dict[date, int] = {}
    while moment <= last:
        filled[moment] = total[moment]
        moment += step
    return filled


def _titled(title: str, *parts: RenderableType) -> Iterator[RenderableType]:
    yield Text(f"\n{title}", style="bold")
    yield from (Padding(part, _INDENT, expand=False) for part in parts)


def _sites(findings: Findings, *, ascii_only: bool) -> Table:
    table = _table()
    table.add_column("site", no_wrap=True, overflow="ellipsis", max_width=_SITE_WIDTH)
    for name in ("visits", "pageviews", "bounce", "time", "now"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("trend", style="cyan", no_wrap=True)
    for name, totals in findings.totals.items():
        traffic = continuous([findings.traffic.get(name, {})])
        visitors = findings.visitors.get(name)
        table.add_row(
            Text(printable(name)),
            *_figures(totals),
            "-" if visitors is None else f"{visitors:,}",
            charts.sparkline(list(traffic.values()), _SPARK_WIDTH, ascii_only=ascii_only),
        )
    return table


def _figures(totals: Totals) -> Iterator[str]:
    yield from ("-" if figure is None else f"{figure:,}" for figure in (totals.visits, totals.pageviews))
    yield "-" if totals.bounce_rate is None else f"{totals.bounce_rate:.0%}"
    yield "-" if totals.avg_duration is None else clock_time(totals.avg_duration)


def _chart_title(series: Mapping[date, int], width: int) -> str:
    unit = "hour" if isinstance(next(iter(series)), datetime) else "day"
    together = charts.bundle(len(series), _chart_width(width))
    return f"Pageviews per {unit}" if together == 1 else f"Pageviews per {together} {unit}s"


def _chart(series: Mapping[date, int], width: int, *, ascii_only: bool) -> Text:
    room = _chart_width(width)
    values = list(series.values())
    together = charts.bundle(len(values), room)
    moments = list(series)[::together]
    thickness = charts.thickness_for(len(moments), room)
    lines = charts.columns(
        values, width=room, height=_CHART_HEIGHT, thickness=thickness, ascii_only=ascii_only
    )
    highest = max(charts.merged(values, room))
    scale = [f"{highest:,.0f}", *[""] * (_CHART_HEIGHT - 1)]
    labels = [
        f"{moment:%d %b %Hh}" if isinstance(moment, datetime) else f"{moment:%d %b}" for moment in moments
    ]
    chart = Text()
    for label, line in zip(scale, lines, strict=True):
        chart.append(label.rjust(_SCALE_WIDTH), style="dim").append(f" {line}\n", style="cyan")
    chart.append("".rjust(_SCALE_WIDTH))
    return chart.append(f" {charts.axis(labels, width=room, thickness=thickness)}", style="dim")


def _chart_width(width: int) -> int:
    return max(width - _SCALE_WIDTH - 3, 10)


def _pages(pages: Mapping[str, Sequence[tuple[str, int]]], width: int, *, ascii_only: bool) -> Table:
    """Return the first pages of each site, as many of each."""
    table = _table()
    several = len(pages) > 1
    if several:
        table.add_column("site", no_wrap=True, overflow="ellipsis", max_width=_SITE_WIDTH)
    table.add_column("page", no_wrap=True, overflow="ellipsis", max_width=max(width - 56, 16))
    table.add_column("pageviews", justify="right", no_wrap=True)
    table.add_column(style="cyan", no_wrap=True)
    highest = max((rows[0][1] for rows in pages.values() if rows), default=0)
    for site, rows in pages.items():
        for number, (path, views) in enumerate(rows[: max(_PAGES_SHOWN // len(pages), 1)]):
            name = [Text("" if number else printable(site))] if several else []
            bar = charts.bar(views, highest, _BAR_WIDTH, ascii_only=ascii_only)
            table.add_row(*name, Text(printable(path)), f"{views:,}", bar)
    return table


def _share(kind: str, counts: Counter[str], *, ascii_only: bool) -> Table:
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True, overflow="ellipsis", width=12)
    table.add_column(justify="right", no_wrap=True, width=4)
    table.add_column(style="cyan", no_wrap=True, width=6)
    table.add_row(Text(kind.capitalize(), style="bold"))
    total = counts.total()
    ranked = counts.most_common(_SHARES_SHOWN)
    for value, views in ranked:
        bar = charts.bar(views, ranked[0][1], 6, ascii_only=ascii_only)
        table.add_row(Text(printable(value) or _NAMELESS[kind]), f"{views / total:.0%}", bar)
    return table


def _account(verdict: Verdict) -> Table:
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


def _here(server_seconds: float, verdict: Verdict) -> str:
    return f"of server time, {server_seconds / verdict.speed:.2f} s here"


def _table() -> Table:
    return Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
