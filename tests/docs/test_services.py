"""The client and the server of ``docs/services.md`` work as shown, within the service's limit."""

import asyncio
import re
from operator import attrgetter
from typing import TYPE_CHECKING, cast

import pytest

from fathom_async.testing import ServiceServer, Status
from tests.support.documentation import DOCS, blocks, run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from fathom_async.service import ServiceClient

pytestmark = pytest.mark.virtual_time

TEXT = (DOCS / "services.md").read_text("utf8")
BLOCKS = blocks("services.md")
CLIENT, SERVER = (
    re.findall(rf"<!-- {name} -->\n```python\n(.*?)```", TEXT, re.DOTALL)[0] for name in ("client", "server")
)


async def embedded() -> tuple[ServiceServer, dict[str, object]]:
    names: dict[str, object] = {}
    await run(SERVER, names)
    await run(CLIENT, names)
    return cast("ServiceServer", names["server"]), names


def test_the_client_has_at_most_sixty_lines() -> None:
    assert len(CLIENT.splitlines()) <= 60


def test_client_and_server_have_the_form_of_our_code() -> None:
    for block in BLOCKS:
        assert max(map(len, block.splitlines())) <= 120


async def test_every_example_runs_unchanged() -> None:
    server, names = await embedded()
    async with server:
        names["base_url"] = server.url
        for block in BLOCKS:
            if block not in (CLIENT, SERVER):
                await run(block, names)
    assert cast("dict[str, list[object]]", names["answer"])["sites"] == [
        {"domain": "site0.com"},
        {"domain": "site1.com"},
    ]
    assert cast("list[str]", names["domains"]) == [
        *(f"site{number}.com" for number in range(250)),
        "example.com",
    ]
    assert names["visitors"] == len("example.com")
    assert names["report"] == {"results": [{"metrics": [1, 1], "dimensions": []}]}
    assert names["left"] == 600 - 7
    assert len(BLOCKS) == 4


async def test_more_than_an_hours_requests_go_through_and_none_is_refused() -> None:
    server, names = await embedded()
    client = cast("Callable[..., ServiceClient]", names["PlausibleClient"])
    async with server, client("token", base_url=server.url) as plausible:
        visitors = cast("Callable[[str], Awaitable[int]]", attrgetter("visitors")(plausible))
        counts = await asyncio.gather(*(visitors(f"{number:04}") for number in range(1000)))
    assert counts == [4] * 1000
    assert (server.refused, server.max_in_window("all")) == (0, 600)
    assert 3600 < asyncio.get_running_loop().time() < 3700


async def test_a_lost_creation_is_not_repeated_and_a_query_is() -> None:
    server, names = await embedded()
    client = cast("Callable[..., ServiceClient]", names["PlausibleClient"])
    async with server, client("token", base_url=server.url) as plausible:
        for name, arguments, statuses in (
            ("report", ("a.com", ["visitors"]), [502, 200]),
            ("create_site", ("a.com", "UTC"), [502]),
        ):
            server.reset_stats()
            server.inject(Status(502))
            call = cast("Callable[..., Awaitable[object]]", attrgetter(name)(plausible))
            done = await asyncio.gather(call(*arguments), return_exceptions=True)
            assert isinstance(done[0], Exception) is (len(statuses) == 1)
            assert [hit.status for hit in server.hits] == statuses
