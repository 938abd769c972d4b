"""What the tests of stores share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis

from fathom_async.store.open import open_store
from fathom_async.store.protocol import ReportStore
from tests.ratelimit.processes import RedisServer


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis server for all tests that leave it running."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
def empty_redis(redis_server: RedisServer) -> str:
    """The URL of a Redis server that holds nothing."""
    with redis.Redis.from_url(redis_server.url) as connection:  # pyright: ignore[reportUnknownMemberType]
        connection.flushdb()  # pyright: ignore[reportUnknownMemberType]
    return redis_server.url


def place_of(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if kind == "redis":
        return str(request.getfixturevalue("empty_redis"))
    return "memory://" if kind == "memory" else str(tmp_path / "reports.db")


@pytest.fixture(params=["sqlite", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where processes share a store, of each kind."""
    return place_of(request.param, request, tmp_path)


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ReportStore]:
    """An empty store of each kind."""
    async with open_store(place_of(request.param, request, tmp_path)) as opened:
        yield opened
