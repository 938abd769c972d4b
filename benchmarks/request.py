"""Measure the overhead of the client on a request: `sites.get` against aiohttp alone."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from importlib import import_module

import aiohttp

from benchmarks.harness import Benchmark, Comparison, Contender, compare
from benchmarks.load import fan_out
from benchmarks.machine import installed
from benchmarks.server import LIMIT, PER, SITE, serving
from fathom_async import FathomClient, RateLimit, RatePlan

Call = Callable[[], Awaitable[object]]
Client = Callable[[str], AbstractAsyncContextManager[Call]]
"""Opens a client of the API at a base URL; yields a function that fetches one object."""

TARGET = 0.9
REQUESTS = 500
AT_ONCE = (1, 50)


@asynccontextmanager
async def _aiohttp(base_url: str) -> AsyncGenerator[Call, None]:
    url = f"{base_url}/sites/{SITE}"
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer aiohttp"}) as session:

        async def call() -> object:
            async with session.get(url) as response:
                return await response.json()

        yield call


@asynccontextmanager
async def _fathom_async(base_url: str) -> AsyncGenerator[Call, None]:
    plan = RatePlan(crud=RateLimit(LIMIT, per=PER))
    async with FathomClient("fathom_async", base_url=base_url, plan=plan) as fathom:
        yield partial(fathom.sites.get, SITE)


@asynccontextmanager
async def _httpx(base_url: str, *, package: str = "httpx") -> AsyncGenerator[Call, None]:
    httpx = import_module(package)
    url = f"{base_url}/sites/{SITE}"
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {package}"}) as client:

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
_PEERS: dict[str, Client] = {
    "gidgethub": _gidgethub,
    "httpx2": partial(_httpx, package="httpx2"),
    "httpx": _httpx,
}


async def _run(rounds: int) -> Sequence[Comparison]:
    peers = {name: peer for name, peer in _PEERS.items() if installed(name)}
    for name in sorted(_PEERS.keys() - peers):
        print(f"skipping {name}, which is not installed")
    async with AsyncExitStack() as stack:
        base_url = await stack.enter_async_context(serving())
        calls = {
            name: await stack.enter_async_context(open_client(base_url))
            for name, open_client in (_CONTENDERS | peers).items()
        }
        return [await _compare(calls, at_once, rounds) for at_once in AT_ONCE]


async def _compare(calls: dict[str, Call], at_once: int, rounds: int) -> Comparison:
    return await compare(
        f"{at_once} at once",
        [Contender(name, partial(fan_out, call, REQUESTS, at_once)) for name, call in calls.items()],
        unit="request",
        units=REQUESTS,
        rounds=rounds,
        target=TARGET,
    )


BENCHMARK = Benchmark(
    name="request",
    measures=(
        "FathomClient fetches a small object (admission, sending, decoding into a Site, with a plan that never "
        "makes it wait), and so do aiohttp's session.get and response.json(). The server runs in another process. "
        "CPU is that of the client's process; wall time includes the server, which is the same for all."
    ),
    run=_run,
    packages=("aiohttp", "yarl", "multidict", "attrs", "cattrs", "msgspec", "aiolimiter", *_PEERS),
)
