from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from fathom_async.testing import FathomServer

Ask = Callable[..., Awaitable[tuple[int, Any]]]
MILESTONES = "/sites/CDBUGS/milestones"


async def test_a_milestone_lives_and_dies(ask: Ask) -> None:
    async with FathomServer() as server:
        status, made = await ask(
            server, "POST", MILESTONES, {"name": "Launch", "milestone_date": "2024-01-15"}
        )
        assert (status, made["milestone_date"]) == (201, "2024-01-15 00:00:00")
        path = f"{MILESTONES}/{UUID(made['id'])}"
        assert await ask(server, "GET", path) == (200, made)
        _, changed = await ask(server, "POST", path, {"name": "Relaunch", "milestone_date": "2024-02-01"})
        assert (changed["name"], changed["created_at"]) == ("Relaunch", made["created_at"])
        assert (await ask(server, "DELETE", path))[1] == {
            "id": made["id"],
            "object": "milestone",
            "deleted": True,
        }
        assert await ask(server, "GET", path) == (404, {"error": "Milestone not found"})


async def test_the_url_of_the_list_is_not_its_url(ask: Ask) -> None:
    async with FathomServer() as server:
        _, page = await ask(server, "GET", MILESTONES)
        assert (page["url"], len(page["data"])) == ("/api/v1/CDBUGS/milestones", 2)


async def test_both_fields_are_required_and_limited(ask: Ask) -> None:
    async with FathomServer() as server:
        _, page = await ask(server, "GET", MILESTONES)
        path = f"{MILESTONES}/{page['data'][0]['id']}"
        assert await ask(server, "POST", path, {"name": "x" * 31}) == (
            400,
            {
                "errors": {
                    "name": ["The name field must not be greater than 30 characters."],
                    "milestone_date": ["The milestone date field is required."],
                }
            },
        )
        status, body = await ask(server, "POST", MILESTONES, {"name": "x", "milestone_date": "2024-02-30"})
        assert (status, body["errors"]) == (
            400,
            {"milestone_date": ["The milestone date field must match the format Y-m-d."]},
        )
