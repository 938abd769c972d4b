"""Fixtures for tests of shared budgets."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.redis_server import RedisServer


@pytest.fixture(params=["file", "redis"])
def budget(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a budget of each kind."""
    if request.param == "file":
        return f"file://{tmp_path}/budget"
    server: RedisServer = request.getfixturevalue("lasting_redis")
    return server.url
