from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Self

import aiohttp
import pytest_asyncio
from aiohttp.connector import Connection

from fathom_async.testing import FathomServer

Ask = Callable[..., Awaitable[tuple[int, Any]]]


class ReadResponse(aiohttp.ClientResponse):
    """A response that was read before a test sees it, so that its connection does not outlive the test."""

    async def start(self, connection: Connection) -> Self:
        await super().start(connection)
        with suppress(aiohttp.ClientError):
            await self.read()
        return self


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    headers = {"Authorization": "Bearer any", "Accept": "application/json"}
    async with aiohttp.ClientSession(headers=headers, response_class=ReadResponse) as session:
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
