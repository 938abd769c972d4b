"""The dashboard's sites come, go and become unavailable; its page still works."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import aiohttp
import pytest

from examples.dashboard.app import create_app
from examples.dashboard.settings import Settings
from fathom_async import FathomClient, LoopClock, RateLimit, RatePlan
from fathom_async._cache.entry import CacheEntry, digest
from fathom_async._cache.open import open_store
from fathom_async.testing import Dataset, FathomServer, Status
from tests.support.serving import serving

pytestmark = pytest.mark.virtual_time

NOT_KNOWN = "\N{EN DASH}"
SPEED = 60.0
"""The application's web server looks around ten times a second, which takes long in virtual time, too."""
PLENTY = RatePlan(reports=RateLimit(1_000, per=60))
OUTAGE = [Status(500)] * 4
"""What one request meets until it gives up."""


@pytest.fixture
async def server() -> AsyncGenerator[FathomServer]:
    """A server whose ten minutes last ten seconds."""
    data = Dataset.synthetic(days=40, visits_per_day=10)
    async with FathomServer(data=data, reports_throttle=None, crud_throttle=None, speed=SPEED) as running:
        yield running


@pytest.fixture
async def fathom(server: FathomServer) -> AsyncGenerator[FathomClient]:
    async with FathomClient("any", base_url=server.url) as client:
        yield client


def settings_of(
    server: FathomServer, *sites: str, store: str = "memory://", speed: float = SPEED
) -> Settings:
    return Settings("any", base_url=server.url, store=store, sites=sites, speed=speed, plan=PLENTY)


async def page_of(visitor: aiohttp.ClientSession, path: str = "/") -> str:
    async with visitor.get(path) as response:
        assert response.status == 200
        return await response.text()


async def page_with(visitor: aiohttp.ClientSession, is_there: Callable[[str], bool]) -> str:
    """Load the page until it is as it should be."""
    while not is_there(page := await page_of(visitor)):  # noqa: ASYNC110 - as a visitor does
        await asyncio.sleep(0.1)
    return page


async def test_a_site_that_is_unknown_does_not_take_the_others_down(
    server: FathomServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(create_app(settings_of(server, "CDBUGS", "NOSUCH", "not/an/id"))) as visitor:
        page = await page_of(visitor)
    assert 'id="name-CDBUGS"' in page
    assert page.count("is unknown: this account has no such site.") == 2
    assert "cannot get site NOSUCH: 404" in caplog.text


async def test_without_any_site_there_is_a_page_that_says_so(
    server: FathomServer, fathom: FathomClient
) -> None:
    async with serving(create_app(settings_of(server, "NOSUCH"))) as visitor:
        assert "Site NOSUCH is unknown" in await page_of(visitor)
    for site in (await fathom.sites.list()).data:
        await fathom.sites.delete(site.id)
    async with serving(create_app(settings_of(server))) as visitor:
        assert "The account has no sites yet." in await page_of(visitor)


async def test_sites_that_are_renamed_added_or_deleted_show_up_by_themselves(
    server: FathomServer, fathom: FathomClient
) -> None:
    async with serving(create_app(settings_of(server))) as visitor:
        assert 'id="name-DAFFYD"' in await page_of(visitor)
        await fathom.sites.update("CDBUGS", name="Beetles")
        await fathom.sites.delete("DAFFYD")
        new = await fathom.sites.create(name="Moths")
        page = await page_with(visitor, lambda page: "Moths" in page and "DAFFYD" not in page)
        assert "Beetles" in page
        await page_with(visitor, lambda page: f'<output data-live="{new.id}" data-at=' in page)


async def test_an_open_page_hears_that_a_site_is_gone(server: FathomServer, fathom: FathomClient) -> None:
    async with (
        serving(create_app(settings_of(server))) as visitor,
        visitor.get("/live?site=CDBUGS&site=DAFFYD") as response,
    ):
        await fathom.sites.delete("DAFFYD")
        gone = b'"site": "DAFFYD", "kind": "gone"'
        while gone not in await response.content.readuntil(b"\n\n"):
            pass


async def test_a_visitor_picks_from_all_sites_but_not_too_many(
    server: FathomServer, fathom: FathomClient
) -> None:
    for number in range(8):
        await fathom.sites.create(name=f"More {number}")
    ids = [site.id async for site in fathom.sites.list()]
    async with serving(create_app(settings_of(server))) as visitor:
        page = await page_of(visitor)
        assert (shown(page), page.count('type="checkbox"')) == (ids[:3], len(ids))
        assert shown(await page_of(visitor, f"/?site={ids[5]}&site={ids[9]}&site=NOSUCH")) == [ids[5], ids[9]]
        assert shown(await page_of(visitor, "/?site=" + "&site=".join(ids))) == ids[:6]
        assert shown(await page_of(visitor, "/?site=NOSUCH")) == ids[:3]


def shown(page: str) -> list[str]:
    """Return the ids of the sites on a page."""
    return re.findall(r'data-site="(\w+)"', page)


async def test_a_failure_keeps_the_sites_and_is_logged(
    server: FathomServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(create_app(settings_of(server))) as visitor:
        server.inject(*OUTAGE, path="/sites")
        while "cannot refresh the sites: 500" not in caplog.text:
            assert (await page_of(visitor)).count("data-site=") == 3
            await asyncio.sleep(1)


@pytest.mark.parametrize("ids", [(), ("CDBUGS", "GCDFSX")])
async def test_an_outage_at_the_start_passes(server: FathomServer, ids: tuple[str, ...]) -> None:
    for path in ("/sites", "/sites/CDBUGS"):
        server.inject(*OUTAGE, path=path)
    async with serving(create_app(settings_of(server, *ids))) as visitor:
        await page_with(visitor, lambda page: 'id="name-CDBUGS"' in page)
        assert "unavailable at the moment" not in await page_of(visitor)


async def test_while_the_sites_cannot_be_asked_for_the_page_says_so(server: FathomServer) -> None:
    server.inject(*OUTAGE * 100)
    async with serving(create_app(settings_of(server))) as visitor:
        assert "The sites are unavailable at the moment" in await page_of(visitor)
    async with serving(create_app(settings_of(server, "CDBUGS"))) as visitor:
        assert "Site CDBUGS is unavailable at the moment" in await page_of(visitor)


@pytest.mark.parametrize("ids", [(), ("GCDFSX", "CDBUGS")])
async def test_a_start_in_an_outage_takes_the_sites_and_boards_that_are_kept(
    server: FathomServer, tmp_path: Path, ids: tuple[str, ...]
) -> None:
    settings = settings_of(server, *ids, store=str(tmp_path / "reports.db"))
    async with serving(create_app(settings)) as visitor:
        before = await page_with(visitor, lambda page: "data-pending" not in page)
    server.inject(*OUTAGE * 100)
    async with serving(create_app(settings)) as visitor:
        page = await page_of(visitor)
    assert page.count("data-site=") == before.count("data-site=") > 0
    assert "data-pending" not in page


async def test_sites_that_cannot_be_read_from_the_store_are_asked_for(
    server: FathomServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_of(server, store=str(tmp_path / "reports.db"))
    async with open_store(settings.store) as store:
        await store.put_many(
            {f"sites:{settings.account}:": CacheEntry(b'[{"id": 1}]', LoopClock().unix() - 60)}
        )
    async with serving(create_app(settings)) as visitor:
        assert 'id="name-CDBUGS"' in await page_of(visitor)
    assert "cannot read the stored sites" in caplog.text


@pytest.mark.parametrize(
    ("seconds", "number", "age"), [(240, "7", ""), (301, "7", "5 min"), (3_601, NOT_KNOWN, "")]
)
async def test_a_number_of_visitors_that_is_old_is_shown_with_its_age_and_then_forgotten(
    server: FathomServer, tmp_path: Path, seconds: float, number: str, age: str
) -> None:
    settings = settings_of(server, "CDBUGS", store=str(tmp_path / "reports.db"), speed=1)
    server.inject(*OUTAGE * 100, path="/current_visitors")
    async with open_store(settings.store) as store:
        key = digest(settings.account, "live count", "CDBUGS")
        await store.put_many({key: CacheEntry(b"7", LoopClock().unix() - seconds)})
    async with (
        serving(create_app(settings)) as visitor,
        visitor.get("/live?site=CDBUGS") as response,
    ):
        page = await page_with(visitor, lambda page: f">{number}</output>" in page)
        assert ("data-at=" in page) == (number == "7")
        assert ('class="live is-old"' in page, f": {age} ago</span>" in page) == (bool(age), bool(age))
        if number == "7":
            while b'"visitors": 7, "age": ' not in await response.content.readuntil(b"\n\n"):
                pass
