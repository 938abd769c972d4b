"""The same race over sockets: an embedded server, real clients and time at 30 times its speed."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aiohttp
from aiolimiter import AsyncLimiter

from benchmarks.admission_contenders import OURS
from benchmarks.admission_world import LIMIT, OK, PER, REFUSED
from benchmarks.results import Table
from fathom_async import FathomClient, Filter, PageviewQuery
from fathom_async._util.clock import LoopClock
from fathom_async.testing import FathomServer, LaravelWindow

SPEED = 30.0
REQUESTS = 50
_POLITE = 1.0

Call = Callable[[int], Awaitable[bool]]
"""Requests the report of a number, unlike all others; returns whether it arrived."""


@asynccontextmanager
async def _fathom_async(server: FathomServer) -> AsyncGenerator[Call, None]:
    site = next(iter(server.data.sites)).id
    async with FathomClient("any", base_url=server.url, clock=LoopClock(SPEED)) as fathom:

        async def call(number: int) -> bool:
            page = Filter("pathname", "is", f"/{number}")
            await fathom.reports.aggregate(PageviewQuery(site, aggregates=["pageviews"], filters=[page]))
            return True

        yield call


@asynccontextmanager
async def _aiohttp(
    server: FathomServer, *, is_limited: bool, again: bool, extra: float
) -> AsyncGenerator[Call, None]:
    site = next(iter(server.data.sites)).id
    url = f"{server.url}/aggregations?entity=pageview&entity_id={site}&aggregates=pageviews"
    limiter = AsyncLimiter(LIMIT, PER / SPEED) if is_limited else None
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer any"}) as session:

        async def call(number: int) -> bool:
            page = json.dumps([{"property": "pathname", "operator": "is", "value": f"/{number}"}])
            while True:
                if limiter is not None:
                    await limiter.acquire()
                async with session.get(url, params={"filters": page}) as response:
                    await response.read()
                if response.status != REFUSED or not again:
                    return response.status == OK
                await asyncio.sleep((float(response.headers["Retry-After"]) + extra) / SPEED)

        yield call


_CLIENTS: Mapping[str, Callable[[FathomServer], AbstractAsyncContextManager[Call]]] = {
    OURS: _fathom_async,
    "gather, exact Retry-After": lambda server: _aiohttp(server, is_limited=False, again=True, extra=0.0),
    "AsyncLimiter(10, 60)": lambda server: _aiohttp(server, is_limited=True, again=False, extra=0.0),
    "AsyncLimiter(10, 60), retry": lambda server: _aiohttp(
        server, is_limited=True, again=True, extra=_POLITE
    ),
}


async def race(client: str, requests: int = REQUESTS, per: float = PER) -> tuple[int, int, float]:
    """Return the numbers of refused and lost requests, and the makespan over the optimum."""
    throttle = LaravelWindow(LIMIT, per=per)
    async with FathomServer(speed=SPEED, reports_throttle=throttle, latency=(0.0, 0.05)) as server:
        optimum = throttle.optimum(requests, server.clock.time())
        async with _CLIENTS[client](server) as call:
            start = server.clock.time()
            came = await asyncio.gather(*(call(number) for number in range(requests)))
            took = server.clock.time() - start
        return server.refused, came.count(False), took / optimum if optimum else 1.0


async def tabulate() -> Table:
    """Run one client after the other."""
    rows: list[tuple[str, ...]] = []
    for client in _CLIENTS:
        refused, lost, ratio = await race(client)
        rows.append((client, str(refused), str(lost), f"{ratio:.3f}"))
    title = f"over sockets: {REQUESTS} at once, Laravel's exact store, time at {SPEED:g} times its speed"
    return Table(title, ("client", "refused", "lost", "makespan"), rows)
