"""What the tests of a shared budget share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ratelimit.processes import RedisServer


@pytest.fixture(scope="session")
def lasting_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real Redis server for all tests that leave it running."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
def mortal_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A real Redis server of the test's own."""
    server = RedisServer(tmp_path)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(params=["file", "redis"])
def budget(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a budget of each kind."""
    if request.param == "file":
        return f"file://{tmp_path}/budget"
    server: RedisServer = request.getfixturevalue("lasting_redis")
    return server.url
