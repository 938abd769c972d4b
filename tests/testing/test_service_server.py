"""An embedded server of a service of one's own."""

import aiohttp
import pytest
from aiohttp import web

from fathom_async.testing import Disconnect, LaravelWindow, ServiceServer, Status

pytestmark = pytest.mark.virtual_time


async def hello(request: web.Request) -> web.Response:
    return web.json_response({"hello": request.query.get("name", "you")})


def polite(answer: web.StreamResponse) -> web.StreamResponse:
    if answer.status in (401, 429):
        return web.Response(status=403, text=f"please, not {answer.status}")
    return answer


async def test_a_service_has_its_own_endpoints_limits_and_words() -> None:
    server = ServiceServer(
        [web.get("/hello", hello)],
        {"all": LaravelWindow(2, per=60)},
        is_known=lambda headers: headers.get("X-Api-Key") == "key",
        reword=polite,
    )
    said: list[tuple[int, str]] = []
    async with server, aiohttp.ClientSession(headers={"X-Api-Key": "key"}) as known:
        async with aiohttp.request("GET", f"{server.url}/hello") as answer:
            said.append((answer.status, await answer.text()))
        for path in ("/hello?name=Ada", "/nothing", "/hello", "/hello"):
            async with known.get(f"{server.url}{path}") as answer:
                said.append((answer.status, (await answer.text())[:16]))
    assert said == [
        (403, "please, not 401"),
        (200, '{"hello": "Ada"}'),
        (404, '{"message": "The'),
        (200, '{"hello": "you"}'),
        (403, "please, not 429"),
    ]
    assert [hit.status for hit in server.hits] == [401, 200, 404, 200, 429]
    assert (server.refused, server.max_in_window("all")) == (1, 2)


async def test_each_lane_has_its_limit_and_faults_can_be_injected() -> None:
    server = ServiceServer(
        [web.get("/hello", hello), web.post("/hello", hello)],
        {"reads": None, "writes": LaravelWindow(1, per=60)},
        lane_of=lambda method, _: "reads" if method == "GET" else "writes",
        limit_headers="none",
    )
    async with server, aiohttp.ClientSession(server.url) as visitor:
        server.inject(Disconnect(), Status(503), path="/hello")
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await visitor.post("/hello")
        async with visitor.get("/hello") as answer:
            assert answer.status == 503
        statuses: list[int] = []
        for method in ("POST", "GET", "POST"):
            async with visitor.request(method, "/hello") as answer:
                assert "X-RateLimit-Limit" not in answer.headers
                statuses.append(answer.status)
    assert statuses == [200, 200, 429]
