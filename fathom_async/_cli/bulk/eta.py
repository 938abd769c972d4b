"""The time left of a run, or what it waits for, between two of its answers."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from attrs import evolve

from fathom_async import FathomClient, Progress
from fathom_async._cli.formatting import clock_time
from fathom_async._cli.progress import repeating, reporter
from fathom_async.reports import OnProgress
from fathom_async.store import LEASE

_PAUSE = 0.5


class EtaEstimator:
    """Estimates the time left from the lane, so that a pause imposed by the server counts at once."""

    def __init__(self, fathom: FathomClient, now: Callable[[], float] = time.monotonic) -> None:
        self._fathom = fathom
        self._now = now
        self._progress: Progress | None = None
        self._until = 0.0
        self._idle_since: float | None = None

    def update(self, progress: Progress) -> None:
        """Take the run's own progress into account."""
        if progress != self._progress:
            self._idle_since = None
        self._progress = progress
        self._until = self._now() + progress.seconds_left

    def seconds_left(self, progress: Progress) -> float:
        """Return the seconds until the last request is admitted; the lane counts those that it queues."""
        lane = self._fathom.limits["reports"]
        further = progress.requests - progress.answered - lane.queued - lane.in_flight
        if further > 0:
            return self._fathom.eta(further, lane="reports")
        if not lane.queued:
            return 0.0
        after_them = self._fathom.eta(1, lane="reports")
        return after_them if lane.paused_for else min(after_them, max(0.0, self._until - self._now()))

    def waits(self, progress: Progress) -> str:
        """Return what the run waits for besides the rate limit and the server, or an empty text."""
        is_busy = any(lane.queued or lane.in_flight for lane in self._fathom.limits.values())
        is_begun = progress.requests or progress.done  # before, time zones are looked up
        if progress.is_over or not is_begun or progress.answered < progress.requests or is_busy:
            self._idle_since = None
            return ""
        now = self._now()
        if self._idle_since is None:
            self._idle_since = now
        idle = now - self._idle_since
        if idle < _PAUSE:  # it is about to ask, or to write
            return ""
        if idle >= LEASE:
            return "waiting for another run's answers"
        return f"waiting up to {clock_time(LEASE - idle)} for another run's answers"


@asynccontextmanager
async def reporting(fathom: FathomClient) -> AsyncGenerator[OnProgress]:
    """Show how far a run has come, and between two of its answers the time left or what it waits for."""
    eta, latest = EtaEstimator(fathom), Progress(0)
    with reporter() as show:

        def on_progress(progress: Progress) -> None:
            nonlocal latest
            latest = progress
            eta.update(progress)
            show(progress)

        def refresh() -> None:
            if not latest.is_over:
                show(evolve(latest, seconds_left=eta.seconds_left(latest)), eta.waits(latest))

        async with repeating(refresh, 1.0):
            yield on_progress
