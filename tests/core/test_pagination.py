"""Lists: one page, all pages, both directions, and servers that would make us loop."""

import asyncio
import json
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest

from fathom_async import ArgumentError, FathomClient, PagingError
from fathom_async.testing import Body, Dataset, Delay, FathomServer, Site
from tests.conftest import until

pytestmark = pytest.mark.virtual_time

START = datetime(2024, 1, 1, tzinfo=UTC)


def server_with_sites(count: int) -> FathomServer:
    sites = [
        Site(id=f"S{number:05}", name=f"Site {number}", created_at=START + timedelta(seconds=number))
        for number in range(count)
    ]
    return FathomServer(data=Dataset(sites=sites))


async def test_awaiting_a_list_gives_one_page() -> None:
    async with server_with_sites(150) as server, FathomClient("any", base_url=server.url) as fathom:
        page = await fathom.sites.list()
        assert len(page) == 100
        assert page.has_more
        assert [site.id for site in page][:2] == ["S00000", "S00001"]
        rest = await fathom.sites.list(limit=60, starting_after=page.data[-1].id)
        assert [site.id for site in rest] == [f"S{number:05}" for number in range(100, 150)]
        assert not rest.has_more
        assert rest.url == "/v1/sites"


@pytest.mark.parametrize("limit", [7, 50, 75, 100])
async def test_iterating_goes_through_everything_once(limit: int) -> None:
    async with server_with_sites(150) as server, FathomClient("any", base_url=server.url) as fathom:
        found = [site.id async for site in fathom.sites.list(limit=limit)]
        assert found == [f"S{number:05}" for number in range(150)]
        assert len(server.hits) == -(-150 // limit)


async def test_iterating_backwards() -> None:
    async with server_with_sites(30) as server, FathomClient("any", base_url=server.url) as fathom:
        found = [site.id async for site in fathom.sites.list(limit=4, ending_before="S00010")]
    assert found == [f"S{number:05}" for number in reversed(range(10))]


async def test_iterating_over_pages() -> None:
    async with server_with_sites(25) as server, FathomClient("any", base_url=server.url) as fathom:
        assert [len(page) async for page in fathom.sites.list(limit=10).pages()] == [10, 10, 5]


async def test_an_empty_list() -> None:
    async with server_with_sites(0) as server, FathomClient("any", base_url=server.url) as fathom:
        assert [site async for site in fathom.sites.list()] == []


async def test_the_next_page_is_fetched_when_the_second_half_of_this_one_begins() -> None:
    async with server_with_sites(20) as server, FathomClient("any", base_url=server.url) as fathom:
        sites = aiter(fathom.sites.list(limit=10))
        for _ in range(5):
            await anext(sites)
        await asyncio.sleep(1)
        assert len(server.hits) == 1
        await anext(sites)
        await until(lambda: len(server.hits) == 2)
        assert len([site async for site in sites]) == 14
        assert len(server.hits) == 2


async def test_a_reader_who_leaves_within_the_first_half_takes_one_request() -> None:
    async with server_with_sites(30) as server, FathomClient("any", base_url=server.url) as fathom:
        async for site in fathom.sites.list(limit=10):
            if site.id == "S00004":
                break
        async for _ in fathom.sites.list(limit=10).pages():
            break
        await asyncio.sleep(1)
        assert len(server.hits) == 2


async def test_leaving_early_leaves_nothing_running() -> None:
    async with server_with_sites(30) as server, FathomClient("any", base_url=server.url) as fathom:
        async with aclosing(aiter(fathom.sites.list(limit=10))) as sites:
            await anext(sites)
            server.inject(Delay(1000))
            for _ in range(5):
                await anext(sites)
            await until(lambda: fathom.limits["crud"].in_flight == 1)
        await asyncio.sleep(0.01)
        assert fathom.limits["crud"].in_flight == 0
        assert len(asyncio.all_tasks()) <= 2 + len(server.hits)  # this test, and the server's own connections


async def test_events_without_ids_are_paged_by_name() -> None:
    async with (
        FathomServer(event_shape="names") as server,
        FathomClient("any", base_url=server.url) as fathom,
    ):
        everything = await fathom.events.list("CDBUGS")
        assert len(everything) > 1
        assert all(event.id is None for event in everything)
        assert [event async for event in fathom.events.list("CDBUGS", limit=1)] == list(everything)


def page_of(*ids: str, has_more: bool) -> Body:
    sites = [
        {"id": key, "object": "site", "name": key, "sharing": "none", "created_at": "2024-01-01 00:00:00"}
        for key in ids
    ]
    return Body(
        json.dumps({"object": "list", "url": "/v1/sites", "has_more": has_more, "data": sites}).encode()
    )


async def test_a_repeated_cursor_is_an_error_instead_of_a_loop(
    server: FathomServer, fathom: FathomClient
) -> None:
    server.inject(page_of("A", "B", has_more=True), page_of("A", "B", has_more=True))
    found: list[str] = []

    async def collect() -> None:
        async for site in fathom.sites.list():
            found.append(site.id)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(PagingError, match="the same page of /sites again"):
        await collect()
    assert found == ["A", "B"]
    assert len(server.hits) == 2


async def test_an_empty_page_that_claims_more_is_an_error(server: FathomServer, fathom: FathomClient) -> None:
    server.inject(page_of("A", has_more=True), page_of(has_more=True))
    with pytest.raises(PagingError, match="empty page"):
        [site async for site in fathom.sites.list()]
    assert len(server.hits) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"limit": 0}, "from 1 to 100, not 0"),
        ({"limit": 101}, "from 1 to 100, not 101"),
        ({"limit": True}, "not True"),
        ({"limit": "10"}, "not '10'"),
        ({"starting_after": "A", "ending_before": "B"}, "not both"),
        ({"starting_after": ""}, "starting_after must be a non-empty string"),
    ],
)
def test_wrong_parameters_are_refused_when_the_list_is_made(arguments: dict[str, object], words: str) -> None:
    fathom = FathomClient("any")
    with pytest.raises(ArgumentError, match=words):
        _ = fathom.sites.list(**arguments)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
