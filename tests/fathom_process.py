"""A Fathom server in a process of its own, which tells what it has seen whenever it is asked."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import cattrs
from attrs import frozen

from fathom_async.testing import FathomServer, LaravelWindow

ROOT = Path(__file__).parents[1]


@frozen
class Options:
    """The limit of reports, which is a window of Laravel's, and other options of `FathomServer`."""

    requests: int = 10
    per: float = 60.0
    latency: tuple[float, float] = (0.0, 0.005)
    speed: float = 1.0
    now: str | None = None


@frozen
class Seen:
    """What the server has seen of reports.

    Attributes:
        requests: How many came in.
        refused: How many of them were refused.
        windows: How many were counted in each window of the limit.
        makespan: Server seconds from the first to the last of these.
        optimum: What it could have been at best.
    """

    requests: int
    refused: int
    windows: Sequence[int]
    makespan: float
    optimum: float


@frozen
class FathomProcess:
    """The server, as the test sees it."""

    url: str
    _process: "subprocess.Popen[str]"

    def seen(self) -> Seen:
        """Ask the server what it has seen until now."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return cattrs.structure(json.loads(self._process.stdout.readline()), Seen)

    def wait_for(self, requests: int) -> None:
        """Wait until the server has seen so many requests."""
        while self.seen().requests < requests:
            time.sleep(0.01)


@contextmanager
def fathom_process(options: Options) -> Generator[FathomProcess]:
    """Run the server while the block runs."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.fathom_process", json.dumps(cattrs.unstructure(options))],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield FathomProcess(process.stdout.readline().strip(), process)
        finally:
            process.kill()


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


async def _serve(options: Options) -> None:
    throttle = LaravelWindow(options.requests, per=options.per)
    async with FathomServer(
        reports_throttle=throttle,
        latency=options.latency,
        speed=options.speed,
        now=None if options.now is None else datetime.fromisoformat(options.now),
    ) as server:
        print(server.url, flush=True)  # noqa: T201 - to the test
        while await asyncio.to_thread(sys.stdin.readline):
            hits = [hit for hit in server.hits if hit.lane == "reports"]
            times = sorted(hit.at for hit in hits if hit.counted)
            seen = Seen(
                requests=len(hits),
                refused=len(hits) - len(times),
                windows=_windows(times, options.per),
                makespan=times[-1] - times[0] if times else 0.0,
                optimum=throttle.optimum(len(times)) if times else 0.0,
            )
            print(json.dumps(cattrs.unstructure(seen)), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(_serve(cattrs.structure(json.loads(sys.argv[1]), Options)))
