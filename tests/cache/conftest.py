"""Fixtures for tests of stores."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fathom_async._cache.open import open_store
from fathom_async._cache.store import ReportStore


def place_of(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if kind == "redis":
        return str(request.getfixturevalue("empty_redis"))
    return "memory://" if kind == "memory" else str(tmp_path / "reports.db")


@pytest.fixture(params=["sqlite", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The location of a store that processes share, for each backend."""
    return place_of(request.param, request, tmp_path)


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ReportStore]:
    """An empty store, for each backend."""
    async with open_store(place_of(request.param, request, tmp_path)) as opened:
        yield opened
