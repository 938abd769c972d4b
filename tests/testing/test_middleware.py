import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Literal

import aiohttp
import pytest

from fathom_async import RatePlan
from fathom_async.testing import FathomServer, LaravelWindow, SlidingLog

pytestmark = pytest.mark.virtual_time

Ask = Callable[..., Awaitable[tuple[int, Any]]]
VISITORS = "/current_visitors?site_id=CDBUGS"


async def test_a_success_tells_limit_and_remaining_only(http: aiohttp.ClientSession) -> None:
    async with FathomServer() as server, http.get(f"{server.url}/account") as answer:
        assert answer.status == 200
        assert {
            name: value
            for name, value in answer.headers.items()
            if name.startswith("X-") or name == "Retry-After"
        } == {
            "X-RateLimit-Limit": "2000",
            "X-RateLimit-Remaining": "1999",
        }


async def test_a_refusal_tells_when_to_come_back(http: aiohttp.ClientSession) -> None:
    async with FathomServer(
        crud_throttle=LaravelWindow(1, per=60), clock=lambda: 0.0, now=datetime(2026, 1, 1, tzinfo=UTC)
    ) as server:
        await http.get(f"{server.url}/account")
        async with http.get(f"{server.url}/account") as answer:
            assert answer.status == 429
            assert answer.headers["Retry-After"] == "60"
            assert answer.headers["X-RateLimit-Remaining"] == "0"
            assert answer.headers["X-RateLimit-Reset"] == str(
                int(datetime(2026, 1, 1, 0, 1, tzinfo=UTC).timestamp())
            )
            assert await answer.json() == {"message": "Too Many Attempts."}
        assert server.refused == 1
        assert [hit.counted for hit in server.hits] == [True, False]


async def test_the_two_lanes_have_a_budget_each(http: aiohttp.ClientSession) -> None:
    async with FathomServer(reports_throttle=SlidingLog(1, per=60)) as server:
        statuses = [(await http.get(server.url + path)).status for path in (VISITORS, VISITORS, "/sites")]
        assert statuses == [200, 429, 200]
        assert [hit.lane for hit in server.hits] == ["reports", "reports", "crud"]
        assert server.max_in_window("reports") == 1


async def test_one_throttle_may_serve_both_lanes(http: aiohttp.ClientSession) -> None:
    throttle = SlidingLog(2, per=60)
    async with FathomServer(crud_throttle=throttle, reports_throttle=throttle) as server:
        assert [(await http.get(server.url + path)).status for path in (VISITORS, "/sites", "/sites")] == [
            200,
            200,
            429,
        ]
        assert server.max_in_window("crud") == server.max_in_window("reports") == 2


async def test_errors_of_endpoints_spend_budget_but_a_401_does_not(ask: Ask) -> None:
    async with FathomServer(tokens={"good": ["*"]}) as server:
        answers = [
            await ask(server, "GET", "/sites/NOSUCH", token="good"),
            await ask(server, "GET", "/sites", limit="0", token="good"),
            await ask(server, "DELETE", "/sites/CDBUGS/data", token="good"),
            await ask(server, "GET", "/sites", token="bad"),
            await ask(server, "GET", "/nowhere", token="good"),
        ]
        assert [status for status, _ in answers] == [404, 400, 410, 401, 404]
        assert answers[3][1] == {"message": "Unauthenticated."}
        assert [hit.counted for hit in server.hits] == [True, True, True, False, False]


async def test_the_clock_runs_as_fast_as_told(http: aiohttp.ClientSession) -> None:
    async with FathomServer(reports_throttle=LaravelWindow(1, per=60), speed=600) as server:
        first = await http.get(server.url + VISITORS)
        await asyncio.sleep(0.15)
        second = await http.get(server.url + VISITORS)
        assert (first.status, second.status) == (200, 200)
        assert server.hits[1].at - server.hits[0].at == pytest.approx(90)


async def test_latency_is_spent_before_and_after_and_handler_time_between(
    http: aiohttp.ClientSession,
) -> None:
    drawn = list[str]()

    def network() -> float:
        drawn.append("network")
        return 0.0

    def handler() -> float:
        drawn.append("handler")
        return 0.0

    async with FathomServer(latency=network, handler_time=handler) as server:
        await http.get(f"{server.url}/sites")
    assert drawn == ["network", "handler", "network"]


async def test_remaining_is_read_after_the_handler(http: aiohttp.ClientSession) -> None:
    async with FathomServer(crud_throttle=LaravelWindow(10, per=60), handler_time=0.05) as server:
        answers = await asyncio.gather(*(http.get(f"{server.url}/sites") for _ in range(4)))
        assert {answer.headers["X-RateLimit-Remaining"] for answer in answers} == {"6"}


async def test_more_requests_at_once_than_the_cap_are_refused_with_budget_left(
    http: aiohttp.ClientSession,
) -> None:
    async with FathomServer(concurrency=2, handler_time=0.1) as server:
        answers = await asyncio.gather(*(http.get(f"{server.url}/sites") for _ in range(3)))
        assert sorted(answer.status for answer in answers) == [200, 200, 429]
        refused = next(answer for answer in answers if answer.status == 429)
        assert int(refused.headers["X-RateLimit-Remaining"]) > 0
        assert (await http.get(f"{server.url}/sites")).status == 200


@pytest.mark.parametrize(("login", "status"), [("page", 200), ("redirect", 302)])
async def test_a_bad_token_that_does_not_ask_for_json_meets_the_login_page(
    login: Literal["page", "redirect"], status: int
) -> None:
    async with (
        FathomServer(login=login) as server,
        aiohttp.ClientSession() as stranger,
        stranger.get(f"{server.url}/sites", allow_redirects=False) as answer,
    ):
        assert answer.status == status
        assert answer.content_type != "application/json"


async def test_stats_can_be_forgotten(http: aiohttp.ClientSession) -> None:
    async with FathomServer(crud_throttle=None) as server:
        await http.get(f"{server.url}/sites", params={"limit": "3"})
        assert (server.hits[0].method, server.hits[0].path, server.hits[0].query) == (
            "GET",
            "/v1/sites",
            {"limit": "3"},
        )
        server.reset_stats()
        assert server.hits == ()
        with pytest.raises(ValueError, match="no limit"):
            server.max_in_window("crud")


async def test_an_hourly_plan_has_one_limit_for_everything_and_a_cap(http: aiohttp.ClientSession) -> None:
    async with FathomServer(plan="hourly:600:2", handler_time=1.0) as server:
        urls = [server.url + path for path in (VISITORS, "/sites", "/sites")]
        answers = await asyncio.gather(*map(http.get, urls))
    assert sorted(answer.status for answer in answers) == [200, 200, 429]
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"600"}
    refused = next(answer for answer in answers if answer.status == 429)
    assert (refused.headers["X-RateLimit-Remaining"], refused.headers["Retry-After"]) == ("598", "1")


@pytest.mark.parametrize(
    ("limit_headers", "told"), [("all", {200, 429}), ("allowed", {200}), ("none", set[int]())]
)
async def test_which_answers_tell_the_limits_is_a_setting(
    http: aiohttp.ClientSession, limit_headers: Literal["all", "allowed", "none"], told: set[int]
) -> None:
    async with FathomServer(
        plan=RatePlan.hourly(2, concurrency=1), handler_time=1.0, limit_headers=limit_headers
    ) as server:
        answers = list(await asyncio.gather(*[http.get(f"{server.url}/sites") for _ in range(2)]))
        answers += [await http.get(f"{server.url}/sites") for _ in range(2)]
    assert sorted(answer.status for answer in answers) == [200, 200, 429, 429]
    assert all("Retry-After" in answer.headers for answer in answers if answer.status == 429)
    assert {answer.status for answer in answers if "X-RateLimit-Limit" in answer.headers} == told
    assert {answer.status for answer in answers if "X-RateLimit-Remaining" in answer.headers} == told
