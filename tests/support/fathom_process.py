"""A Fathom server in a separate process, which reports on request what it has seen."""

import asyncio
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path

from attrs import frozen

from fathom_async.testing import Dataset, FathomServer, LaravelWindow
from tests.support.forked import Forked

ROOT = Path(__file__).parents[2]


@frozen
class Options:
    """The limit of reports, which is a window of Laravel's, and other options of `FathomServer`."""

    requests: int = 10
    per: float = 60.0
    latency: tuple[float, float] = (0.0, 0.005)
    speed: float = 1.0
    now: datetime | None = None

    def data(self) -> Dataset:
        """Return what it reports on: little, so that the first report comes as soon as the others."""
        return Dataset.synthetic(sites=1, days=100, until=(self.now or datetime.now(UTC)).date())


@frozen
class Seen:
    """What the server has seen of reports.

    Attributes:
        requests: How many came in.
        refused: How many of them were refused.
        repeated: How many asked for what was asked for before.
        windows: How many were counted in each window of the limit.
        makespan: Server seconds from the first to the last of these.
        optimum: What it could have been at best.
    """

    requests: int
    refused: int
    repeated: int
    windows: Sequence[int]
    makespan: float
    optimum: float


class FathomProcess:
    """The server, as the test sees it."""

    def __init__(self, options: Options) -> None:
        self._process = Forked(serve, options)
        self.url = self._process.said(str)

    def seen(self) -> Seen:
        """Ask the server what it has seen until now."""
        self._process.tell("what?")
        return self._process.said(Seen)

    def wait_for(self, requests: int) -> None:
        """Wait until the server has seen so many requests."""
        while self.seen().requests < requests:
            time.sleep(0.01)

    def end(self) -> None:
        """End it."""
        self._process.kill()


@contextmanager
def fathom_process(options: Options) -> Generator[FathomProcess]:
    """Run the server while the block runs."""
    process = FathomProcess(options)
    try:
        yield process
    finally:
        process.end()


def _windows(moments: Iterable[float], per: float) -> list[int]:
    """Count the moments in each window of a limit whose windows open with their first request."""
    counts: list[int] = []
    end = 0.0
    for moment in moments:
        if moment >= end:
            counts.append(0)
            end = moment + per
        counts[-1] += 1
    return counts


def serve(test: Connection, options: Options) -> None:
    """Serve, and answer each message of the test with what was seen until then."""
    asyncio.run(_serve(test, options))


async def _serve(test: Connection, options: Options) -> None:
    throttle = LaravelWindow(options.requests, per=options.per)
    async with FathomServer(
        data=options.data(),
        reports_throttle=throttle,
        latency=options.latency,
        speed=options.speed,
        now=options.now,
    ) as server:
        test.send(server.url)
        while await asyncio.to_thread(test.recv):
            hits = [hit for hit in server.hits if hit.lane == "reports"]
            times = sorted(hit.at for hit in hits if hit.counted)
            seen = Seen(
                requests=len(hits),
                refused=len(hits) - len(times),
                repeated=len(hits) - len({str(sorted(hit.query.items())) for hit in hits}),
                windows=_windows(times, options.per),
                makespan=times[-1] - times[0] if times else 0.0,
                optimum=throttle.optimum(len(times)) if times else 0.0,
            )
            test.send(seen)
