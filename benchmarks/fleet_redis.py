"""Measure the cost of one account for a real Redis and for a worker, as input of the simulation."""

import asyncio
import resource
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, cast

from attrs import astuple, frozen
from redis.asyncio import Redis

from benchmarks.fusing import TODAY, dashboard
from fathom_async import FathomClient
from fathom_async._bulk.fusing import fuse
from fathom_async._reports.query import AnyQuery
from fathom_async._util.clock import LoopClock
from fathom_async.testing import Dataset, FathomServer
from tests.support.redis_server import redis_server

SPEED = 20.0
CLIENTS = 200
ACCOUNTS = 30
_STORE = ("eval", "hmget", "set", "exists")
"""Commands of the store of answers; the script of the budget calls one of them too."""


class _Admin(Protocol):
    """The part of redis-py used here, whose own annotations are partly unknown."""

    def info(self, section: str) -> Awaitable[Mapping[str, Any]]: ...

    def scan_iter(self, match: str) -> AsyncIterator[bytes]: ...

    def memory_usage(self, key: bytes) -> Awaitable[int]: ...

    def client_list(self) -> Awaitable[Sequence[Mapping[str, str]]]: ...


@frozen
class Costs:
    """The measured costs.

    Attributes:
        queries: Mean number of queries that one request answers.
        step: CPU seconds of the Redis server for one step of the budget, including network I/O.
        script: CPU seconds of the script in one step.
        commands: Commands of the store of answers for one request.
        store: CPU seconds of the Redis server for the store's commands for one request.
        load: Utilization of the Redis server during the measurement: under higher load it needs less time for each
            command, as it answers many at once.
        budget_bytes: Memory of Redis for the budget of one account.
        answer_bytes: Memory of Redis for one stored answer.
        connections: Connections to Redis of one client with a budget.
        connection_bytes: Memory of Redis for one connection.
        client_bytes: Memory of a worker for one open client, with its connections.
        worker_bytes: Memory of a worker without clients.
    """

    queries: float
    step: float
    script: float
    commands: float
    store: float
    load: float
    budget_bytes: float
    answer_bytes: float
    connections: float
    connection_bytes: float
    client_bytes: float
    worker_bytes: float


async def measure() -> Costs:
    """Let one client ask a dashboard by way of a real Redis, and many clients one question each."""
    data = Dataset.synthetic(until=TODAY)
    queries: Sequence[AnyQuery] = list(dashboard(data))
    requests = len(fuse(queries)) * ACCOUNTS
    async with _redis() as (url, admin):
        many = await _many_clients(url, admin, data)
    async with _redis() as (url, admin):
        plain = await _dashboards(url, admin, data, queries, has_store=False)
        kept = await _dashboards(url, admin, data, queries, has_store=True)
        budget, answers = await _memory(admin)
    step = plain.seconds / plain.steps
    return Costs(
        queries=len(queries) * ACCOUNTS / requests,
        step=step,
        script=plain.in_script / plain.steps,
        commands=(kept.commands - plain.commands * kept.steps / plain.steps) / requests,
        store=(kept.seconds - kept.steps * step) / requests,
        load=kept.seconds / kept.elapsed,
        budget_bytes=budget,
        answer_bytes=answers,
        **many,
    )


@frozen
class _Work:
    """What a Redis server did: CPU in seconds, in all and in the budget's script, steps of that, and commands."""

    seconds: float
    in_script: float
    steps: int
    commands: int
    elapsed: float

    def since(self, before: "_Work") -> "_Work":
        return _Work(*(now - then for now, then in zip(astuple(self), astuple(before), strict=True)))


async def _worked(admin: _Admin) -> _Work:
    cpu, stats = await admin.info("cpu"), await admin.info("commandstats")
    steps = stats["cmdstat_evalsha"]
    return _Work(
        seconds=cpu["used_cpu_sys"] + cpu["used_cpu_user"],
        in_script=steps["usec"] / 1e6,
        steps=steps["calls"],
        commands=sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in _STORE),
        elapsed=time.monotonic(),
    )


async def _dashboards(
    url: str, admin: _Admin, data: Dataset, queries: Sequence[AnyQuery], *, has_store: bool
) -> _Work:
    """Run the dashboard of many accounts at the same time."""
    async with AsyncExitStack() as stack:
        clients: list[FathomClient] = []
        for number in range(ACCOUNTS):
            server = await stack.enter_async_context(FathomServer(data=data, speed=SPEED))
            client = FathomClient(f"any{number}", base_url=server.url, budget=url, clock=LoopClock(SPEED))
            clients.append(await stack.enter_async_context(client))
            await client.reports.gather(queries[:1])  # loads the script and opens connections
        before = await _worked(admin)
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(client.reports.gather(queries, store=url if has_store else None))
        return (await _worked(admin)).since(before)


async def _memory(admin: _Admin) -> tuple[float, float]:
    """Return the bytes of the budget of one account and of one stored answer."""
    budget = answers = number = 0
    async for name in admin.scan_iter("fathom:*"):
        size = await admin.memory_usage(name)
        if b":answer:" in name:
            answers, number = answers + size, number + 1
        elif b":claim:" not in name:
            budget += size
    return budget / ACCOUNTS, answers / number


async def _many_clients(url: str, admin: _Admin, data: Dataset) -> dict[str, float]:
    """Open many clients, each for another account, and send one request with each."""
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
    """Return the resident memory of this process in bytes, including shared memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


@asynccontextmanager
async def _redis() -> AsyncGenerator[tuple[str, _Admin]]:
    """A real Redis server's URL, and a connection that looks at it."""
    with tempfile.TemporaryDirectory() as directory, redis_server(Path(directory)) as server:
        async with Redis.from_url(server.url) as admin:  # pyright: ignore[reportUnknownMemberType]
            yield server.url, cast("_Admin", admin)
