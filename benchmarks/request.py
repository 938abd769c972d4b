"""Measure the overhead of the client on a request: `sites.get` against aiohttp alone."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from importlib import import_module
from typing import Any

import aiohttp
from attrs import frozen
from cattrs import Converter

from benchmarks.harness import Benchmark, Comparison, Contender, compare
from benchmarks.load import fan_out
from benchmarks.machine import installed
from benchmarks.server import LIMIT, PER, SITE, serving
from fathom_async import FathomClient, RateLimit, RatePlan

Call = Callable[[], Awaitable[object]]
Client = Callable[[str], AbstractAsyncContextManager[Call]]
"""Opens a client of the API at a base URL; yields a function that fetches one object."""

REQUESTS = {1: 500, 50: 500, 1_000: 2_000}
"""Requests of a turn, by the number of those at once."""

TARGETS = {1: 0.84, 50: 0.78}


@asynccontextmanager
async def _aiohttp(base_url: str) -> AsyncGenerator[Call, None]:
    url = f"{base_url}/sites/{SITE}"
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer aiohttp"}) as session:

        async def call() -> object:
            async with session.get(url) as response:
                return await response.json()

        yield call


@frozen
class _Site:
    id: str
    name: str
    sharing: str
    created_at: datetime
    timezone: str


@asynccontextmanager
async def _by_hand(base_url: str) -> AsyncGenerator[Call, None]:
    """The least that somebody writes who wants typed objects: aiohttp, orjson and cattrs."""
    loads, url = import_module("orjson").loads, f"{base_url}/sites/{SITE}"
    converter = Converter(detailed_validation=False)
    converter.register_structure_hook(datetime, lambda text, _: datetime.fromisoformat(text))
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer by-hand"}) as session:

        async def call() -> object:
            async with session.get(url) as response:
                return converter.structure(loads(await response.read()), _Site)

        yield call


@asynccontextmanager
async def _stripe(base_url: str) -> AsyncGenerator[Call, None]:
    stripe: Any = import_module("stripe")
    stripe.enable_telemetry = False
    transport = stripe.AIOHTTPClient()
    origin, path = base_url.removesuffix("/v1"), f"/v1/sites/{SITE}"
    client = stripe.StripeClient("stripe", base_addresses={"api": origin}, http_client=transport)

    async def call() -> object:
        return client.deserialize(await client.raw_request_async("get", path), api_mode="V1")

    try:
        yield call
    finally:
        await transport.close_async()


@asynccontextmanager
async def _fathom_async(base_url: str) -> AsyncGenerator[Call, None]:
    plan = RatePlan(crud=RateLimit(LIMIT, per=PER))
    async with FathomClient("fathom_async", base_url=base_url, plan=plan) as fathom:
        yield partial(fathom.sites.get, SITE)


@asynccontextmanager
async def _httpx2(base_url: str) -> AsyncGenerator[Call, None]:
    httpx2, url = import_module("httpx2"), f"{base_url}/sites/{SITE}"
    # Without a timeout, for a thousand requests wait longer for a connection than it allows on a busy machine.
    async with httpx2.AsyncClient(headers={"Authorization": "Bearer httpx2"}, timeout=None) as client:

        async def call() -> object:
            return (await client.get(url)).json()

        yield call


@asynccontextmanager
async def _gidgethub(base_url: str) -> AsyncGenerator[Call, None]:
    gidgethub = import_module("gidgethub.aiohttp")
    url = f"{base_url}/sites/{SITE}"
    async with aiohttp.ClientSession() as session:
        client = gidgethub.GitHubAPI(session, "benchmarks", oauth_token="gidgethub")
        yield partial(client.getitem, url)


_CONTENDERS: dict[str, Client] = {"aiohttp": _aiohttp, "fathom_async": _fathom_async}
_PEERS: dict[str, tuple[str, Client]] = {
    "aiohttp, orjson, cattrs": ("orjson", _by_hand),
    "gidgethub": ("gidgethub", _gidgethub),
    "stripe on aiohttp": ("stripe", _stripe),
    "httpx2": ("httpx2", _httpx2),
}


async def _run(rounds: int) -> Sequence[Comparison]:
    peers = {name: peer for name, (package, peer) in _PEERS.items() if installed(package)}
    async with AsyncExitStack() as stack:
        base_url = await stack.enter_async_context(serving())
        calls = {
            name: await stack.enter_async_context(open_client(base_url))
            for name, open_client in (_CONTENDERS | peers).items()
        }
        return [await _compare(calls, at_once, rounds) for at_once in REQUESTS]


async def _compare(calls: dict[str, Call], at_once: int, rounds: int) -> Comparison:
    requests = REQUESTS[at_once]
    return await compare(
        f"{at_once:,} at once",
        [Contender(name, partial(fan_out, call, requests, at_once)) for name, call in calls.items()],
        unit="request",
        units=requests,
        rounds=rounds,
        target=TARGETS.get(at_once),
    )


BENCHMARK = Benchmark(
    name="request",
    measures=(
        "FathomClient fetches a small object (admission, sending, decoding into a Site, with a plan that never "
        "makes it wait), and so do aiohttp's session.get and response.json(), and others. Each has at most 100 "
        "connections. The server runs in another process. CPU is that of the client's process; wall time includes "
        "the server, which is the same for all."
    ),
    run=_run,
    packages=(
        "aiohttp",
        "yarl",
        "multidict",
        "attrs",
        "cattrs",
        "msgspec",
        "aiolimiter",
        *(package for package, _ in _PEERS.values()),
    ),
)
