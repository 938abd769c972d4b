"""Real uvicorn workers that are stopped and replaced while they serve pages and streams and run a bulk job."""

import asyncio
import itertools
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import IO, Literal

import aiohttp
import pytest

from tests.conftest import until
from tests.examples.test_launcher import free_port
from tests.integrations import backend, fleet
from tests.support.fathom_process import ROOT, FathomProcess, fathom_process
from tests.support.redis_server import RedisServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("workers"),
    pytest.mark.timeout(300),  # on a busy machine
]


def environment(
    kind: Literal["file", "redis"], server: FathomProcess, url: str, folder: Path
) -> Mapping[str, str]:
    shared = fleet.environment(server.url, url)
    if kind == "redis":
        return shared
    return shared | {"FATHOM_BUDGET": f"file://{folder}/budget", "FATHOM_STORE": f"{folder}/reports.db"}


@asynccontextmanager
async def service(
    environ: Mapping[str, str], workers: int, log: IO[str] | int = DEVNULL
) -> AsyncGenerator[tuple[Process, aiohttp.ClientSession]]:
    """Start a service, wait until it answers, and kill it if it is not stopped."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uvicorn", "tests.integrations.backend:app", "--port", str(port)),
        *("--workers", str(workers), "--timeout-graceful-shutdown", "1"),
        cwd=ROOT,
        env=os.environ | environ,
        stdout=DEVNULL,
        stderr=log,
        start_new_session=True,
    )
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as visitor:
            await until_it_answers(visitor)
            yield process, visitor
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def until_it_answers(visitor: aiohttp.ClientSession) -> None:
    while True:
        try:
            async with visitor.get("/health/fathom"):
                return
        except aiohttp.ClientConnectionError:
            await asyncio.sleep(0.05)


async def until_seen(server: FathomProcess, requests: int) -> None:
    await asyncio.to_thread(server.wait_for, requests)


@pytest.mark.parametrize(
    ("kind", "workers", "streams"), [("file", 1, 2), ("file", 2, 0), ("redis", 1, 0), ("redis", 2, 2)]
)
async def test_a_service_that_is_stopped_and_started_sends_each_request_once(
    kind: Literal["file", "redis"], workers: int, streams: int, mortal_redis: RedisServer, tmp_path: Path
) -> None:
    with fathom_process(fleet.SLOW) as server:
        environ = environment(kind, server, mortal_redis.url, tmp_path)
        async with AsyncExitStack() as opened:
            process, visitor = await opened.enter_async_context(service(environ, workers))
            for _ in range(streams):
                await opened.enter_async_context(visitor.get("/stream"))
            await until_seen(server, fleet.SLOW.requests + 2)
            process.terminate()
            async with asyncio.timeout(20):  # it takes 1 s for the streams, and up to 0.4 s for the answers
                await process.wait()
            asked = server.seen().requests
            assert asked < backend.JOB, "it was stopped in the middle of the job"
        async with service(environ, workers):
            await until_seen(server, backend.JOB)
            await asyncio.sleep(2 * fleet.SLOW.latency[1] / fleet.SPEED)
        seen = server.seen()
    assert (seen.refused, seen.repeated, seen.requests) == (0, 0, backend.JOB)


async def test_workers_that_are_replaced_one_by_one_serve_every_page(
    mortal_redis: RedisServer, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with fathom_process(fleet.SLOW) as server, log.open("w") as file:
        environ = fleet.environment(server.url, mortal_redis.url)
        async with service(environ, 2, log=file) as (process, visitor):
            statuses = Counter[int]()
            numbers = itertools.count()

            async def visit() -> None:
                while True:
                    async with visitor.get(f"/visits/{next(numbers) // 20}") as page:
                        statuses[page.status] += 1
                    await asyncio.sleep(0.01)

            async with asyncio.TaskGroup() as group:
                visitors = [group.create_task(visit()) for _ in range(4)]
                for replaced in (2, 4):
                    await until_seen(server, 5 * replaced)
                    process.send_signal(signal.SIGHUP)
                    await until(lambda: log.read_text().count("Finished server process") == replaced)  # noqa: B023
                await until_seen(server, backend.JOB)
                for each in visitors:
                    each.cancel()
            seen = server.seen()
    assert set(statuses) == {HTTPStatus.OK}
    assert (seen.refused, seen.repeated) == (0, 0)
