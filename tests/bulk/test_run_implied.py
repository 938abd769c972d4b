"""Runs with a store: what kept answers contain is not requested."""

# pyright: reportPrivateUsage=false

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from benchmarks.fusing import analyst, weekly
from fathom_async import (
    CachePolicy,
    FathomClient,
    Filter,
    NotFoundError,
    PageviewQuery,
    PageviewRow,
    RatePlan,
    Report,
)
from fathom_async._reports.query import AnyQuery
from fathom_async._util.clock import LoopClock
from fathom_async.store import open_store
from fathom_async.testing import Dataset, Delay, FathomServer, Status
from tests.cache.conftest import place_of
from tests.conftest import until

pytestmark = pytest.mark.virtual_time

SITE = "CDBUGS"
TODAY = date(2026, 11, 2)
OCTOBER = PageviewQuery(SITE, aggregates=["pageviews"], date_from="2026-10-01", date_to="2026-10-31")
PAGES = OCTOBER.replace(aggregates=["pageviews", "visits", "uniques"], field_grouping=["pathname"])
DEVICES = OCTOBER.replace(date_grouping="day", field_grouping=["device_type"])
MOBILE = Filter("device_type", "is", "Mobile")


class SetClock(LoopClock):
    """A loop's clock whose date the test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.date = datetime(2026, 11, 2, 12, tzinfo=UTC)

    def unix(self) -> float:
        return self.date.timestamp()


Make = Callable[[], FathomClient]


@pytest.fixture(scope="module")
def data() -> Dataset:
    return Dataset.synthetic(sites=1, days=60, until=TODAY)


@pytest.fixture
async def server(data: Dataset) -> AsyncIterator[FathomServer]:
    async with FathomServer(data=data, reports_throttle=None) as running:
        yield running


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def make(server: FathomServer, clock: SetClock) -> Make:
    """Make a client, as another process would."""

    def make() -> FathomClient:
        plan = RatePlan.hourly(1_000_000, concurrency=50)
        return FathomClient("any", base_url=server.url, plan=plan, clock=clock)

    return make


@pytest.fixture(params=["memory", "sqlite", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return place_of(request.param, request, tmp_path)


def asked(server: FathomServer) -> int:
    return len(server.hits)


def during(first: int, last: int, query: PageviewQuery = OCTOBER) -> PageviewQuery:
    return query.replace(date_from=date(2026, 10, first), date_to=date(2026, 10, last))


async def unfused(make: Make, queries: Sequence[AnyQuery]) -> Sequence[object]:
    async with make() as fathom:
        return await fathom.reports.gather(queries, fuse=False)


async def test_an_analysts_session_of_nine_steps_is_two_requests(
    server: FathomServer, make: Make, place: str
) -> None:
    steps = [queries for _, queries in analyst(TODAY)]
    expected = [await unfused(make, step) for step in steps]
    before = asked(server)
    async with make() as fathom, open_store(place, clock=fathom._session.clock.unix) as store:
        answers = [await fathom.reports.gather(step, store=store) for step in steps]
    assert answers == expected
    assert asked(server) - before == 2


async def test_a_weekly_job_over_eight_weeks_is_a_request_a_week(
    server: FathomServer, make: Make, clock: SetClock, tmp_path: Path
) -> None:
    answers: list[object] = []
    expected: list[object] = []
    sent = 0
    for today, queries in weekly():
        clock.date = datetime(today.year, today.month, today.day, 20, tzinfo=UTC)
        expected += await unfused(make, queries)
        before = asked(server)
        async with make() as fathom:
            answers += await fathom.reports.gather(queries, store=tmp_path / "reports.db")
        sent += asked(server) - before
    assert answers == expected
    assert sent == 8


async def test_an_answer_to_an_open_range_implies_what_was_over_for_good_and_the_rest_as_long_as_it_is_fresh(
    server: FathomServer, make: Make, clock: SetClock
) -> None:
    by_day = OCTOBER.replace(date_grouping="day", date_to=None)
    async with make() as fathom:
        await fathom.reports.gather([by_day], store="memory://")
        sent = asked(server)
        clock.date += timedelta(days=100)
        outcomes = [each async for each in fathom.reports.run([OCTOBER], store="memory://")]
        assert [each.origin for each in outcomes] == ["implied"]
        assert asked(server) == sent
        await fathom.reports.gather([OCTOBER.replace(date_to=None)], store="memory://")
        assert asked(server) == sent + 1


async def test_a_stale_answer_implies_stale_ones(server: FathomServer, make: Make, clock: SetClock) -> None:
    keeping = CachePolicy(max_age=60, stale_while_revalidate=1e9)
    by_day = OCTOBER.replace(date_grouping="day", date_to=None)
    total = OCTOBER.replace(date_to=None)
    async with make() as fathom:
        await fathom.reports.gather([by_day], store="memory://", keeping=keeping)
        clock.date += timedelta(seconds=61)
        run = fathom.reports.run([total], store="memory://", keeping=keeping)
        assert [each.origin async for each in run] == ["stale"]
        await until(lambda: asked(server) == 2)


async def test_what_was_cut_off_or_asked_on_another_clock_implies_nothing(
    server: FathomServer, make: Make
) -> None:
    first = PAGES.replace(sort_by="pageviews:desc", limit=3)
    async with make() as fathom:
        await fathom.reports.gather([first, DEVICES.replace(timezone="Asia/Tokyo")], store="memory://")
        sent = asked(server)
        await fathom.reports.gather([OCTOBER], store="memory://")
        assert asked(server) == sent + 1
        await fathom.reports.gather([first.replace(limit=1)], store="memory://")
        assert asked(server) == sent + 1


async def test_what_was_kept_is_forgotten_from_a_day_on(server: FathomServer, make: Make, place: str) -> None:
    september = OCTOBER.replace(date_from="2026-09-10", date_to="2026-09-30")
    async with make() as fathom, open_store(place, clock=fathom._session.clock.unix) as store:
        await fathom.reports.gather([OCTOBER, september], store=store, fuse=False)
        sent = asked(server)
        assert await fathom.reports.forget(SITE, since="2026-10-15", store=store) == 1
        await fathom.reports.gather([september], store=store)
        assert asked(server) == sent
        await fathom.reports.gather([OCTOBER], store=store)
        assert asked(server) == sent + 1
        assert await fathom.reports.forget(SITE, store=store) == 2
        assert await fathom.reports.forget("OTHER", store=store) == 0


@pytest.mark.parametrize("way", ["run", "complete"])
async def test_an_answer_that_was_asked_for_before_a_site_was_forgotten_is_not_kept(
    server: FathomServer, make: Make, clock: SetClock, place: str, way: str
) -> None:
    yesterday = OCTOBER.replace(date_from="2026-11-01", date_to="2026-11-01")
    async with make() as fathom, make() as other, open_store(place, clock=clock.unix) as store:

        async def ask(fathom: FathomClient) -> Report[PageviewRow]:
            if way == "complete":
                return await fathom.reports.complete(yesterday, store=store)
            return (await fathom.reports.gather([yesterday], store=store))[0]

        server.inject(Delay(1.0), path="/aggregations")
        server.inject(Delay(1.0), path=f"/sites/{SITE}")
        asking = asyncio.create_task(ask(fathom))
        for pending in (1, 0):  # the look-up of the time zone is in flight, and then the report
            await until(lambda pending=pending: server.pending_faults == pending)  # type: ignore[misc]
            clock.date += timedelta(seconds=3)
            await other.reports.forget(SITE, store=store)
            clock.date += timedelta(seconds=3)
        await asking
        for again in (2, 0):
            server.reset_stats()
            await ask(other)
            assert asked(server) == again, "a site and a report"


async def test_what_was_kept_in_a_time_zone_of_its_own_is_forgotten_by_the_sites_clock(
    server: FathomServer, make: Make, place: str
) -> None:
    tokyo = OCTOBER.replace(timezone="Asia/Tokyo")
    async with make() as fathom, open_store(place, clock=fathom._session.clock.unix) as store:
        assert [site.timezone async for site in fathom.sites.list()] == ["America/New_York"]
        await fathom.reports.gather([OCTOBER, tokyo], store=store)
        sent = asked(server)
        assert await fathom.reports.forget(SITE, since="2026-10-31 11:00:00", store=store) == 1
        await fathom.reports.gather([tokyo], store=store)
        assert asked(server) == sent
        assert await fathom.reports.forget(SITE, since="2026-10-31 10:59:59", store=store) == 1


async def test_an_order_of_texts_that_was_made_here_implies_none(
    server: FathomServer, make: Make, place: str
) -> None:
    by_path = OCTOBER.replace(field_grouping=["pathname"], sort_by="pathname:asc")
    by_hour = by_path.replace(date_grouping="hour")
    async with make() as fathom, open_store(place, clock=fathom._session.clock.unix) as store:
        await fathom.reports.complete(by_path, store=store)
        await fathom.reports.gather([by_hour], store=store)
        for query in (by_path.replace(limit=2), by_path.replace(sort_by="pathname:desc", limit=2)):
            sent = asked(server)
            await fathom.reports.gather([query], store=store)
            assert asked(server) == sent + 1
        sent = asked(server)
        await fathom.reports.gather([by_path.replace(field_grouping=[], sort_by=None)], store=store)
        assert asked(server) == sent, "sums have no order"


async def test_a_site_that_is_forgotten_has_a_time_zone_to_be_learned_anew(
    server: FathomServer, make: Make, place: str
) -> None:
    yesterday = OCTOBER.replace(date_from="2026-11-01", date_to="2026-11-01")
    async with make() as fathom, open_store(place, clock=fathom._session.clock.unix) as store:
        for lookups in (1, 0):
            await fathom.reports.gather([yesterday], store=store)
            assert sum("/sites" in hit.path for hit in server.hits) == lookups
            server.reset_stats()
        await fathom.reports.forget(SITE, store=store)
        for reader in (fathom, other := make()):
            await reader.reports.gather([yesterday], store=store)
        await other.aclose()
        assert sum("/sites" in hit.path for hit in server.hits) == 1


async def test_dated_periods_need_no_time_zone_and_others_one_list_for_all_sites(
    server: FathomServer, make: Make, clock: SetClock, tmp_path: Path
) -> None:
    async with make() as fathom:
        sites = [(await fathom.sites.create(name=f"Site {number}")).id for number in range(40)]
    everywhere = [OCTOBER.replace(site_id=site) for site in sites]
    yesterday = [query.replace(date_from="2026-11-01", date_to="2026-11-01") for query in everywhere]
    for queries, lists in ((everywhere, 0), (yesterday, 1), (yesterday, 0)):
        before = asked(server)
        async with make() as fathom:
            await fathom.reports.gather(queries, store=tmp_path / "reports.db")
        hits = server.hits[before:]
        assert sum(hit.path.endswith("/sites") for hit in hits) == lists
        assert not any("/sites/" in hit.path for hit in hits)
    clock.date += timedelta(days=2)
    before = asked(server)
    async with make() as fathom:
        await fathom.reports.gather(yesterday, store=tmp_path / "reports.db")
    assert asked(server) == before


@pytest.mark.parametrize("hours", [0, 2, 20])
async def test_a_finished_run_that_is_started_again_sends_nothing(
    server: FathomServer, make: Make, clock: SetClock, tmp_path: Path, hours: int
) -> None:
    """Dated, in words and complete, in a second process, as long as the periods are the same and over."""
    began = clock.date
    async with make() as fathom:
        sites = [SITE, (await fathom.sites.create(name="Other", timezone="Asia/Tokyo")).id]

    async def run() -> list[Report[PageviewRow]]:
        async with make() as fathom:
            store = str(tmp_path / "reports.db")
            zones = await fathom.reports.time_zones(sites, store=store)
            dated = [OCTOBER.replace(site_id=site) for site in sites]
            words = [query.over("yesterday", now=began.astimezone(zones[query.site_id])) for query in dated]
            reports = await fathom.reports.gather([*dated, *words], store=store)
            comparison = await fathom.reports.compare(dated[1], over="previous month", store=store)
            whole = await fathom.reports.complete(words[1].replace(field_grouping=["pathname"]), store=store)
            return [*reports, comparison.current, comparison.previous, whole]

    first = await run()
    clock.date += timedelta(hours=hours)
    before = len(server.hits)
    assert (await run() == first, len(server.hits)) == (True, before)


async def test_a_time_zone_is_known_for_a_day_or_until_it_is_changed(
    server: FathomServer, make: Make, clock: SetClock, place: str
) -> None:
    async with make() as fathom, open_store(place, clock=fathom._session.clock.unix) as store:
        other = await fathom.sites.create(name="Other", timezone="Asia/Tokyo")
        for site in ("NOSITE", SITE):
            with pytest.raises(NotFoundError):
                await fathom.reports.time_zones([site, "NOSITE", other.id], store=store)
        for hours, requests in ((0, 1), (20, 0), (20, 1)):
            clock.date += timedelta(hours=hours)
            server.reset_stats()
            async with make() as fresh:
                zones = await fresh.reports.time_zones([SITE, other.id], store=store)
            assert zones == {SITE: ZoneInfo("America/New_York"), other.id: ZoneInfo("Asia/Tokyo")}
            assert len(server.hits) == requests
        await fathom.sites.update(SITE, timezone="Europe/Berlin")
        assert await fathom.reports.time_zones([SITE], store=store) == {SITE: ZoneInfo("Europe/Berlin")}


async def test_a_token_that_may_not_list_sites_requests_those_that_it_needs(
    server: FathomServer, make: Make
) -> None:
    async with make() as fathom:
        sites = [SITE, (await fathom.sites.create(name="Other", timezone="Asia/Tokyo")).id]
        server.reset_stats()
        server.inject(Status(403), path="/v1/sites")
        yesterday = [
            OCTOBER.replace(site_id=site, date_from="2026-11-01", date_to="2026-11-01") for site in sites
        ]
        await fathom.reports.gather(yesterday, store="memory://")
    wanted = {f"/v1/sites/{site}" for site in sites}
    assert {hit.path for hit in server.hits if hit.lane == "crud"} == {"/v1/sites", *wanted}


async def test_a_client_that_has_listed_its_sites_requests_no_time_zone(
    server: FathomServer, make: Make
) -> None:
    yesterday = OCTOBER.replace(date_from="2026-11-01", date_to="2026-11-01")
    async with make() as fathom:
        assert [site.id async for site in fathom.sites.list()] == [SITE]
        await fathom.reports.gather([yesterday], store="memory://")
        assert [hit.path for hit in server.hits] == ["/v1/sites", "/v1/aggregations"]


def is_enough(server: FathomServer, run: "asyncio.Task[object]", enough: int) -> bool:
    return run.done() or asked(server) >= enough


async def test_a_run_over_many_sites_that_is_broken_off_again_and_again_sends_what_was_in_flight_twice(
    data: Dataset, tmp_path: Path
) -> None:
    async with FathomServer(data=data, reports_throttle=None, handler_time=0.5) as server:
        await _break_off(server, tmp_path / "reports.db")


async def _break_off(server: FathomServer, place: Path) -> None:
    def make() -> FathomClient:
        plan = RatePlan.hourly(1_000_000, concurrency=5)
        return FathomClient("any", base_url=server.url, plan=plan, clock=SetClock())

    async with make() as fathom:
        sites = [(await fathom.sites.create(name=f"Site {number}")).id for number in range(200)]
    yesterday = [
        OCTOBER.replace(site_id=site, date_from="2026-11-01", date_to="2026-11-01") for site in sites
    ]
    before, done = asked(server), 0
    for kill in range(9):
        async with make() as fathom:
            run = asyncio.create_task(fathom.reports.gather(yesterday, store=place))
            enough = before + 22 * (kill + 1)
            await until(partial(is_enough, server, run, enough))
            if kill < 8:
                run.cancel()
            await asyncio.wait([run])
            done += not run.cancelled()
    assert done == 1
    lanes = Counter(hit.lane for hit in server.hits[before:])
    assert lanes["reports"] <= len(sites) + 8 * 5
    assert lanes["crud"] <= 3, "a list of two pages, and perhaps one more where it was broken off"
    sent = asked(server)
    async with make() as fathom:
        await fathom.reports.gather(yesterday, store=place)
    assert asked(server) == sent, "a finished run sends nothing"
