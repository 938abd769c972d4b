import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path

import aiohttp
import pytest

from examples.dashboard.app import create_app
from examples.dashboard.board import now_at
from examples.dashboard.boards import Boards
from examples.dashboard.charts import draw, round_up
from examples.dashboard.ranges import RANGES, RangeName
from examples.dashboard.settings import Settings
from fathom_async import (
    ArgumentError,
    BulkError,
    FathomClient,
    PageviewQuery,
    RateLimit,
    RatePlan,
    WaitTooLongError,
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
    for site in ("CDBUGS", "GCDFSX", "DAFFYD"):
        await page_of(visitor, f"/sites/{site}/board?range={span}")


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
            report = await fathom.reports.aggregate(
                PageviewQuery(site.id, aggregates=["visits"]).over("last 30 days", now=now_at(site))
            )
            assert f"<dd>{report.rows[0].visits:,}" in page
            assert site.name.replace("'", "&#39;") in page


async def test_a_page_answers_at_once_though_the_lane_is_full_and_costs_nothing_when_it_is_warm(
    fathom_server: FathomServer,
) -> None:
    async with serving(create_app(Settings(token="any", base_url=fathom_server.url))) as visitor:
        await page_of(visitor)
        pages = [await page_of(visitor) for _ in range(20)]
    assert all(page.count("data-board=") == 3 for page in pages)
    assert "data-pending" in pages[-1], "12 reports do not go into a minute of 10"
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
async def test_current_visitors_are_pushed(visitor: aiohttp.ClientSession) -> None:
    seen: set[str] = set()
    async with visitor.get("/live") as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        async for line in response.content:
            if line.startswith(b"data:"):
                seen.update(re.findall(r'"site":"(\w+)","visitors":\d+', line.decode().replace(" ", "")))
                break
    assert seen == {"CDBUGS"}


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
    page = await page_of(visitor, "/?range=7d")
    assert page.count("Analytics are misconfigured.") == 3
    assert "secret" not in page
    async with visitor.get("/sites/CDBUGS/board?range=7d") as response:
        assert response.status == 502


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
    assert len(asked) == len(set(asked)), (
        "two ranges, three sites, four questions, some of which imply others"
    )
    assert 3 * 4 < len(asked) <= 2 * 3 * 4


async def test_a_board_that_takes_longer_is_on_its_way_all_the_same(fathom_server: FathomServer) -> None:
    async with FathomClient("any", base_url=fathom_server.url) as fathom, MemoryStore() as store:
        site = await fathom.sites.get("CDBUGS")
        async with Boards(fathom, store) as boards:
            with pytest.raises(WaitTooLongError):
                await boards.get(site, RangeName.WEEK, within=0)
            board = await boards.get(site, RangeName.WEEK, within=10)
            assert len(board.chart.bars) == 7
            assert await boards.get(site, RangeName.WEEK, within=0) is board


async def test_a_board_is_dropped_when_no_page_asks_for_it_any_more(fathom_server: FathomServer) -> None:
    async with FathomClient("any", base_url=fathom_server.url) as fathom, MemoryStore() as store:
        sites = [site async for site in fathom.sites.list()][:3]
        async with Boards(fathom, store) as boards:
            for name in RangeName:  # 60 reports do not go into a minute of 10
                for site in sites:
                    with pytest.raises(WaitTooLongError):
                        await boards.get(site, name, within=0)
            board = None
            for _ in range(20):  # the page of one board stays open
                with suppress(WaitTooLongError):
                    board = await boards.get(sites[0], RangeName.YEAR, within=25)
                await asyncio.sleep(5)
            assert board is not None
            assert board.site == sites[0]
            sent = len(fathom_server.hits)
            await asyncio.sleep(3600)
            assert len(fathom_server.hits) == sent
            assert fathom.limits["reports"].queued == 0


async def test_a_board_that_failed_is_asked_for_anew(fathom_server: FathomServer) -> None:
    async with (
        FathomClient("any", base_url=fathom_server.url, retry=EAGER) as fathom,
        MemoryStore() as store,
        Boards(fathom, store) as boards,
    ):
        site = await fathom.sites.get("CDBUGS")
        fathom_server.inject(Status(422), path="/aggregations")
        with pytest.raises(BulkError):
            await boards.get(site, RangeName.WEEK, within=10)
        assert (await boards.get(site, RangeName.WEEK, within=10)).figures


async def test_what_is_under_way_ends_with_the_application(fathom_server: FathomServer) -> None:
    async with FathomClient("any", base_url=fathom_server.url) as fathom, MemoryStore() as store:
        site = await fathom.sites.get("CDBUGS")
        async with Boards(fathom, store) as boards:
            for name in RangeName:  # 20 reports do not go into a minute of 10
                with pytest.raises(WaitTooLongError):
                    await boards.get(site, name, within=0)
            await until(lambda: fathom.limits["reports"].queued > 0)
        await until(lambda: fathom.limits["reports"].queued == 0)


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
    settings = Settings.from_env({"FATHOM_API_TOKEN": "any", "DASHBOARD_SITES": "CDBUGS, GCDFSX"})
    assert settings.sites == ("CDBUGS", "GCDFSX")
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
