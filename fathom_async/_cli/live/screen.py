"""Current visitors: their state, and how it is shown, as the screen of a terminal or a line per answer."""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Final

import msgspec
from attrs import evolve, frozen
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fathom_async import CurrentVisitors, LaneStatus, LiveVisitors
from fathom_async._cli.drawing import drawn, sparkline
from fathom_async._cli.figures import Ranking
from fathom_async._cli.formatting import duration
from fathom_async._cli.output import note
from fathom_async._cli.progress import repeating, waits
from fathom_async._util.text import counted, printable, printable_json

_REMEMBERED: Final = 60
_SIDE_BY_SIDE: Final = 70
_TREND: Final = 16
_WITH_TREND: Final = 50
_WITH_AGE: Final = 34
_PLACE: Final = ("hostname", "pathname", "visitors")
_FRAME: Final = 6
"""Lines of the headings, the status and what stands between."""


@frozen
class SiteView:
    """One site: its last answer, the totals of several, and the error of the last attempt if it failed."""

    name: str
    visitors: CurrentVisitors | None = None
    at: datetime | None = None
    history: tuple[int, ...] = ()
    error: str | None = None

    def with_(self, heard: LiveVisitors, error: str | None) -> "SiteView":
        if heard.visitors is None:
            return evolve(self, error=error)
        history = (*self.history, heard.visitors.total)[-_REMEMBERED:]
        return evolve(self, visitors=heard.visitors, at=heard.at, history=history, error=None)


@frozen
class LiveState:
    """All sites by ID, in the order named, and the seconds from one request for a site to the next."""

    sites: Mapping[str, SiteView]
    seconds: float

    def with_(self, heard: LiveVisitors, error: str | None) -> "LiveState":
        """Return the state with an answer about a site, and its error in words."""
        return evolve(
            self, sites={**self.sites, heard.site_id: self.sites[heard.site_id].with_(heard, error)}
        )

    @property
    def total(self) -> int | None:
        """Visitors of all sites that have answered; None if none has."""
        known = [site.visitors.total for site in self.sites.values() if site.visitors is not None]
        return sum(known) if known else None

    def pages(self) -> Sequence[tuple[str, int]]:
        """Return the pages of all sites with their visitors, the most visited first."""
        hosts = {page.hostname for site in self._known() for page in site.content}
        visitors = Counter[str]()
        for site in self._known():
            for page in site.content:
                host = "" if len(hosts) == 1 else _bare(page.hostname)
                visitors[f"{host}{page.pathname or ''}" or "(unknown)"] += page.total
        return visitors.most_common()

    def referrers(self) -> Sequence[tuple[str, int]]:
        """Return the referrers of all sites with their visitors, the most frequent first."""
        visitors = Counter[str]()
        for site in self._known():
            for each in site.referrers:
                path = each.referrer_pathname or ""
                visitors[f"{_bare(each.referrer_hostname)}{'' if path == '/' else path}" or "(direct)"] += (
                    each.total
                )
        return visitors.most_common()

    def _known(self) -> Sequence[CurrentVisitors]:
        return [site.visitors for site in self.sites.values() if site.visitors is not None]


Show = Callable[[LiveState, LiveVisitors], None]
"""Shows an answer, and the state that includes it."""


def _bare(hostname: str | None) -> str:
    return (hostname or "").removeprefix("https://").removeprefix("http://")


def draw(board: LiveState, lane: LaneStatus, now: datetime, width: int, height: int) -> RenderableType:
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
            cells.append(sparkline(site.history[-_TREND:]))
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
    pace = f"each site every {duration(board.seconds)}; {lane.used:,} of {lane.limit:,} reports used"
    what = waits(lane) or pace
    return Text(f"Ctrl-C quits; {what}", style="dim", no_wrap=True, overflow="ellipsis")


@asynccontextmanager
async def screen(
    console: Console, board: LiveState, lane: Callable[[], LaneStatus], *, frame: float = 1.0
) -> AsyncGenerator[Show]:
    """Draw on the terminal's alternate screen while the block runs; afterwards the terminal is as it was.

    It redraws on each answer, on resize, and every `frame` seconds for the clock.
    """
    latest = board

    def paint() -> None:
        live.update(draw(latest, lane(), datetime.now(UTC), *console.size), refresh=True)

    def show(board: LiveState, _heard: LiveVisitors) -> None:
        nonlocal latest
        latest = board
        paint()

    with Live(console=console, screen=True, auto_refresh=False) as live, _on_resize(paint):
        paint()
        async with repeating(paint, frame):
            yield show


def lines(*, as_json: bool) -> Show:
    """Return a function that writes a line per answer to standard output, and errors to standard error."""

    def show(board: LiveState, heard: LiveVisitors) -> None:
        site = board.sites[heard.site_id]
        if as_json:
            told = record(heard, site.name, site.error)
            sys.stdout.write(f"{printable_json(told) if sys.stdout.isatty() else told}\n")
        elif site.error is None:
            sys.stdout.write(f"{line(heard.site_id, site)}\n")
        else:
            note(line(heard.site_id, site))
        sys.stdout.flush()

    return show


def record(heard: LiveVisitors, name: str, error: str | None) -> str:
    """Return an answer, and its error in words, as a JSON object in one line."""
    visitors = heard.visitors
    pages = [(page.hostname, page.pathname, page.total) for page in (visitors.content if visitors else ())]
    referrers = [
        (each.referrer_hostname, each.referrer_pathname, each.total)
        for each in (visitors.referrers if visitors else ())
    ]
    told = {
        "at": heard.at,
        "site_id": heard.site_id,
        "site": name,
        "visitors": None if visitors is None else visitors.total,
        "pages": [dict(zip(_PLACE, page, strict=True)) for page in pages],
        "referrers": [dict(zip(_PLACE, each, strict=True)) for each in referrers],
        "error": error,
    }
    return msgspec.json.encode(told).decode()


@contextmanager
def _on_resize(call: Callable[[], None]) -> Generator[None]:
    loop = asyncio.get_running_loop()
    number = getattr(signal, "SIGWINCH", None)
    if number is None:  # on Windows, the next second notices
        yield
        return
    loop.add_signal_handler(number, call)
    try:
        yield
    finally:
        loop.remove_signal_handler(number)
