"""What all tests share."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import HealthCheck, settings

from fathom_async import FathomClient, RetryPolicy
from fathom_async.testing import FathomServer
from tests.support.redis_server import RedisServer, redis_server

settings.register_profile(  # the machine may be busy
    "default", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("default")

EAGER = RetryPolicy(base=0.001, cap=0.01)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays: all the modules and tests of the suite."""
    gc.collect()
    gc.freeze()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens on the other side of a socket; in vain only until pytest's timeout."""
    pause = 0.001
    while not condition():
        await asyncio.sleep(pause)
        pause = min(2 * pause, 0.1)


@pytest.fixture
async def server() -> AsyncIterator[FathomServer]:
    """An embedded server with the documented limits."""
    async with FathomServer() as running:
        yield running


@pytest.fixture
async def fathom(server: FathomServer) -> AsyncIterator[FathomClient]:
    """A client of `server` that hardly waits before it tries again."""
    async with FathomClient("any", base_url=server.url, retry=EAGER) as client:
        yield client


@pytest.fixture(scope="session")
def lasting_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis server for all tests that leave it running."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def mortal_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A real Redis server of the test's own."""
    with redis_server(tmp_path) as server:
        yield server


@pytest.fixture
def empty_redis(lasting_redis: RedisServer) -> str:
    """The URL of a Redis server that holds nothing."""
    with redis.Redis.from_url(lasting_redis.url) as connection:  # pyright: ignore[reportUnknownMemberType]
        connection.flushdb()  # pyright: ignore[reportUnknownMemberType]
    return lasting_redis.url
