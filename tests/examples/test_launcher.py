"""``python -m examples.dashboard`` as a process of its own: how it starts, and how it ends."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from fathom_async.testing import Dataset, FathomServer, Status
from tests.conftest import until
from tests.support.soak import tries

EVENTS = "text/event-stream"
ROOT = Path(__file__).parents[2]


@pytest.fixture
async def server() -> AsyncGenerator[FathomServer]:
    """A server that knows one token."""
    data = Dataset.synthetic(days=40, visits_per_day=10)
    async with FathomServer(data=data, tokens={"right": ["*"]}) as running:
        yield running


@asynccontextmanager
async def launched(data: Path, *arguments: str, **environment: str) -> AsyncGenerator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "examples.dashboard", "--data", str(data), *arguments),
        env=os.environ | environment,
        cwd=ROOT,
        stdout=PIPE,
        stderr=PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


@asynccontextmanager
async def visited(
    server: FathomServer, data: Path, workers: int
) -> AsyncGenerator[tuple[Process, aiohttp.ClientSession]]:
    """Launch it with the right token, and come as a visitor."""
    port = free_port()
    arguments = ("--workers", str(workers), "--port", str(port))
    async with (
        launched(data, *arguments, FATHOM_API_TOKEN="right", FATHOM_BASE_URL=server.url) as process,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as visitor,
    ):
        yield process, visitor


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


async def until_it_answers(visitor: aiohttp.ClientSession) -> str:
    while True:
        try:
            async with visitor.get("/") as response:
                return await response.text()
        except aiohttp.ClientConnectionError:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("sites", ["", "CDBUGS"])
async def test_a_token_that_is_refused_ends_it_with_one_line(
    server: FathomServer, tmp_path: Path, sites: str
) -> None:
    async with launched(
        tmp_path, FATHOM_API_TOKEN="wrong", FATHOM_BASE_URL=server.url, DASHBOARD_SITES=sites
    ) as process:
        _, words = await process.communicate()
    assert process.returncode == 1
    [line] = words.decode().splitlines()
    assert line.startswith("Fathom rejected FATHOM_API_TOKEN: 401 Unauthorized")


async def test_a_setting_that_makes_no_sense_ends_it_with_one_line(tmp_path: Path) -> None:
    async with launched(tmp_path, FATHOM_API_TOKEN="any", FATHOM_BASE_URL="nowhere") as process:
        _, words = await process.communicate()
    assert process.returncode == 1
    [line] = words.decode().splitlines()
    assert "'nowhere' is not a URL" in line


async def test_an_outage_does_not_keep_it_from_starting(server: FathomServer, tmp_path: Path) -> None:
    server.inject(*[Status(500)] * 1_000)
    async with visited(server, tmp_path, workers=1) as (_, visitor):
        assert "<h1>Dashboard</h1>" in await until_it_answers(visitor)


@pytest.mark.parametrize("workers", [1, tries(2, soak=4)])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_at_once_and_without_a_traceback(
    server: FathomServer, tmp_path: Path, workers: int, number: signal.Signals
) -> None:
    async with visited(server, tmp_path, workers) as (process, visitor), AsyncExitStack() as streams:
        await until_it_answers(visitor)
        boards = [
            asyncio.create_task(status(visitor, f"/sites/CDBUGS/board?range={name}"))
            for name in ("7d", "90d")
        ]
        await until(lambda: sum(hit.lane == "reports" for hit in server.hits) > 1)
        live = [await streams.enter_async_context(visitor.get("/live")) for _ in range(workers)]
        process.send_signal(number)
        output, words = await process.communicate()
        assert [(stream.status, stream.content_type) for stream in live] == [(200, EVENTS)] * workers
        for board in await asyncio.gather(*boards, return_exceptions=True):
            # One whose connection nobody had accepted yet is refused.
            assert board in {200, 202, 503} or isinstance(board, aiohttp.ClientConnectionError)
    assert process.returncode == -number
    assert b"Traceback" not in output + words
    asked = sum(hit.lane == "reports" for hit in server.hits)
    assert asked <= 10, "it did not wait until the rate limit admitted what was left"


async def status(visitor: aiohttp.ClientSession, path: str) -> int:
    """Read an answer to its end."""
    async with visitor.get(path) as response:
        await response.read()
        return response.status
