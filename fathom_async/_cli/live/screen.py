"""The screen: pure functions from the state to what is drawn."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fathom_async import LaneStatus
from fathom_async._cli import charts
from fathom_async._cli.drawing import drawn
from fathom_async._cli.figures import Ranking
from fathom_async._cli.formatting import counted, duration
from fathom_async._cli.live.state import LiveState, SiteView
from fathom_async._util.text import printable

_SIDE_BY_SIDE: Final = 70
_TREND: Final = 16
_WITH_TREND: Final = 50
_WITH_AGE: Final = 34
_FRAME: Final = 6
"""Lines of the headings, the status and what stands between."""


def draw(board: LiveState, lane: LaneStatus, now: datetime, width: int, height: int) -> RenderableType:
    """Return the whole screen."""
    rows = min(len(board.sites), max(1, height // 3))
    rest = max(height - rows - _FRAME, 0)
    parts: list[RenderableType] = [_title(board, now), "", _sites(board, now, width, rows)]
    if rest > 1:
        parts += ["", _lists(board, width, rest)]
    return Group(*parts, "", _status(board, lane))


def line(name: str, site: SiteView) -> str:
    """Return the last answer about the site of an ID, in one line."""
    who = f"{printable(site.name)} ({name})" if site.name != name else name
    if site.error is not None or site.visitors is None or site.at is None:
        return f"{who}: {site.error}"
    pages = LiveState({name: site}, 0).pages()[:3]
    most = ", ".join(f"{printable(page)} {visitors:,}" for page, visitors in pages)
    when = f"{site.at.astimezone():%H:%M:%S}"
    return f"{when} {who}: {counted(site.visitors.total, 'visitor')}{f'; {most}' if most else ''}"


def _title(board: LiveState, now: datetime) -> Text:
    total = "-" if board.total is None else counted(board.total, "visitor")
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(total, style="bold green").append(" right now")
    if len(board.sites) > 1:
        text.append(f" on {counted(len(board.sites), 'site')}")
    return text.append(f"   {now.astimezone():%H:%M:%S}", style="dim")


def _sites(board: LiveState, now: datetime, width: int, rows: int) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", show_edge=False)
    table.add_column("site", no_wrap=True, overflow="ellipsis", max_width=max(8, width // 3))
    table.add_column("now", justify="right", no_wrap=True)
    if has_trend := width >= _WITH_TREND:
        table.add_column("trend", no_wrap=True, width=_TREND, style="cyan")
    if width >= _WITH_AGE:
        table.add_column("updated", no_wrap=True, overflow="ellipsis", ratio=1)
    shown = list(board.sites.values())
    if len(shown) > rows:
        shown = sorted(shown, key=_importance)[: max(rows - 1, 1)]
    for site in shown:
        cells: list[RenderableType] = [
            Text(printable(site.name)),
            "-" if site.visitors is None else f"{site.visitors.total:,}",
        ]
        if has_trend:
            cells.append(charts.sparkline(site.history[-_TREND:]))
        if width >= _WITH_AGE:
            cells.append(_heard(site, now))
        table.add_row(*cells)
    if left := len(board.sites) - len(shown):
        table.add_row(Text(f"+{left:,} more", style="dim"))
    return table


def _importance(site: SiteView) -> tuple[bool, int]:
    """Sort sites that fail first, then those with the most visitors."""
    return site.error is None, 0 if site.visitors is None else -site.visitors.total


def _heard(site: SiteView, now: datetime) -> Text:
    if site.error is not None:
        return Text(site.error, style="red")
    if site.at is None:
        return Text("not yet", style="dim")
    return Text(f"{duration(round((now - site.at).total_seconds()) or 0)} ago", style="dim")


def _lists(board: LiveState, width: int, height: int) -> RenderableType:
    both = (("pages", board.pages()), ("referrers", board.referrers()))
    if width >= _SIDE_BY_SIDE:
        half = (width - 4) // 2
        return Columns([_ranked(title, rows, half, height - 1) for title, rows in both], width=half)
    each = max((height - 1) // 2 - 1, 1)
    first, second = (_ranked(title, rows, width, each) for title, rows in both)
    return Group(first, "", second)


def _ranked(title: str, rows: Sequence[tuple[str, int]], width: int, height: int) -> Text:
    labels, visitors = zip(*rows[:height], strict=True) if rows else ((), ())
    ranking = Ranking(title, tuple(map(printable, labels)), visitors)
    head, *bars = drawn(ranking, width, label_width=width // 2) if rows else (title, "  none")
    return Text.assemble((head, "dim"), *(f"\n{bar}" for bar in bars), no_wrap=True, overflow="ellipsis")


def _status(board: LiveState, lane: LaneStatus) -> Text:
    what = f"each site every {duration(board.seconds)}; {lane.used:,} of {lane.limit:,} reports used"
    if lane.paused_for:
        what = f"paused by the server for {duration(lane.paused_for)}"
    return Text(f"Ctrl-C quits; {what}", style="dim", no_wrap=True, overflow="ellipsis")
