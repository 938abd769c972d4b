"""Virtual time: an hour passes at once, but never before real work in progress is done."""

import asyncio
import contextlib
import sys
import threading
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from subprocess import DEVNULL, PIPE

import pytest

from fathom_async import FathomClient, PageviewQuery
from fathom_async._util.clock import LoopClock
from fathom_async.testing import FathomServer
from fathom_async.testing._virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.virtual_time

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
WORK = 0.05
"""Real seconds that work outside of the loop takes: much longer than the loop's timers beside it."""
SOON = 0.001
LATE = 3600.0
ECHO = "import sys; sys.stdout.write(sys.stdin.readline())"
ANSWER = """
import socket
with socket.create_server(("127.0.0.1", 0)) as server:
    print(server.getsockname()[1], flush=True)
    connection = server.accept()[0]
    connection.sendall(connection.recv(100))
"""


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.fixture
async def loop_of_a_fixture() -> AsyncIterator[asyncio.AbstractEventLoop]:
    await asyncio.sleep(LATE)
    yield asyncio.get_running_loop()
    await asyncio.sleep(LATE)


async def test_async_fixtures_share_the_loop_of_the_test(
    loop_of_a_fixture: asyncio.AbstractEventLoop,
) -> None:
    assert isinstance(loop_of_a_fixture, VirtualTimeLoop)
    assert loop_of_a_fixture is asyncio.get_running_loop()
    assert now() == LATE


async def test_timers_fire_in_their_order_at_exactly_their_time() -> None:
    fired: list[tuple[float, float]] = []

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(seconds)
        fired.append((seconds, now()))

    await asyncio.gather(*(sleep(seconds) for seconds in (60.0, 0.25, LATE, 1.5)))
    assert fired == [(0.25, 0.25), (1.5, 1.5), (60.0, 60.0), (LATE, LATE)]


async def test_a_minute_of_rate_limited_requests_takes_exactly_the_windows(
    fathom_server: FathomServer,
) -> None:
    queries = [PageviewQuery("CDBUGS", aggregates=["visits"], limit=limit) for limit in range(1, 26)]
    async with FathomClient("any", base_url=fathom_server.url) as fathom:
        await fathom.reports.gather(queries, fuse=False)
    started = [round(hit.at - fathom_server.hits[0].at, 6) for hit in fathom_server.hits]
    assert started == [0] * 10 + [61] * 10 + [122] * 5
    assert fathom_server.refused == 0


async def test_a_request_to_a_server_in_the_loop_takes_no_time_at_all(fathom_server: FathomServer) -> None:
    async with FathomClient("any", base_url=fathom_server.url) as fathom:
        for _ in range(100):
            async with asyncio.timeout(SOON):
                await fathom.account.get()
    assert now() == 0


@pytest.mark.virtual_time(now=NOON)
async def test_the_date_begins_where_the_marker_says_for_client_and_server(
    fathom_server: FathomServer,
) -> None:
    await asyncio.sleep(LATE)
    later = NOON + timedelta(seconds=LATE)
    assert LoopClock().unix() == later.timestamp()
    assert fathom_server.clock.now() == later


async def test_the_date_begins_now_unless_told() -> None:
    before = time.time() - now()
    assert before - 120 < LoopClock().unix() <= time.time()


async def test_time_stands_still_while_a_thread_works() -> None:
    async with asyncio.timeout(SOON):
        await asyncio.to_thread(time.sleep, WORK)
    assert now() == 0


async def test_time_stands_still_until_a_thread_ends_that_nobody_waits_for_any_more() -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait()
        time.sleep(WORK)
        ended.set()

    waiting = asyncio.ensure_future(asyncio.to_thread(work))
    await asyncio.to_thread(begun.wait)
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting
    go_on.set()
    await asyncio.sleep(SOON)
    assert ended.is_set()


async def test_threads_and_timers_take_turns() -> None:
    for turn in range(1, 6):
        await asyncio.to_thread(time.sleep, SOON)
        await asyncio.sleep(LATE)
        assert now() == turn * LATE


async def test_time_is_real_while_a_subprocess_answers() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", ECHO, stdin=PIPE, stdout=PIPE)
    async with asyncio.timeout(LATE):
        answer, _ = await process.communicate(b"hello\n")
    assert answer == b"hello\n"


async def test_time_is_real_while_a_subprocess_runs_that_has_no_pipe_to_the_loop() -> None:
    process = await asyncio.create_subprocess_shell("exit 3", stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL)
    async with asyncio.timeout(LATE):
        assert await process.wait() == 3
    assert now() < LATE


async def test_time_is_real_while_another_process_is_connected() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", ANSWER, stdout=PIPE)
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"hello\n")
    async with asyncio.timeout(LATE):
        assert await reader.readline() == b"hello\n"
    writer.close()
    await writer.wait_closed()
    await process.communicate()
    real = now()
    assert real < LATE
    await asyncio.sleep(LATE)
    assert now() == pytest.approx(real + LATE, abs=60)


async def test_bytes_that_nobody_reads_yet_do_not_hold_time_up() -> None:
    much = 10_000_000  # more than the kernel keeps
    read: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(LATE)
        read.append(len(await reader.readexactly(much)))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(bytes(much))
        assert await reader.read() == b""
        writer.close()
    assert read == [much]
    assert now() == LATE
