"""Output of current visitors: the whole screen of a terminal, or a line per answer."""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime

import msgspec
from rich.console import Console
from rich.live import Live

from fathom_async import LaneStatus, LiveVisitors
from fathom_async._cli.live.screen import draw, line
from fathom_async._cli.live.state import LiveState
from fathom_async._cli.progress import repeating
from fathom_async._util.text import printable_json

Show = Callable[[LiveState, LiveVisitors], None]
"""Shows an answer, and the state that includes it."""


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
            sys.stderr.write(f"fathom: {line(heard.site_id, site)}\n")
        sys.stdout.flush()

    return show


def record(heard: LiveVisitors, name: str, error: str | None) -> str:
    """Return an answer, and its error in words, as a JSON object in one line."""
    visitors = heard.visitors
    return msgspec.json.encode(
        {
            "at": heard.at,
            "site_id": heard.site_id,
            "site": name,
            "visitors": None if visitors is None else visitors.total,
            "pages": [
                {"hostname": page.hostname, "pathname": page.pathname, "visitors": page.total}
                for page in (visitors.content if visitors else ())
            ],
            "referrers": [
                {
                    "hostname": each.referrer_hostname,
                    "pathname": each.referrer_pathname,
                    "visitors": each.total,
                }
                for each in (visitors.referrers if visitors else ())
            ],
            "error": error,
        }
    ).decode()


@contextmanager
def _on_resize(call: Callable[[], None]) -> Generator[None]:
    """Call something whenever the window changes its size."""
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
