from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from fathom_async.testing import Dataset, FathomServer, Site

Ask = Callable[..., Awaitable[tuple[int, Any]]]
MANY = Dataset(sites=[Site(id=f"SITE{n:02d}", name=f"Site {n}") for n in range(25)])


def ids(body: Any) -> list[str]:
    return [site["id"] for site in body["data"]]


async def test_a_site_lives_and_dies(ask: Ask) -> None:
    async with FathomServer() as server:
        status, site = await ask(server, "POST", "/sites", {"name": "Acme", "timezone": "Europe/Berlin"})
        assert status == 200
        assert site == {
            "id": site["id"],
            "object": "site",
            "name": "Acme",
            "sharing": "none",
            "created_at": site["created_at"],
            "timezone": "Europe/Berlin",
        }
        path = f"/sites/{site['id']}"
        update = {"name": "Acme Inc", "sharing": "private", "share_password": "x"}
        assert await ask(server, "POST", path, update) == (
            200,
            {**site, "name": "Acme Inc", "sharing": "private"},
        )
        assert (await ask(server, "GET", path))[1]["name"] == "Acme Inc"
        assert await ask(server, "DELETE", path) == (
            200,
            {"id": site["id"], "object": "site", "deleted": True},
        )
        assert await ask(server, "GET", path) == (404, {"error": "Site not found"})


async def test_ids_follow_from_the_seed(ask: Ask) -> None:
    async with FathomServer(seed=5) as one, FathomServer(seed=5) as two:
        [(_, first), (_, second)] = [
            await ask(server, "POST", "/sites", {"name": "A"}) for server in (one, two)
        ]
        assert first["id"] == second["id"]


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        ({}, {"name": ["The name field is required."]}),
        ({"name": ""}, {"name": ["The name field is required."]}),
        ({"name": "x" * 256}, {"name": ["The name field must not be greater than 255 characters."]}),
        ({"name": 3}, {"name": ["The name field must be a string."]}),
        ({"name": "x", "sharing": "all"}, {"sharing": ["The selected sharing is invalid."]}),
        (
            {"name": "x", "sharing": "private"},
            {"share_password": ["The share password field is required when sharing is private."]},
        ),
        (
            {"name": "x", "timezone": "Mars/Base"},
            {"timezone": ["The timezone field must be a valid timezone."]},
        ),
        (
            {"name": "x", "multi_domain": "perhaps"},
            {"multi_domain": ["The multi domain field must be true or false."]},
        ),
        (
            {"name": "x", "multi_domain": True},
            {"multi_domain_option": ["The multi domain option field is required when multi domain is true."]},
        ),
    ],
)
async def test_fields_of_a_new_site_are_validated(
    ask: Ask, fields: dict[str, object], errors: object
) -> None:
    async with FathomServer() as server:
        assert await ask(server, "POST", "/sites", fields) == (400, {"errors": errors})


async def test_a_form_is_as_good_as_json(http: aiohttp.ClientSession) -> None:
    async with FathomServer() as server:
        fields = {"name": "Acme", "multi_domain": "true", "multi_domain_option": "separate"}
        async with http.post(f"{server.url}/sites", data=fields) as answer:
            assert (answer.status, (await answer.json())["name"]) == (200, "Acme")


async def test_pages_forwards(ask: Ask) -> None:
    async with FathomServer(data=MANY) as server:
        _, first = await ask(server, "GET", "/sites")
        assert (len(first["data"]), first["has_more"], first["url"], first["object"]) == (
            10,
            True,
            "/v1/sites",
            "list",
        )
        _, last = await ask(server, "GET", "/sites", limit="15", starting_after="SITE09")
        assert (ids(last), last["has_more"]) == ([f"SITE{n}" for n in range(10, 25)], False)


async def test_pages_backwards_newest_first(ask: Ask) -> None:
    async with FathomServer(data=MANY) as server:
        _, page = await ask(server, "GET", "/sites", limit="3", ending_before="SITE05")
        assert (ids(page), page["has_more"]) == (["SITE04", "SITE03", "SITE02"], True)
        _, page = await ask(server, "GET", "/sites", limit="3", ending_before="SITE02")
        assert (ids(page), page["has_more"]) == (["SITE01", "SITE00"], False)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"starting_after": "NOSUCH"}, "starting_after"),
        ({"ending_before": "NOSUCH"}, "ending_before"),
        ({"starting_after": "SITE01", "ending_before": "SITE05"}, "starting_after"),
    ],
)
async def test_bad_paging_is_refused(ask: Ask, query: dict[str, str], field: str) -> None:
    async with FathomServer(data=MANY) as server:
        status, body = await ask(server, "GET", "/sites", **query)
        assert (status, list(body["errors"])) == (400, [field])


async def test_the_account_and_the_token(ask: Ask) -> None:
    async with FathomServer(tokens={"reader": ["read:CDBUGS"], "admin": ["*"]}) as server:
        assert (await ask(server, "GET", "/account", token="admin"))[1]["object"] == "account"
        assert (await ask(server, "GET", "/token", token="reader"))[1]["abilities"] == ["read:CDBUGS"]


@pytest.mark.parametrize(
    ("abilities", "allowed"),
    [
        (["*"], "account list get other create update delete events report create-event"),
        (["all-sites-readonly"], "list get other events report"),
        (["read:CDBUGS"], "get events report"),
        (["manage:CDBUGS"], "get update events report create-event"),
        ([], ""),
    ],
)
async def test_a_token_can_do_what_its_abilities_say(ask: Ask, abilities: list[str], allowed: str) -> None:
    calls: dict[str, tuple[str, str, dict[str, str] | None]] = {
        "account": ("GET", "/account", None),
        "list": ("GET", "/sites", None),
        "get": ("GET", "/sites/CDBUGS", None),
        "other": ("GET", "/sites/GCDFSX", None),
        "create": ("POST", "/sites", {"name": "x"}),
        "update": ("POST", "/sites/CDBUGS", {"name": "x"}),
        "events": ("GET", "/sites/CDBUGS/events", None),
        "create-event": ("POST", "/sites/CDBUGS/events", {"name": "x"}),
        "report": ("GET", "/current_visitors?site_id=CDBUGS", None),
        "delete": ("DELETE", "/sites/CDBUGS", None),
    }
    denied = (400, {"error": "This token doesn't have permission to access this endpoint"})
    async with FathomServer(tokens={"t": abilities}) as server:
        answers = {name: await ask(server, *call, token="t") for name, call in calls.items()}
    expected = set(allowed.split())
    assert {name for name, (status, _) in answers.items() if status == 200} == expected
    assert all(answer == denied for name, answer in answers.items() if name not in expected)


async def test_unknown_routes_and_methods(ask: Ask) -> None:
    async with FathomServer() as server:
        assert await ask(server, "GET", "/nope") == (
            404,
            {"message": "The route v1/nope could not be found."},
        )
        status, body = await ask(server, "PUT", "/sites")
        assert (status, body["message"].split(".")[0]) == (
            405,
            "The PUT method is not supported for route v1/sites",
        )
