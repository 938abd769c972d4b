"""Fixtures and helpers of all tests."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from itertools import count
from pathlib import Path

import pytest
import redis
from _pytest.nodeid import NodeId
from hypothesis import HealthCheck, settings

from fathom_async import FathomClient, RetryPolicy
from fathom_async.testing import FathomServer
from tests.support.redis_server import RedisServer, redis_server
from tests.support.soak import SOAK

settings.register_profile(  # the machine may be busy
    "default", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("default")

# Tests start hundreds of processes, each of which would compile the package anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

_numbers = count()

EAGER = RetryPolicy(base=0.001, cap=0.01)


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in the background so, and the programs under test would ignore it too.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the node id with its group that pytest-xdist has chosen for it.

    pytest-xdist 3.8 writes it where pytest 9.2 no longer reads it, so that groups have no effect:
    https://github.com/pytest-dev/pytest-xdist/issues/1386.
    """
    for item in items:
        if grouped := getattr(item, "_nodeid", None):
            item._id = NodeId.parse(grouped)  # pyright: ignore[reportPrivateUsage]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage while the suite is loaded, and exempt its modules and tests from then on."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition on the other side of a socket, until pytest's timeout at most."""
    pause = 0.001
    while not condition():
        await asyncio.sleep(pause)
        pause = min(2 * pause, 0.1)


@pytest.fixture(autouse=True)
def _garbage() -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    """In a long run, let what a test leaves open fail this test, and not one that happens to run later."""
    yield
    if SOAK:
        gc.collect()


@pytest.fixture(autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the test's own for what the package remembers of a user; it is not made yet."""
    folder = tmp_path_factory.getbasetemp() / f"state{next(_numbers)}"
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


@pytest.fixture
async def server() -> AsyncIterator[FathomServer]:
    """An embedded server with the documented limits."""
    async with FathomServer() as running:
        yield running


@pytest.fixture
async def fathom(server: FathomServer) -> AsyncIterator[FathomClient]:
    """A client of `server` that retries almost at once."""
    async with FathomClient("any", base_url=server.url, retry=EAGER) as client:
        yield client


@pytest.fixture(scope="session")
def lasting_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis server, shared by all tests that leave it running."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def mortal_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A real Redis server for one test."""
    with redis_server(tmp_path) as server:
        yield server


@pytest.fixture
def empty_redis(lasting_redis: RedisServer) -> str:
    """The URL of an empty Redis server."""
    with redis.Redis.from_url(lasting_redis.url) as connection:  # pyright: ignore[reportUnknownMemberType]
        connection.flushdb()  # pyright: ignore[reportUnknownMemberType]
    return lasting_redis.url
