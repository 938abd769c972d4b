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
from benchmarks.rows import QUERY, answer
from fathom_async import FathomClient
from fathom_async._bulk.fusing import fuse
from fathom_async._cache.entry import CacheEntry
from fathom_async._cache.open import open_store
from fathom_async._reports.query import AnyQuery
from fathom_async._util.clock import LoopClock
from fathom_async.testing import Dataset, FathomServer
from tests.support.redis_server import redis_server

SPEED = 20.0
CLIENTS = 200
ACCOUNTS = 40
ROWS = 1_000
_STORE = ("eval", "hmget", "set", "exists")
"""Commands of the store of answers; the script of the budget calls one of them too."""


class _Admin(Protocol):
    """The part of redis-py used here, whose own annotations are partly unknown."""

    def info(self, section: str) -> Awaitable[Mapping[str, Any]]: ...

    def scan_iter(self, match: str) -> AsyncIterator[bytes]: ...

    def flushall(self) -> Awaitable[object]: ...

    def memory_usage(self, key: bytes) -> Awaitable[int]: ...

    def client_list(self) -> Awaitable[Sequence[Mapping[str, str]]]: ...


@frozen
class Costs:
    """The measured costs.

    Attributes:
        queries: Mean number of queries that one request answers.
        steps: Steps of the budget for one request.
        step: CPU seconds of the Redis server for one step of the budget, including network I/O.
        script: CPU seconds of the script in one step.
        commands: Commands of the store of answers for one request.
        store: CPU seconds of the Redis server for the store's commands for one request, with time zones kept.
        load: Utilization of the Redis server during the measurement: under higher load it needs less time for each
            command, as it answers many at once.
        budget_bytes: Memory of Redis for the budget of one account.
        answer_bytes: Memory of Redis for one stored answer, with its part of the index.
        large_bytes: The same for an answer of 1,000 rows.
        one_connections: Connections of a worker with one account.
        connections: The same with 40 accounts at the same time.
        connection_bytes: Memory of Redis for one connection.
        client_bytes: Memory of a worker for one open client, with its connections.
        worker_bytes: Memory of a worker without clients.
    """

    queries: float
    steps: float
    step: float
    script: float
    commands: float
    store: float
    load: float
    budget_bytes: float
    answer_bytes: float
    large_bytes: float
    one_connections: float
    connections: float
    connection_bytes: float
    client_bytes: float
    worker_bytes: float


async def measure() -> Costs:
    """Let clients of many accounts ask a dashboard by way of a real Redis, and more clients one question each."""
    data = Dataset.synthetic(until=TODAY)
    queries: Sequence[AnyQuery] = list(dashboard(data))
    requests = len(fuse(queries)) * ACCOUNTS
    async with _redis() as (url, admin):
        many = await _many_clients(url, admin, data)
    async with _redis() as (url, admin):
        _, one_connections = await _dashboards(url, admin, data, queries, has_store=True, accounts=1)
        await admin.flushall()
        plain, _ = await _dashboards(url, admin, data, queries, has_store=False)
        kept, connections = await _dashboards(url, admin, data, queries, has_store=True)
        budget, answers = await _memory(admin)
        large = await _large(url, admin)
    step = plain.seconds / plain.steps
    return Costs(
        queries=len(queries) * ACCOUNTS / requests,
        steps=plain.steps / requests,
        step=step,
        script=plain.in_script / plain.steps,
        commands=(kept.commands - plain.commands * kept.steps / plain.steps) / requests,
        store=(kept.seconds - kept.steps * step) / requests,
        load=kept.seconds / kept.elapsed,
        budget_bytes=budget,
        answer_bytes=answers,
        large_bytes=large,
        one_connections=one_connections,
        connections=connections,
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
    url: str,
    admin: _Admin,
    data: Dataset,
    queries: Sequence[AnyQuery],
    *,
    has_store: bool,
    accounts: int = ACCOUNTS,
) -> tuple[_Work, int]:
    """Run the dashboard of many accounts at the same time, once their time zones are kept.

    Returns:
        What Redis did for it, and the connections that were open.
    """
    store = url if has_store else None
    async with AsyncExitStack() as stack:
        clients: list[FathomClient] = []
        for number in range(accounts):
            server = await stack.enter_async_context(FathomServer(data=data, speed=SPEED))
            client = FathomClient(f"any{number}", base_url=server.url, budget=url, clock=LoopClock(SPEED))
            clients.append(await stack.enter_async_context(client))
            await client.reports.gather(queries[:1], store=store)  # loads the script and opens connections
            if has_store:
                await client.reports.time_zones([queries[0].site_id], store=store)
        before = await _worked(admin)
        async with asyncio.TaskGroup() as group:
            for client in clients:
                group.create_task(client.reports.gather(queries, store=store))
        return (await _worked(admin)).since(before), (await _connected(admin))[0]


async def _memory(admin: _Admin) -> tuple[float, float]:
    """Return the bytes of the budget of one account and of one stored answer."""
    budget = answers = number = 0
    async for name in admin.scan_iter("fathom:*"):
        size = await admin.memory_usage(name)
        if b":answer:" in name:
            answers, number = answers + size, number + 1
        elif b":about:" in name:
            answers += size
        elif name.startswith(b"fathom:{"):
            budget += size
    return budget / ACCOUNTS, answers / number


async def _large(url: str, admin: _Admin) -> float:
    """Return the bytes of a stored answer of many rows."""
    kept = CacheEntry.of(QUERY.read(answer(ROWS)), time.time(), subject="large")
    async with open_store(url) as store:
        await store.put_many({"large": kept})
    return await admin.memory_usage(b"fathom:1:answer:{large}")


async def _many_clients(url: str, admin: _Admin, data: Dataset) -> dict[str, float]:
    """Open many clients, each for another account, and send one request with each."""
    query = next(dashboard(data))
    async with FathomServer(data=data, reports_throttle=None) as server:
        async with FathomClient("first", base_url=server.url, budget=url) as first:
            await first.reports.aggregate(query)  # modules and buffers are there
        worker = _resident()
        clients = [
            FathomClient("any", base_url=server.url, budget=url, budget_key=f"account {n}")
            for n in range(CLIENTS)
        ]
        try:
            for client in clients:
                await client.reports.aggregate(query)
            (others, taken), grown = await _connected(admin), _resident()
        finally:
            for client in clients:
                await client.aclose()
    return {
        "connection_bytes": taken / (others + 1),
        "client_bytes": (grown - worker) / CLIENTS,
        "worker_bytes": float(worker),
    }


async def _connected(admin: _Admin) -> tuple[int, int]:
    """Return the number of connections, but for this one, and the memory that all take."""
    clients = await admin.client_list()
    return len(clients) - 1, sum(int(client["tot-mem"]) for client in clients)


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
