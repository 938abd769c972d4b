"""Where the progress goes: a live display in a terminal, a line now and then elsewhere."""

import time
from types import TracebackType
from typing import Protocol, Self

from attrs import evolve
from rich.console import Console
from rich.live import Live

from fathom_async._cli.demo.screen import Snapshot, draw, line

_LINE_EVERY = 1.0


class Display(Protocol):
    """Shows one snapshot after the other."""

    def show(self, snapshot: Snapshot, *, is_last: bool = False) -> None:
        """Show what the job looks like now."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class LiveDisplay:
    """Draws over what it drew before.

    It is drawn by who calls `show`, not by a thread of its own: the job's event loop is the only one that
    knows a consistent state.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def show(self, snapshot: Snapshot, *, is_last: bool = False) -> None:
        """Draw the snapshot; what came last is of no interest in the end."""
        snapshot = evolve(snapshot, recent=()) if is_last else snapshot
        options = self._console.options
        drawn = draw(snapshot, options.max_width, ascii_only=options.ascii_only)
        self._live.update(drawn, refresh=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()


class LineDisplay:
    """Writes a line every second, and one in the end."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = time.monotonic()

    def show(self, snapshot: Snapshot, *, is_last: bool = False) -> None:
        """Write the snapshot if it is time for it."""
        if not is_last and time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _LINE_EVERY
        self._console.print(line(snapshot), soft_wrap=True, highlight=False, markup=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


def display_for(console: Console) -> Display:
    """Return what suits the console."""
    if console.is_terminal and not console.is_dumb_terminal:
        return LiveDisplay(console)
    return LineDisplay(console)
