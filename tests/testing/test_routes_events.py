from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from fathom_async.testing import Completion, Dataset, Event, FathomServer, Site

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


async def test_a_currency_may_be_set_before_an_event_is_tracked(ask: Ask) -> None:
    async with FathomServer(event_shape="names") as server:
        status, event = await ask(
            server, "POST", f"{EVENTS}/currency", {"name": "upgrade", "currency": "won"}
        )
        assert (status, event["name"], event["currency"]) == (200, "upgrade", "won")
        assert "upgrade" in await names(ask, server)
        status, body = await ask(server, "POST", f"{EVENTS}/currency", {"currency": "won"})
        assert (status, set(body["errors"])) == (400, {"name"})
        nowhere = "/sites/NOSUCH/events/currency"
        assert (await ask(server, "POST", nowhere, {"name": "upgrade", "currency": "won"}))[0] == 404


def sold(day: int, value: int, event: str = "purchase") -> Completion:
    at = datetime(2026, 1, day, 12, tzinfo=UTC)
    return Completion(site_id="CDBUGS", at=at, event=event, visitor=f"{event}-{day}", value=value)


def shop(*completions: Completion) -> Dataset:
    events = [Event(site_id="CDBUGS", id="PURCHASE", name="purchase", currency="euro")]
    return Dataset(sites=[Site(id="CDBUGS", name="Shop")], events=events, completions=completions)


async def names(ask: Ask, server: FathomServer) -> list[str]:
    return [event["name"] for event in (await ask(server, "GET", EVENTS))[1]["data"]]


async def sales(ask: Ask, server: FathomServer, event: str = "purchase") -> list[dict[str, str]]:
    about = {"entity": "event", "site_id": "CDBUGS", "entity_name": event, "aggregates": "conversions,value"}
    status, rows = await ask(server, "GET", "/aggregations", **about)
    assert status == 200
    return cast("list[dict[str, str]]", rows)


@pytest.mark.parametrize("shape", ["classic", "names"])
async def test_a_deleted_event_keeps_its_history_and_loses_its_currency(ask: Ask, shape: str) -> None:
    data = shop(sold(1, 1999), sold(2, 501))
    async with FathomServer(
        data=data,
        event_shape="names" if shape == "names" else "classic",
        now=datetime(2026, 2, 1, tzinfo=UTC),
    ) as server:
        before = await sales(ask, server)
        assert before == [{"conversions": "2", "value": "2500"}]
        assert (await ask(server, "DELETE", EVENTS, name="purchase"))[0] == 200
        assert await names(ask, server) == []
        assert await sales(ask, server) == before
        _, again = await ask(server, "POST", f"{EVENTS}/currency", {"name": "purchase", "currency": "yen"})
        assert again["currency"] == "yen"
        assert await names(ask, server) == ["purchase"]
        assert await sales(ask, server) == before


async def test_a_deleted_event_is_back_when_it_is_tracked_again(ask: Ask) -> None:
    passed, day = 0, 86_400
    data, begun = shop(sold(1, 1999), sold(5, 501)), datetime(2026, 1, 3, tzinfo=UTC)
    async with FathomServer(data=data, now=begun, clock=lambda: passed) as server:
        await ask(server, "DELETE", EVENTS, name="purchase")
        passed += day
        assert await names(ask, server) == [], "what was tracked before does not bring it back"
        passed += 2 * day
        assert await names(ask, server) == ["purchase"]
        assert await sales(ask, server) == [{"conversions": "2", "value": "2500"}]
        assert (await ask(server, "DELETE", EVENTS, name="purchase"))[0] == 200
        assert await names(ask, server) == []


async def test_an_event_deleted_by_its_id_keeps_its_history_too(ask: Ask) -> None:
    async with FathomServer(data=shop(sold(1, 1999)), now=datetime(2026, 2, 1, tzinfo=UTC)) as server:
        await ask(server, "POST", f"{EVENTS}/PURCHASE", {"name": "sale"})
        assert await sales(ask, server, "purchase") == []
        assert (await ask(server, "DELETE", f"{EVENTS}/PURCHASE"))[0] == 200
        assert (await ask(server, "GET", f"{EVENTS}/PURCHASE"))[0] == 404
        assert await sales(ask, server, "sale") == [{"conversions": "1", "value": "1999"}]


async def test_reports_know_what_was_tracked_under_a_name_that_is_no_event(ask: Ask) -> None:
    async with FathomServer(
        data=shop(sold(1, 5, "download")), now=datetime(2026, 2, 1, tzinfo=UTC)
    ) as server:
        assert await sales(ask, server, "download") == [{"conversions": "1", "value": "5"}]
        assert await sales(ask, server, "nothing") == []


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
