"""A progress bar for bulk reports, drawn with rich; needs the extra ``fathom_async[cli]``."""

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from attrs import evolve

from fathom_async._bulk.results import Progress
from fathom_async._util.lazy import optional
from fathom_async._util.text import bar

try:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text
except ImportError as _error:
    raise ImportError('a progress bar needs rich: pip install "fathom_async[cli]"') from _error

_FRAME: Final = 0.25
_LONGEST: Final = 40
_SHORTEST: Final = 8
_LEAST: Final = 2
"""Figures that are cut off rather than left out: how many are done, and the time left."""


class ProgressBar:
    """A bar in the terminal: ``with ProgressBar() as bar: … reports.gather(queries, on_progress=bar)``.

    In a notebook it is below the cell. The time left follows from the rate limit: it runs until the lane admits the
    last request, and does not extrapolate from the speed of the first ones.

    Args:
        title: Text in front of the bar.
        console: Console to draw on; standard error by default, which leaves standard output to the program.
    """

    def __init__(self, title: str = "reports", *, console: Console | None = None) -> None:
        self._title = title
        self._console = console or Console(stderr=True)
        self._latest: tuple[Progress, str, float] | None = None
        self._live = (
            _Cell(self._draw)
            if self._console.is_jupyter
            else Live(console=self._console, get_renderable=self._draw, refresh_per_second=1 / _FRAME)
        )

    def __call__(self, progress: Progress, waits: str = "") -> None:
        """Update the bar; `waits` says what the run waits for, if it is not the rate limit."""
        self._latest = progress, waits, time.monotonic() + progress.seconds_left

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def _draw(self) -> Text:
        if self._latest is None:
            return Text("")
        progress, waits, until = self._latest
        now = evolve(progress, seconds_left=max(0.0, until - time.monotonic()))
        # A terminal may go on in the next line as soon as the last column is filled.
        line = _line(self._title, now, waits, self._console.width - 1)
        return Text(line, no_wrap=True, overflow="crop")


class _Cell:
    """Draws below a cell of a notebook, where rich needs ipywidgets for it."""

    def __init__(self, draw: Callable[[], Text]) -> None:
        self._draw = draw
        self._line = ""

    def start(self) -> None:
        show = optional("IPython.display", extra="cli").display
        self._update: Callable[..., None] = show({"text/plain": ""}, raw=True, display_id=True).update
        self._tick()

    def stop(self) -> None:
        self._timer.cancel()
        self._refresh()

    def _tick(self) -> None:
        self._refresh()
        self._timer = asyncio.get_running_loop().call_later(_FRAME, self._tick)

    def _refresh(self) -> None:
        before, self._line = self._line, str(self._draw())
        if self._line != before:
            self._update({"text/plain": self._line}, raw=True)


def _line(title: str, progress: Progress, waits: str, width: int) -> str:
    """Return a bar and figures, of which the last are left out where there is no room."""
    parts = [f"{progress.done}/{progress.queries}"]
    if waits:
        parts.append(waits)
    elif progress.has_requests_left:
        minutes, seconds = divmod(round(progress.seconds_left), 60)
        parts.append(f"{minutes}:{seconds:02d} left")
    parts.append(f"{progress.answered}/{progress.requests} requests")
    figures = {"kept": progress.kept, "failed": progress.failed}
    parts += [f"{figure:,} {what}" for what, figure in figures.items() if figure]
    while len(parts) > _LEAST and len(" ".join(parts)) > width:
        parts.pop()
    told = " ".join(parts)
    room = min(_LONGEST, width - len(told) - 1)
    if room < _SHORTEST:
        return told[:width]
    line = f"{bar(progress.done, progress.queries, room).ljust(room, '░')} {told}"
    titled = f"{title} {line}"
    return titled if len(titled) <= width else line
