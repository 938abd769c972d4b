import asyncio

import aiohttp
import pytest

from fathom_async.testing import Body, Delay, Disconnect, FathomServer, Html, Redirect, Status, Truncate

pytestmark = pytest.mark.virtual_time


async def test_faults_strike_matching_requests_once_and_in_order(http: aiohttp.ClientSession) -> None:
    async with FathomServer() as server:
        server.inject(Status(503), Status(500, {"message": "Server Error"}), path="/sites")
        server.inject(Status(429, headers={"Retry-After": "7"}), method="get", path="/v1/account")
        statuses = [
            (await http.get(server.url + path)).status for path in ("/token", "/sites", "/sites", "/sites")
        ]
        assert statuses == [200, 503, 500, 200]
        assert server.pending_faults == 1
        refused = await http.get(f"{server.url}/account")
        assert (refused.status, refused.headers["Retry-After"]) == (429, "7")
        assert [hit.counted for hit in server.hits] == [True, True, True, True, False]


@pytest.mark.parametrize("after_processing", [False, True])
async def test_a_dropped_connection_may_have_been_carried_out(
    http: aiohttp.ClientSession, after_processing: bool
) -> None:
    async with FathomServer() as server:
        server.inject(Disconnect(after_processing=after_processing))
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await http.post(f"{server.url}/sites", json={"name": "Acme"})
        assert (server.hits[0].status, server.hits[0].counted) == (None, after_processing)
        async with http.get(f"{server.url}/sites") as answer:
            names = [site["name"] for site in (await answer.json())["data"]]
        assert ("Acme" in names) is after_processing


async def test_a_truncated_body_ends_too_early(http: aiohttp.ClientSession) -> None:
    async with FathomServer() as server:
        server.inject(Truncate())
        async with http.get(f"{server.url}/sites") as answer:
            assert answer.status == 200
            with pytest.raises(aiohttp.ClientPayloadError):
                await answer.read()


async def test_a_delay_is_in_server_seconds(http: aiohttp.ClientSession) -> None:
    async with FathomServer(speed=10) as server:
        server.inject(Delay(1))
        begin = asyncio.get_running_loop().time()
        assert (await http.get(f"{server.url}/sites")).status == 200
        assert asyncio.get_running_loop().time() - begin == pytest.approx(0.1)


async def test_answers_of_other_kinds(http: aiohttp.ClientSession) -> None:
    async with FathomServer() as server:
        server.inject(Html(), Redirect("https://example.com/"), Body(b"[]"), Body(b"\xff", "text/plain"))
        page, moved, empty, odd = [
            await http.get(f"{server.url}/sites", allow_redirects=False) for _ in range(4)
        ]
        assert (page.status, page.content_type) == (200, "text/html")
        assert (moved.status, moved.headers["Location"]) == (302, "https://example.com/")
        assert await empty.json() == []
        assert (odd.content_type, await odd.read()) == ("text/plain", b"\xff")
