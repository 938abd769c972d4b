from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import aiohttp
import pytest_asyncio

from fathom_async.testing import FathomServer

Ask = Callable[..., Awaitable[tuple[int, Any]]]


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": "Bearer any", "Accept": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as session:
        yield session


@pytest_asyncio.fixture
async def ask(http: aiohttp.ClientSession) -> Ask:
    """Send one request and answer its status and JSON."""

    async def send(
        server: FathomServer,
        method: str,
        path: str,
        json: Mapping[str, object] | None = None,
        token: str = "any",  # noqa: S107 - made up
        **params: str,
    ) -> tuple[int, object]:
        headers = {"Authorization": f"Bearer {token}"}
        async with http.request(
            method, server.url + path, params=params, json=json, headers=headers
        ) as answer:
            return answer.status, await answer.json()

    return send
