import asyncio
import math
import re
from base64 import b64encode
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import aiohttp
import attrs
import pytest

from examples.dashboard.app import create_app
from examples.dashboard.board import REPORTS, now_at
from examples.dashboard.boards import GONE, LOADING, Boards
from examples.dashboard.charts import draw, round_up
from examples.dashboard.ranges import RANGES, RangeName
from examples.dashboard.settings import Settings
from fathom_async import (
    ArgumentError,
    FathomClient,
    PageviewQuery,
    RateLimit,
    RatePlan,
    Site,
)
from fathom_async._cache.memory import MemoryStore
from fathom_async.testing import FathomServer, Status
from tests.conftest import EAGER, until
from tests.support.serving import serving

pytestmark = pytest.mark.virtual_time

UNLIMITED = pytest.mark.fathom_server(reports_throttle=None)
PLENTY = RatePlan(reports=RateLimit(1_000, per=60))


def settings_of(server: FathomServer, store: str = "memory://") -> Settings:
    return Settings(token="any", base_url=server.url, store=store, plan=PLENTY)


@pytest.fixture
async def visitor(fathom_server: FathomServer) -> AsyncGenerator[aiohttp.ClientSession]:
    async with serving(create_app(settings_of(fathom_server))) as session:
        yield session


async def page_of(visitor: aiohttp.ClientSession, address: str = "/") -> str:
    async with visitor.get(address) as response:
        assert response.status == 200
        return await response.text()


async def fill(visitor: aiohttp.ClientSession, span: str = "30d") -> None:
    """Ask for boards until they are made."""
    for site in ("CDBUGS", "GCDFSX", "DAFFYD"):
        path = f"/sites/{site}/board?range={span}"
        while (await status_of(visitor, path))[0] == 202:  # noqa: ASYNC110 - as a script does
            await asyncio.sleep(0.5)


async def status_of(visitor: aiohttp.ClientSession, path: str, **headers: str) -> tuple[int, str]:
    async with visitor.get(path, headers=headers) as response:
        return response.status, await response.text()


class Outline(HTMLParser):
    """What assistive technology finds on a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@UNLIMITED
async def test_a_warm_page_shows_every_site_with_the_figures_of_the_api(
    visitor: aiohttp.ClientSession, fathom_server: FathomServer
) -> None:
    await fill(visitor)
    page = await page_of(visitor)
    assert "data-pending" not in page
    async with FathomClient("any", base_url=fathom_server.url) as fathom:
        for site in await fathom.sites.list(limit=3):
            visits = PageviewQuery(site.id, aggregates=["visits"])
            compared = await fathom.reports.compare(visits, over="last 30 days", now=now_at(site))
            change = compared.change("visits")
            assert f"<dd>{change.current:,}</dd>" in page
            assert f"from {change.previous:,}</span>" in page
            assert site.name.replace("'", "&#39;") in page


async def test_a_page_answers_at_once_though_the_lane_is_full_and_costs_nothing_when_it_is_warm(
    fathom_server: FathomServer,
) -> None:
    async with serving(create_app(Settings(token="any", base_url=fathom_server.url))) as visitor:
        await page_of(visitor)
        pages = [await page_of(visitor) for _ in range(20)]
    assert all(page.count("data-site=") == 3 for page in pages)
    assert "data-pending" in pages[-1], "15 reports do not go into a minute of 10"
    assert sum(hit.lane == "reports" for hit in fathom_server.hits) <= 10
    assert fathom_server.refused == 0


@UNLIMITED
@pytest.mark.parametrize("name", RangeName)
async def test_each_range_can_be_picked_and_the_page_says_which_it_is(
    visitor: aiohttp.ClientSession, name: RangeName
) -> None:
    await fill(visitor, name)
    page = await page_of(visitor, f"/?range={name}")
    assert "data-pending" not in page
    links = Outline(page).all("a")
    assert [link["href"] for link in links if link.get("aria-current") == "page"] == [f"/?range={name}"]
    assert f"<title>{RANGES[name].label} · Dashboard</title>" in page


@UNLIMITED
async def test_a_page_can_be_looked_for_without_its_body(
    visitor: aiohttp.ClientSession, fathom_server: FathomServer
) -> None:
    fathom_server.inject(*[Status(500)] * 50, path="/current_visitors")  # so that the page stays the same
    await fill(visitor)
    page = await page_of(visitor)
    async with visitor.head("/") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/html")
        assert int(response.headers["Content-Length"]) == len(page.encode())
        assert await response.read() == b""


async def test_an_unknown_range_or_site_is_refused(visitor: aiohttp.ClientSession) -> None:
    async with visitor.get("/?range=forever") as response:
        assert response.status == 422
    async with visitor.get("/sites/NOSUCH/board") as response:
        assert response.status == 404


@UNLIMITED
async def test_boards_notices_and_current_visitors_are_pushed(visitor: aiohttp.ClientSession) -> None:
    seen: list[str] = []
    async with visitor.get("/live?site=CDBUGS&range=7d") as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        async for line in response.content:
            if line.startswith(b"event:"):
                seen.append(line.decode().removeprefix("event:").strip())
            if {"board", "live"} <= set(seen):
                break
    assert seen[0] == "notice", "the page says at once what it waits for"
    assert seen.index("board") < seen.index("live"), "boards go first"


@UNLIMITED
async def test_a_page_can_be_used_by_keyboard_and_read_aloud(visitor: aiohttp.ClientSession) -> None:
    await fill(visitor)
    outline = Outline(await page_of(visitor))
    assert [tag for tag, _ in outline.tags if tag in {"h1", "h2"}] == ["h1", "h2", "h2", "h2"]
    assert outline.all("html")[0]["lang"] == "en"
    assert [nav["aria-label"] for nav in outline.all("nav")] == ["Time range"]
    ids = {attributes.get("id") for _, attributes in outline.tags}
    assert {section["aria-labelledby"] for section in outline.all("section")} <= ids
    pictures = outline.all("svg")
    assert all(picture.get("aria-label") or picture.get("aria-hidden") == "true" for picture in pictures)
    assert len(outline.all("caption")) == 6
    assert all(head.get("scope") for head in outline.all("th"))
    assert all("tabindex" not in link for link in outline.all("a"))


@UNLIMITED
async def test_a_page_needs_nobody_else_and_runs_no_code_in_it(visitor: aiohttp.ClientSession) -> None:
    await fill(visitor)
    async with visitor.get("/") as response:
        page = await response.text()
        assert "default-src 'self'" in response.headers["Content-Security-Policy"]
    outline = Outline(page)
    assert not re.search(r'(?:src|href)="(?!/|#)', page)
    assert all("src" in script for script in outline.all("script"))
    assert not any("style" in attributes or "onclick" in attributes for _, attributes in outline.tags)
    for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        assert await page_of(visitor, address)


async def test_names_are_escaped(fathom_server: FathomServer) -> None:
    async with FathomClient("any", base_url=fathom_server.url) as fathom:
        site = await fathom.sites.create(name="<script>alert(1)</script>")
    settings = Settings(token="any", base_url=fathom_server.url, sites=(site.id,))
    async with serving(create_app(settings)) as visitor:
        page = await page_of(visitor)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


@UNLIMITED
async def test_what_the_server_says_of_a_failure_is_not_shown(
    visitor: aiohttp.ClientSession, fathom_server: FathomServer
) -> None:
    fathom_server.inject(*[Status(401, {"error": "secret"})] * 50, path="/aggregations")
    while (page := await page_of(visitor, "/?range=7d")).count("Analytics are misconfigured.") < 3:  # noqa: ASYNC110
        await asyncio.sleep(0.5)
    assert "secret" not in page
    assert await status_of(visitor, "/sites/CDBUGS/board?range=7d") == (
        502,
        '{"detail":"Analytics are misconfigured."}',
    )


@UNLIMITED
async def test_a_worker_that_starts_serves_what_others_have_kept(
    fathom_server: FathomServer, tmp_path: Path
) -> None:
    settings = settings_of(fathom_server, str(tmp_path / "reports.db"))
    async with serving(create_app(settings)) as visitor:
        await fill(visitor)
    asked = sum(hit.path == "/v1/aggregations" for hit in fathom_server.hits)
    fathom_server.inject(*[Status(500)] * 50, path="/aggregations")
    async with serving(create_app(settings)) as visitor:
        assert "data-pending" not in await page_of(visitor)
    assert sum(hit.path == "/v1/aggregations" for hit in fathom_server.hits) == asked


@UNLIMITED
async def test_workers_ask_for_a_board_once(fathom_server: FathomServer, tmp_path: Path) -> None:
    settings = settings_of(fathom_server, str(tmp_path / "reports.db"))
    async with serving(create_app(settings)) as one, serving(create_app(settings)) as other:
        for visitor in (one, other):
            await fill(visitor, "7d")
    asked = [tuple(sorted(hit.query.items())) for hit in fathom_server.hits if hit.path == "/v1/aggregations"]
    assert len(asked) == len(set(asked))
    assert len(asked) == 3 * REPORTS


async def test_a_page_that_is_cold_fills_one_board_after_the_other_and_says_how_far_it_is(
    fathom_server: FathomServer,
) -> None:
    async with dashboard(fathom_server) as (boards, sites, _):
        seen: dict[str, list[str]] = {site.id: [] for site in sites}
        while any((card := boards.look(site, RangeName.MONTH, 3)).board is None for site in sites):
            for site in sites:
                card = boards.look(site, RangeName.MONTH, 3)
                seen[site.id].append("filled" if card.notice is None else card.notice.text)
            await asyncio.sleep(1)
        first, second, third = (list(dict.fromkeys(notices)) for notices in seen.values())
    assert first[-1] == second[-1] == "filled"
    assert seen[sites[0].id].index("filled") < 15, "ten reports fill two boards"
    assert seen[sites[1].id].index("filled") < 15
    assert "Waiting for Fathom's rate limit: 0 of 5 reports, about 40 s" in third
    assert fathom_server.refused == 0


async def test_what_nobody_looks_at_any_more_is_dropped_and_costs_nothing(
    fathom_server: FathomServer,
) -> None:
    async with dashboard(fathom_server) as (boards, sites, fathom):
        for name in RangeName:  # 75 reports do not go into a minute of 10
            for site in sites:
                boards.look(site, name, 3)
        await asyncio.sleep(2)
        sent = len(fathom_server.hits)
        await asyncio.sleep(3600)
        assert len(fathom_server.hits) == sent <= 12
        assert fathom.limits["reports"].queued == 0


async def test_the_range_that_somebody_turned_to_last_goes_first(fathom_server: FathomServer) -> None:
    async with dashboard(fathom_server) as (boards, sites, _):
        spans = (RangeName.YEAR, RangeName.QUARTER, RangeName.WEEK)
        filled: list[RangeName] = []
        for second in range(400):
            for name in spans[: 1 + second // 5]:
                cards = [boards.look(site, name, 3) for site in sites]
                if name not in filled and all(card.board for card in cards):
                    filled.append(name)
            await asyncio.sleep(1)
    assert filled == [RangeName.YEAR, RangeName.WEEK, RangeName.QUARTER]


async def test_a_board_that_failed_is_asked_for_anew(fathom_server: FathomServer) -> None:
    fathom_server.inject(Status(422), path="/aggregations")
    async with dashboard(fathom_server) as (boards, sites, _):
        kinds: list[str] = []
        while (card := boards.look(sites[0], RangeName.WEEK, 3)).board is None:
            kinds += [card.notice.kind] if card.notice is not None else []
            await asyncio.sleep(1)
    assert "failed" in kinds


@UNLIMITED
async def test_a_board_of_a_clock_that_was_ahead_gives_way(fathom_server: FathomServer) -> None:
    async with dashboard(fathom_server) as (boards, sites, _):
        while (card := boards.look(sites[0], RangeName.WEEK, 3)).board is None:  # noqa: ASYNC110 - as a page does
            await asyncio.sleep(1)
        made = card.board
        card.board = attrs.evolve(made, as_of=made.as_of + timedelta(hours=1))
        assert card.age == math.inf
        assert not card.is_old
        for _ in range(310):  # the keeper looks after five minutes
            boards.look(sites[0], RangeName.WEEK, 3)
            await asyncio.sleep(1)
        assert card.board is not None
        assert card.age < 310
        assert card.board.as_of < made.as_of + timedelta(minutes=10)


async def test_an_outage_is_told_apart_from_waiting_and_an_old_board_stays_with_its_time(
    fathom_server: FathomServer,
) -> None:
    async with dashboard(fathom_server) as (boards, sites, _):
        while boards.look(sites[0], RangeName.WEEK, 3).board is None:  # noqa: ASYNC110 - as a page does
            await asyncio.sleep(1)
        fathom_server.inject(*[Status(503)] * 1_000, path="/aggregations")
        kinds: set[str] = set()
        for _ in range(1_500):
            card = boards.look(sites[0], RangeName.WEEK, 3)
            assert card.board is not None
            assert card.is_old or card.shown_notice is None, "nothing is said while a board is new enough"
            kinds.update([card.shown_notice.kind] if card.shown_notice is not None else [])
            await asyncio.sleep(1)
        assert kinds == {"away"}


async def test_a_deleted_site_is_told_apart_from_a_failure(fathom_server: FathomServer) -> None:
    async with dashboard(fathom_server) as (boards, sites, fathom):
        await fathom.sites.delete(sites[0].id)
        card = boards.look(sites[0], RangeName.WEEK, 10)
        await until(lambda: card.notice == GONE)


@UNLIMITED
async def test_dashboards_of_two_accounts_that_share_a_store_do_not_mix_their_boards(
    fathom_server: FathomServer,
) -> None:
    async with FathomClient("any", base_url=fathom_server.url) as fathom, MemoryStore() as store:
        (site,) = (await fathom.sites.list(limit=1)).data
        async with Boards(fathom, store, "one") as boards:
            await until(lambda: boards.look(site, RangeName.WEEK, 3).board is not None)
        async with Boards(fathom, store, "one") as again, Boards(fathom, store, "other") as others:
            assert (await again.get(site, RangeName.WEEK, 3)).board is not None
            assert (await others.get(site, RangeName.WEEK, 3)).board is None


async def test_what_is_under_way_ends_with_the_application(fathom_server: FathomServer) -> None:
    async with dashboard(fathom_server) as (boards, sites, fathom):
        for site in sites:
            boards.look(site, RangeName.YEAR, 3)
        await until(lambda: fathom.limits["reports"].queued > 0)
        boards.stop()
        await until(lambda: fathom.limits["reports"].queued == 0)
        assert boards.look(sites[0], RangeName.WEEK, 3).notice == LOADING


@asynccontextmanager
async def dashboard(server: FathomServer) -> AsyncGenerator[tuple[Boards, Sequence[Site], FathomClient]]:
    """Give the boards of one worker, three sites and the client."""
    async with FathomClient("any", base_url=server.url, retry=EAGER) as fathom, MemoryStore() as store:
        sites = (await fathom.sites.list(limit=3)).data
        async with Boards(fathom, store, "account") as boards:
            yield boards, sites, fathom


@UNLIMITED
async def test_behind_a_prefix_each_address_has_it(fathom_server: FathomServer) -> None:
    settings = attrs.evolve(settings_of(fathom_server), root_path="/stats", title="Acme & Co")
    async with serving(create_app(settings)) as visitor:
        for path in ("/", "/stats/"):  # whether or not the proxy takes the prefix away
            page = await page_of(visitor, path)
            assert "<h1>Acme &amp; Co</h1>" in page
            for address in re.findall(r'(?:src|href|action|data-stream)="([^"#]+)"', page):
                assert address.startswith("/stats/")
                if "live" not in address:
                    await page_of(visitor, address.replace("&amp;", "&"))


@pytest.mark.parametrize("path", ["/", "/sites/CDBUGS/board", "/live", "/health/fathom"])
async def test_a_login_protects_every_figure(fathom_server: FathomServer, path: str) -> None:
    settings = attrs.evolve(settings_of(fathom_server), login="ann:s:ecret", login_header="X-User")
    async with serving(create_app(settings)) as visitor:
        async with visitor.get(path) as response:
            assert response.status == 401
            assert response.headers["WWW-Authenticate"].startswith("Basic ")
        for wrong in ("ann:", "ann:s", ":s:ecret", "bob:s:ecret"):
            assert (await status_of(visitor, path, Authorization=basic(wrong)))[0] == 401
        assert (await status_of(visitor, path, **{"X-User": ""}))[0] == 401
        for right in ({"Authorization": basic("ann:s:ecret")}, {"X-User": "ann"}):
            async with visitor.get(path, headers=right) as response:
                assert response.status in {200, 202}


def basic(login: str) -> str:
    return f"Basic {b64encode(login.encode()).decode()}"


async def test_whoever_is_reachable_by_name_is_told_to_set_a_login(
    fathom_server: FathomServer, caplog: pytest.LogCaptureFixture
) -> None:
    public = attrs.evolve(settings_of(fathom_server), hosts=("stats.example.com",))
    create_app(attrs.evolve(public, login="ann:secret"))
    assert not caplog.text
    create_app(public)
    assert "set DASHBOARD_LOGIN" in caplog.text


@pytest.mark.parametrize(
    ("number", "top"), [(0, 4), (4, 4), (5, 6), (37, 38), (99, 100), (101, 120), (4_321, 4_400)]
)
def test_a_scale_ends_with_a_round_number_that_has_a_half(number: int, top: int) -> None:
    assert round_up(number) == top
    assert top % 2 == 0


def test_a_chart_has_a_bar_for_each_moment_within_its_frame() -> None:
    chart = draw(["a", "b", "c"], [0, 5, 10], [0, 10, 20])
    assert [bar.pageviews_height for bar in chart.bars] == [0, 50, 100]
    assert all(0 <= bar.x <= bar.x + bar.width <= 100 for bar in chart.bars)
    assert list(chart.marks) == ["a", "b", "c"]
    assert list(draw(["a"], [0], [0]).marks) == ["a"]


def test_settings_come_from_the_environment() -> None:
    environ = {
        "FATHOM_API_TOKEN": "any",
        "DASHBOARD_SITES": "CDBUGS, GCDFSX",
        "DASHBOARD_ROOT_PATH": "/stats/",
        "DASHBOARD_LOGIN": "ann:secret",
    }
    settings = Settings.from_env(environ)
    assert (settings.sites, settings.root_path) == (("CDBUGS", "GCDFSX"), "/stats")
    assert "secret" not in repr(settings)
    assert "any" not in repr(settings)
    with pytest.raises(ArgumentError, match="user:password"):
        Settings.from_env(environ | {"DASHBOARD_LOGIN": "secret"})
    with pytest.raises(ArgumentError, match="FATHOM_API_TOKEN"):
        Settings.from_env({})


async def test_it_answers_to_its_own_names_only(fathom_server: FathomServer) -> None:
    settings = Settings(token="any", base_url=fathom_server.url, hosts=("stats.example.com",))
    async with serving(create_app(settings)) as visitor:
        for path in ("/", "/health", "/live"):
            async with visitor.get(path, headers={"Host": "evil.example"}) as answer:
                assert answer.status == 400
        async with visitor.get("/", headers={"Host": "stats.example.com:8000"}) as answer:
            assert answer.status == 200
    assert "::1" in Settings(token="any").hosts
    named = Settings.from_env({"FATHOM_API_TOKEN": "any", "DASHBOARD_HOSTS": "a.example, b.example"})
    assert named.hosts == ("a.example", "b.example")
