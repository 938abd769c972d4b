"""A progress bar that is one line however narrow the terminal is."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from fathom_async import Progress
from fathom_async._cli.charts import bar
from fathom_async._cli.formatting import clock_time
from fathom_async._cli.progress import is_counting_down

_TITLE: Final = "reports"
_LONGEST: Final = 40
_SHORTEST: Final = 8
_GAP: Final = " "
_LEAST: Final = 2
"""Parts that are cut off rather than left out: how many are done, and for how long it goes on."""


class ProgressLine:
    """Draws how far a run has come, and counts the time left down between two calls.

    Args:
        console: The terminal.
        now: Returns monotonic seconds.
    """

    def __init__(self, console: Console, now: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._now = now
        self._progress: Progress | None = None
        self._until = 0.0
        self._waits = ""
        self._live = Live(console=console, get_renderable=self._draw, refresh_per_second=4)

    def __call__(self, progress: Progress, waits: str = "") -> None:
        """Show it; see `fathom_async._cli.progress.Reporter`."""
        self._progress, self._waits = progress, waits
        self._until = self._now() + progress.seconds_left

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def _draw(self) -> Text:
        if self._progress is None:
            return Text("")
        left = max(0.0, self._until - self._now())
        # A terminal may go on in the next line as soon as the last column is filled.
        width, ascii_only = self._console.width - 1, self._console.options.ascii_only
        shown = drawn(self._progress, left, width, waits=self._waits, ascii_only=ascii_only)
        return Text(shown, no_wrap=True, overflow="crop")


def drawn(
    progress: Progress, seconds_left: float, width: int, *, waits: str = "", ascii_only: bool = False
) -> str:
    """Return the line: what matters least is left out first where there is no room.

    Args:
        progress: How far the run has come.
        seconds_left: Until the last request is admitted, as far as is known.
        width: Characters at most.
        waits: What the run waits for, if it is not the rate limit.
        ascii_only: Whether the terminal knows nothing but ASCII.
    """
    parts = [f"{progress.done}/{progress.queries}", *_more(progress, seconds_left, waits)]
    while len(parts) > _LEAST and len(_GAP.join(parts)) > width:
        parts.pop()
    told = _GAP.join(parts)
    room = min(_LONGEST, width - len(told) - len(_GAP))
    if room < _SHORTEST:
        return told[:width]
    done = bar(progress.done, progress.queries, room, ascii_only=ascii_only)
    line = f"{done.ljust(room, '.' if ascii_only else '░')}{_GAP}{told}"
    titled = f"{_TITLE}{_GAP}{line}"
    return titled if len(titled) <= width else line


def _more(progress: Progress, seconds_left: float, waits: str) -> list[str]:
    parts = [waits] if waits else []
    if not waits and is_counting_down(progress):
        parts.append(f"{clock_time(seconds_left)} left")
    parts.append(f"{progress.answered}/{progress.requests} requests")
    if progress.kept:
        parts.append(f"{progress.kept} kept")
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    return parts
