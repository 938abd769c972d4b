"""Time zones of sites that others forget meanwhile, or know by another spelling."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from fathom_async import FathomClient, LoopClock, NotFoundError
from fathom_async.testing import Delay, FathomServer

pytestmark = pytest.mark.virtual_time


class ClockAhead(LoopClock):
    """The clock of a machine that is 20 s ahead of the others."""

    def unix(self) -> float:
        return super().unix() + 20


@pytest.mark.parametrize("store", [None, "memory://"])
async def test_a_site_that_is_forgotten_while_it_is_asked_for_has_a_time_zone(
    fathom_server: FathomServer, store: str | None
) -> None:
    async with FathomClient("any", base_url=fathom_server.url) as fathom:
        fathom_server.inject(Delay(10))
        asking = asyncio.create_task(fathom.reports.time_zones(["CDBUGS"], store=store))
        await asyncio.sleep(5)
        await fathom.reports.forget("CDBUGS", store="memory://")
        assert (await asking).keys() == {"CDBUGS"}


async def test_a_site_that_a_clock_ahead_has_forgotten_has_a_time_zone(
    fathom_server: FathomServer, tmp_path: Path
) -> None:
    store = tmp_path / "reports.db"
    async with FathomClient("any", base_url=fathom_server.url, clock=ClockAhead()) as ahead:
        await ahead.reports.forget("CDBUGS", store=store)
    async with FathomClient("any", base_url=fathom_server.url) as fathom:
        assert (await fathom.reports.time_zones(["CDBUGS"], store=store)).keys() == {"CDBUGS"}


async def test_a_server_may_spell_the_id_of_a_site_in_another_way() -> None:
    async def answer(request: web.Request) -> web.Response:
        site = {"id": request.path.rpartition("/")[2].upper(), "name": "n", "sharing": "none"}
        return web.json_response(site | {"created_at": "2026-01-01 00:00:00", "timezone": "Asia/Tokyo"})

    app = web.Application()
    app.router.add_get("/v1/sites/{site}", answer)
    async with TestServer(app) as server, FathomClient("any", base_url=str(server.make_url("/v1"))) as fathom:
        zones = await fathom.reports.time_zones(["cdbugs"])
    assert {site: zone.key for site, zone in zones.items()} == {"cdbugs": "Asia/Tokyo"}


async def test_all_sites_that_do_not_exist_are_named_in_one_error(fathom_server: FathomServer) -> None:
    async with FathomClient("any", base_url=fathom_server.url) as fathom:
        with pytest.raises(NotFoundError) as caught:
            await fathom.reports.time_zones(["NOSITE", "CDBUGS", "ELMER"])
        assert str(caught.value) == f"404 Not Found on GET {fathom_server.url}/sites: no sites ELMER, NOSITE"
        with pytest.raises(NotFoundError, match="/sites/NOSITE: "):
            await fathom.reports.time_zones(["NOSITE"])
