from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fathom_async.testing import FathomServer

Ask = Callable[..., Awaitable[tuple[int, Any]]]
EVENTS = "/sites/CDBUGS/events"


async def test_an_event_tells_its_currency_only_when_it_is_set(ask: Ask) -> None:
    async with FathomServer() as server:
        status, created = await ask(server, "POST", EVENTS, {"name": "upgrade"})
        assert (status, created["currency"], len(created["id"])) == (200, "dollar", 8)
        path = f"{EVENTS}/{created['id']}"
        assert (await ask(server, "GET", path))[1] == {**created, "currency": None}
        updated = await ask(server, "POST", path, {"currency": "euro"})
        assert updated == (200, {**created, "currency": "euro"})
        assert {event["currency"] for event in (await ask(server, "GET", EVENTS))[1]["data"]} == {None}
        assert await ask(server, "DELETE", path) == (
            200,
            {"id": created["id"], "object": "event", "deleted": True},
        )
        assert await ask(server, "GET", path) == (404, {"error": "Event not found"})


async def test_events_are_validated(ask: Ask) -> None:
    async with FathomServer() as server:
        status, body = await ask(server, "POST", EVENTS, {"currency": "shell"})
        assert (status, set(body["errors"])) == (400, {"name", "currency"})
        assert (await ask(server, "POST", "/sites/NOSUCH/events", {"name": "x"}))[0] == 404


@pytest.mark.parametrize("shape", ["classic", "names"])
async def test_events_can_be_handled_by_name(ask: Ask, shape: str) -> None:
    async with FathomServer(event_shape="names" if shape == "names" else "classic") as server:
        status, event = await ask(
            server, "POST", f"{EVENTS}/currency", {"name": "purchase", "currency": "yen"}
        )
        assert (status, event["name"], event["currency"]) == (200, "purchase", "yen")
        assert ("id" in event) is (shape == "classic")
        assert await ask(server, "DELETE", EVENTS, name="purchase") == (
            200,
            {"object": "event", "name": "purchase", "deleted": True},
        )
        assert (await ask(server, "DELETE", EVENTS, name="purchase"))[0] == 404
        status, body = await ask(server, "DELETE", EVENTS)
        assert (status, body["errors"]) == (400, {"name": ["The name field is required."]})


async def test_without_ids_the_name_is_the_cursor(ask: Ask) -> None:
    async with FathomServer(event_shape="names") as server:
        _, page = await ask(server, "GET", EVENTS, limit="1")
        assert (set(page["data"][0]), page["has_more"]) == (
            {"object", "name", "currency", "created_at"},
            True,
        )
        _, page = await ask(server, "GET", EVENTS, starting_after="purchase")
        assert [event["name"] for event in page["data"]] == ["Signed up to newsletter", "download"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", EVENTS),
        ("GET", f"{EVENTS}/ABCDEFGH"),
        ("POST", f"{EVENTS}/ABCDEFGH"),
        ("DELETE", f"{EVENTS}/ABCDEFGH"),
        ("DELETE", f"{EVENTS}/ABCDEFGH/data"),
        ("DELETE", "/sites/CDBUGS/data"),
    ],
)
async def test_retired_endpoints_are_gone(ask: Ask, method: str, path: str) -> None:
    async with FathomServer(event_shape="names") as server:
        status, body = await ask(server, method, path)
        assert (status, body["error"].split(".")[0]) == (410, "This endpoint has been retired")
