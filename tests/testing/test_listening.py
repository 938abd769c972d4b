"""No connection outlives its server: an open one would be collected, with a warning, in some later test."""

import asyncio
import socket
from urllib.parse import urlsplit

import aiohttp
import pytest

from fathom_async.testing import Body, Delay, FathomServer
from tests.conftest import until

pytestmark = pytest.mark.virtual_time

REQUEST = (
    b"GET /v1/sites HTTP/1.1\r\nHost: [::]\r\nAuthorization: Bearer any\r\nAccept: application/json\r\n\r\n"
)
LARGE = 1 << 25
"""Bytes that no socket's buffers hold."""


def connected(server: FathomServer) -> socket.socket:
    """Connect without a turn of the event loop."""
    url = urlsplit(server.url)
    client = socket.create_connection((url.hostname, url.port))
    client.setblocking(False)
    return client


async def read(client: socket.socket) -> int:
    """Return the number of bytes that the server sent until it closed the connection."""
    count = 0
    async with asyncio.timeout(5):
        try:
            while part := await asyncio.get_running_loop().sock_recv(client, 1 << 20):
                count += len(part)
        except ConnectionResetError:
            pass
    return count


async def test_a_client_that_reads_nothing_loses_its_connection() -> None:
    async with FathomServer() as server:
        server.inject(Body(b"x" * LARGE))
        client = connected(server)
        with client:
            await asyncio.get_running_loop().sock_sendall(client, REQUEST)
            await until(lambda: len(server.hits) == 1)
            await server.__aexit__(None, None, None)
            assert await read(client) < LARGE


@pytest.mark.parametrize("turns", range(6))
async def test_a_client_that_comes_while_the_server_stops_loses_its_connection(turns: int) -> None:
    async with FathomServer() as server:
        client = connected(server)
        for _ in range(turns):
            await asyncio.sleep(0)
    with client:
        assert await read(client) == 0


async def test_a_client_that_waits_for_its_answer_loses_its_connection() -> None:
    async with FathomServer() as server:
        server.inject(Delay(3600.0))
        client = connected(server)
        await asyncio.get_running_loop().sock_sendall(client, REQUEST)
        await until(lambda: server.pending_faults == 0)
    with client:
        assert await read(client) == 0


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("localhost", 200),
        ("localhost:8080", 200),
        ("app.localhost", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8080", 200),
        ("192.0.2.7", 200),
        ("fathom:8080", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("", 403),
        ("[", 403),
    ],
)
async def test_a_page_of_another_site_cannot_reach_it_by_a_name_of_its_own(header: str, status: int) -> None:
    headers = {"Host": header, "Authorization": "Bearer any"}
    async with FathomServer(hosts=["fathom"]) as server, aiohttp.ClientSession() as visitor:
        async with visitor.get(f"{server.url}/sites", headers=headers) as answer:
            assert answer.status == status
        assert len(server.hits) == (status == 200)
