"""Show the progress of a command: a bar in a terminal, and a line now and then elsewhere."""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, Protocol

from attrs import define, evolve, field
from rich.console import Console

from fathom_async import FathomClient, LaneStatus, Progress
from fathom_async._cli.formatting import clock_time, duration
from fathom_async._cli.output import note
from fathom_async._util.text import counted
from fathom_async.integrations.rich import ProgressBar

_PATIENCE: Final = 0.5
_FRAME: Final = 0.25
_LONG: Final = 5.0
"""Seconds of a wait that is worth a line."""


class Reporter(Protocol):
    """Shows how far a run has come."""

    def __call__(self, progress: Progress, waits: str = "") -> None:
        """Show it, and what the run waits for if it is not the rate limit."""


def is_screen(console: Console) -> bool:
    """Whether what was drawn can be drawn over."""
    return console.is_terminal and not console.is_dumb_terminal


@asynccontextmanager
async def repeating(
    call: Callable[[], None], every: float, *, after: float | None = None
) -> AsyncGenerator[None]:
    """Call something every so many seconds while the block runs, the first time after `after` if that is given."""

    async def tick() -> None:
        await asyncio.sleep(every if after is None else after)
        while True:
            call()
            await asyncio.sleep(every)

    ticker = asyncio.create_task(tick())
    try:
        yield
    finally:
        ticker.cancel()
        await asyncio.wait((ticker,))


@define
class Lines:
    """Writes a line every few seconds, and the last one."""

    write: Callable[[str], object]
    every: float
    now: Callable[[], float] = time.monotonic
    _due: float = field(init=False)
    _last: str = field(init=False, default="")

    def __attrs_post_init__(self) -> None:
        self._due = self.now() + self.every

    def __call__(self, line: str, *, is_last: bool = False) -> None:
        """Write the line if it is due or the last one, and says something new."""
        if line != self._last and (is_last or self.now() >= self._due):
            self._due = self.now() + self.every
            self._last = line
            self.write(line)


@contextmanager
def reporter(line_every: float = 10.0) -> Generator[Reporter]:
    """Show on standard error how far a run has come: a bar in a terminal, a line every few seconds elsewhere."""
    console = Console(stderr=True)
    if not is_screen(console):
        lines = Lines(lambda line: print(f"fathom: {line}", file=sys.stderr, flush=True), line_every)  # noqa: T201
        yield lambda progress, waits="": lines(line_of(progress, waits), is_last=progress.is_over)
        return
    with ProgressBar(console=console) as show:
        yield show


def line_of(progress: Progress, waits: str = "") -> str:
    parts = [
        f"{progress.done:,} of {counted(progress.queries, 'report')}",
        f"{progress.answered:,} of {counted(progress.requests, 'request')}",
    ]
    figures = {"kept": progress.kept, "failed": progress.failed}
    parts += [f"{figure:,} {what}" for what, figure in figures.items() if figure]
    if waits:
        parts.append(waits)
    elif progress.has_requests_left:
        parts.append(f"{clock_time(progress.seconds_left)} left")
    return ", ".join(parts)


def together(before: Progress, part: Progress) -> Progress:
    """Return what several runs took so far: those that are over, and the running one. Reports are counted apart."""
    return evolve(
        before,
        kept=before.kept + part.kept,
        implied=before.implied + part.implied,
        fused=before.fused + part.fused,
        requests=before.requests + part.requests,
        answered=before.answered + part.answered,
        seconds_left=part.seconds_left,
    )


@asynccontextmanager
async def telling(fathom: FathomClient, *, is_drawn: bool = True) -> AsyncGenerator[Callable[[], None]]:
    """Show on standard error what the requests of the block wait for, until its end or a call of what it gives.

    A terminal shows it all the time if `is_drawn`. Anything else gets a line, as soon as it is to be a long wait.
    """
    console = Console(stderr=True, highlight=False)
    status, is_told, is_over = console.status(""), False, False

    def stop() -> None:
        nonlocal is_over
        is_over = True
        status.stop()

    def draw() -> None:
        status.update(situation(fathom))
        status.start()

    def write() -> None:
        nonlocal is_told
        lane = _busiest(fathom)
        if not is_told and max(lane.retry_in, lane.paused_for, lane.queued and lane.next_slot_in) >= _LONG:
            note(situation(fathom))
            is_told = True

    def tell() -> None:
        if not is_over:
            (draw if is_drawn and is_screen(console) else write)()

    try:
        async with repeating(tell, _FRAME, after=_PATIENCE):
            yield stop
    finally:
        stop()


def _busiest(fathom: FathomClient) -> LaneStatus:
    return max(fathom.limits.values(), key=lambda lane: (lane.queued > 0, lane.paused_for, lane.in_flight))


def situation(fathom: FathomClient) -> str:
    lane = _busiest(fathom)
    answers = (
        f"waiting for {counted(lane.in_flight, 'answer')}" if lane.in_flight else "waiting for the server"
    )
    return waits(lane) or answers


def waits(lane: LaneStatus) -> str:
    """Return why a lane admits nothing now; an empty text if it does."""
    if lane.away_for is not None:
        return f"the server is away, trying again in {duration(lane.retry_in)}"
    when = duration(lane.next_slot_in)
    if lane.paused_for:
        return f"the server asked for a pause; the next request goes in {when}"
    return (
        f"{counted(lane.queued, 'request')} queued; the rate limit admits the next one in {when}"
        if lane.queued
        else ""
    )
