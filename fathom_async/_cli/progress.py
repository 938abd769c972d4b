"""How far a bulk run has come, on standard error: a bar in a terminal, a line now and then elsewhere."""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Protocol, Self, TextIO

from attrs import evolve

from fathom_async import Progress
from fathom_async._cli.formatting import clock_time, counted

_LINE_EVERY = 10.0


class Reporter(Protocol):
    """Shows how far a run has come, while its block runs."""

    def __call__(self, progress: Progress, waits: str = "") -> None:
        """Show it.

        Args:
            progress: How far the run has come.
            waits: What it waits for, if it is not the rate limit.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Lines:
    """Writes a line every ten seconds, and one in the end.

    Args:
        file: Where to.
        now: Returns monotonic seconds.
    """

    def __init__(self, file: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._now = now
        self._next = now() + _LINE_EVERY
        self._last = ""

    def __call__(self, progress: Progress, waits: str = "") -> None:
        """Write it if it is time for it."""
        told = line(progress, waits)
        if told == self._last or (not progress.is_over and self._now() < self._next):
            return
        self._next = self._now() + _LINE_EVERY
        self._last = told
        self._file.write(f"fathom: {told}\n")
        self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


@asynccontextmanager
async def each_second(refresh: Callable[[], None]) -> AsyncGenerator[None]:
    """Call something every second while the block runs.

    A pause that the server asked for ends nothing, but changes the time left.
    """

    async def tick() -> None:
        while True:
            await asyncio.sleep(1.0)
            refresh()

    ticker = asyncio.create_task(tick())
    try:
        yield
    finally:
        ticker.cancel()
        await asyncio.wait((ticker,))


def reporter() -> Reporter:
    """Return what suits the standard error."""
    from rich.console import Console  # noqa: PLC0415 - it takes long

    console = Console(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        return Lines(sys.stderr)
    from fathom_async._cli.bar import ProgressLine  # noqa: PLC0415

    return ProgressLine(console)


def is_counting_down(progress: Progress) -> bool:
    """Whether requests are to come, so that the rate limit tells the time left."""
    return not progress.is_over and progress.answered < progress.requests


def line(progress: Progress, waits: str = "") -> str:
    """Return how far a run has come, in one line."""
    parts = [
        f"{progress.done:,} of {counted(progress.queries, 'report')}",
        f"{progress.answered:,} of {counted(progress.requests, 'request')}",
    ]
    if progress.kept:
        parts.append(f"{progress.kept:,} kept")
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    if waits:
        parts.append(waits)
    elif is_counting_down(progress):
        parts.append(f"{clock_time(progress.seconds_left)} left")
    return ", ".join(parts)


def together(before: Progress, part: Progress) -> Progress:
    """Return how far several runs have come, one after the other.

    Args:
        before: Those that are over, with the queries of all.
        part: The one that is running.
    """
    return evolve(
        before,
        done=before.done + part.done,
        failed=before.failed + part.failed,
        kept=before.kept + part.kept,
        requests=before.requests + part.requests,
        answered=before.answered + part.answered,
        seconds_left=part.seconds_left,
    )
