"""Runs with a store: no run or process sends again what is cached."""

# pyright: reportPrivateUsage=false

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from fathom_async import (
    ArgumentError,
    CachePolicy,
    ClosedError,
    FathomClient,
    FathomError,
    Filter,
    PageviewQuery,
    RatePlan,
    StoreError,
)
from fathom_async._cache.open import open_store
from fathom_async._util.clock import LoopClock
from fathom_async.testing import Delay, FathomServer, Status
from tests.bulk.months import LAST_YEAR, MONTHS, SITE
from tests.conftest import EAGER, until

pytestmark = pytest.mark.virtual_time

OPEN = PageviewQuery(SITE, aggregates=["pageviews"], date_from="2025-01-01")
PAGES = [LAST_YEAR.replace(filters=[Filter("pathname", "is", path)]) for path in ("/", "/pricing", "/blog")]


class TurnedClock(LoopClock):
    """A loop's clock whose date the test sets."""

    def __init__(self) -> None:
        super().__init__()
        self.date = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def unix(self) -> float:
        return self.date.timestamp()

    def turn(self, **by: float) -> None:
        self.date += timedelta(**by)


Make = Callable[..., FathomClient]


@pytest.fixture
def clock() -> TurnedClock:
    return TurnedClock()


@pytest.fixture
async def server() -> AsyncIterator[FathomServer]:
    async with FathomServer(reports_throttle=None) as running:
        yield running


@pytest.fixture
def make(server: FathomServer, clock: TurnedClock) -> Make:
    """Make a client, as another process would."""

    def make(token: str = "any", concurrency: int = 50) -> FathomClient:  # noqa: S107 - no token
        plan = RatePlan.hourly(1_000_000, concurrency=concurrency)
        return FathomClient(token, base_url=server.url, plan=plan, retry=EAGER, clock=clock)

    return make


def requests(fathom: FathomClient) -> int:
    return sum(fathom.stats.sent.values())


def has_sent(fathom: FathomClient, wanted: int, run: "asyncio.Task[object]") -> bool:
    return run.done() or requests(fathom) >= wanted


def asked(server: FathomServer) -> int:
    return sum(hit.path.endswith("/aggregations") for hit in server.hits)


async def test_what_is_over_is_asked_for_once_and_for_good(
    server: FathomServer, make: Make, clock: TurnedClock, tmp_path: Path
) -> None:
    async with make() as fathom:
        first = await fathom.reports.gather([LAST_YEAR, *PAGES], store=tmp_path / "reports.db")
        sent = asked(server)
    clock.turn(days=700)
    async with make() as fathom:
        outcomes = [o async for o in fathom.reports.run([LAST_YEAR, *PAGES], store=tmp_path / "reports.db")]
    assert asked(server) == sent
    assert {outcome.origin for outcome in outcomes} == {"kept"}
    assert [outcome.result() for outcome in sorted(outcomes, key=lambda each: each.position)] == first


async def test_what_is_open_is_asked_for_again_when_it_is_old(
    server: FathomServer, make: Make, clock: TurnedClock
) -> None:
    async with make() as fathom:
        for seconds, sent in ((0, 1), (299, 1), (2, 2), (301, 3)):
            clock.turn(seconds=seconds)
            await fathom.reports.gather([OPEN], store="memory://")
            assert asked(server) == sent


@pytest.mark.parametrize("place", ["memory://", "reports.db"])
async def test_an_answer_of_a_clock_that_was_ahead_is_asked_for_again(
    server: FathomServer, make: Make, clock: TurnedClock, tmp_path: Path, place: str
) -> None:
    """Also where another answer contains it."""
    store = place if "://" in place else tmp_path / place
    by_page = OPEN.replace(field_grouping=["pathname"])
    async with make() as fathom:
        clock.turn(days=10)
        await fathom.reports.gather([by_page], store=store)
        clock.turn(days=-10)
        for query in (OPEN, by_page):
            sent = asked(server)
            await fathom.reports.gather([query], store=store)
            assert asked(server) == sent + 1
        clock.turn(seconds=299)
        outcomes = [outcome async for outcome in fathom.reports.run([OPEN, by_page], store=store)]
    assert asked(server) == sent + 1
    assert {outcome.origin for outcome in outcomes} == {"kept"}


async def test_an_answer_is_as_old_as_its_question(
    server: FathomServer, make: Make, clock: TurnedClock
) -> None:
    """A report that waits for an hour in the queue is not stale when it comes."""
    async with make() as fathom:
        fathom.pause(1000)
        run = asyncio.create_task(fathom.reports.gather([OPEN], store="memory://"))
        await until(lambda: fathom.limits["reports"].queued == 1)
        clock.turn(hours=1)
        fathom.resume()
        await run
        await fathom.reports.gather([OPEN], store="memory://")
        assert asked(server) == 1


async def test_stale_answers_are_served_at_once_and_asked_for_anew_behind_everybody(
    server: FathomServer, make: Make, clock: TurnedClock
) -> None:
    keeping = CachePolicy(max_age=60, stale_while_revalidate=3600)
    async with make() as fathom:

        async def served() -> str:
            outcomes = [o async for o in fathom.reports.run([OPEN], store="memory://", keeping=keeping)]
            return outcomes[0].origin

        assert await served() == "asked"
        clock.turn(seconds=61)
        server.inject(Delay(0.2))
        async with asyncio.timeout(0.15):
            for _ in range(20):
                assert await served() == "stale"
        await until(lambda: asked(server) == 2 and not fathom._session.scope._tasks)
        assert await served() == "kept"
        assert asked(server) == 2
        clock.turn(seconds=3661)
        assert await served() == "asked"


@pytest.mark.parametrize(
    ("about", "told"),
    [({"errors": {"filters": ["no"]}}, "a stale answer could not"), (None, "stale answers could not")],
    ids=["the query", "the account"],
)
async def test_a_refresh_that_fails_is_told_in_the_log_alone(  # noqa: PLR0917 - fixtures
    server: FathomServer,
    make: Make,
    clock: TurnedClock,
    caplog: pytest.LogCaptureFixture,
    about: dict[str, object] | None,
    told: str,
) -> None:
    keeping = CachePolicy(max_age=60, stale_while_revalidate=3600)
    async with make() as fathom:
        await fathom.reports.gather([OPEN], store="memory://", keeping=keeping)
        clock.turn(seconds=61)
        server.inject(Status(422, about))
        await fathom.reports.gather([OPEN], store="memory://", keeping=keeping)
        await until(lambda: f"{told} be refreshed" in caplog.text)


async def test_runs_at_the_same_time_ask_once(server: FathomServer, make: Make, tmp_path: Path) -> None:
    server.inject(*[Delay(0.1)] * 4)
    queries = [LAST_YEAR, *PAGES, OPEN]
    async with make() as one, make() as other:
        planned = one.reports.plan(queries).requests
        runs = [client.reports.gather(queries, store=tmp_path / "reports.db") for client in (one, other, one)]
        first, *others = await asyncio.gather(*runs)
    assert others == [first, first]
    assert asked(server) == planned


@pytest.mark.parametrize("queries", [[LAST_YEAR], PAGES])
async def test_when_the_one_who_asks_fails_the_next_one_asks_in_as_few_requests(
    server: FathomServer, make: Make, tmp_path: Path, queries: list[PageviewQuery]
) -> None:
    server.inject(Delay(30), path="/aggregations")
    async with make() as one, make() as other:
        failing = asyncio.create_task(one.reports.gather(queries, store=tmp_path / "reports.db"))
        await until(lambda: one.limits["reports"].in_flight == 1)
        waiting = asyncio.create_task(other.reports.gather(queries, store=tmp_path / "reports.db"))
        await asyncio.sleep(0.05)
        failing.cancel()
        assert all(report.rows for report in await waiting)
        assert asked(server) == 1, "the one that failed was still under way"


async def test_accounts_that_share_a_file_do_not_see_each_other(
    server: FathomServer, make: Make, tmp_path: Path
) -> None:
    for token, sent in (("one", 1), ("other", 2), ("one", 2)):
        async with make(token) as fathom:
            await fathom.reports.gather([LAST_YEAR], store=tmp_path / "reports.db")
        assert asked(server) == sent
    assert b"other" not in (tmp_path / "reports.db").read_bytes()


async def test_yesterday_is_over_by_the_clock_of_the_site(
    server: FathomServer, make: Make, clock: TurnedClock
) -> None:
    clock.date = datetime(2026, 11, 21, 3, tzinfo=UTC)
    yesterday = OPEN.replace(date_from="2026-11-20", date_to="2026-11-20")
    async with make() as fathom:
        east = (await fathom.sites.create(name="East", timezone="Asia/Tokyo")).id
        west = (await fathom.sites.create(name="West", timezone="America/Los_Angeles")).id
        for site, again in ((east, 0), (west, 1)):
            query = yesterday.replace(site_id=site)
            for days in (0, 30):
                clock.turn(days=days)
                before = asked(server)
                await fathom.reports.gather([query], store="memory://")
            assert asked(server) - before == again
            clock.date = datetime(2026, 11, 21, 3, tzinfo=UTC)


async def test_what_may_be_served_stale_waits_for_no_time_zone(
    server: FathomServer, make: Make, tmp_path: Path
) -> None:
    keeping = CachePolicy(max_age=60, stale_while_revalidate=1e9)
    yesterday = OPEN.replace(date_from="2026-11-20", date_to="2026-11-20")
    async with make() as fathom:
        await fathom.reports.gather([yesterday], store=tmp_path / "reports.db", keeping=keeping)
    server.inject(Delay(0.3), path="/sites/CDBUGS")
    async with make() as fathom:
        async with asyncio.timeout(0.25):
            kept = await fathom.reports.gather([yesterday], store=tmp_path / "reports.db", keeping=keeping)
        assert kept[0].rows
        await until(lambda: not fathom._session.scope._tasks)


async def test_a_time_zone_that_could_not_be_learned_is_asked_for_again(
    server: FathomServer, make: Make, clock: TurnedClock
) -> None:
    clock.date = datetime(2026, 11, 21, 12, tzinfo=UTC)
    yesterday = OPEN.replace(date_from="2026-11-20", date_to="2026-11-20")
    server.inject(Status(403), path="/sites/CDBUGS")
    async with make() as fathom:
        for _ in range(4):
            await fathom.reports.gather([yesterday], store="memory://", keeping=CachePolicy(max_age=0))
            clock.turn(seconds=30)
    assert sum(hit.path.endswith("/sites/CDBUGS") for hit in server.hits) == 2
    assert asked(server) == 2, "the zone was known from the third time on"


async def test_a_run_that_is_broken_off_at_any_moment_asks_only_for_the_rest(
    server: FathomServer, make: Make, tmp_path: Path
) -> None:
    chance = random.Random(5)
    async with make() as fathom:
        clean = fathom.reports.plan(MONTHS).requests
    broken_off = 0
    for _ in range(20):
        async with make(concurrency=1) as fathom:
            run = asyncio.create_task(fathom.reports.gather(MONTHS, store=tmp_path / "reports.db"))
            wanted = chance.randrange(3)
            await until(partial(has_sent, fathom, wanted, run))
            broken_off += not run.done()
            run.cancel()
            await asyncio.wait([run])
    async with make() as fathom:
        assert len(await fathom.reports.gather(MONTHS, store=tmp_path / "reports.db")) == len(MONTHS)
    assert asked(server) <= clean + broken_off


async def test_a_store_that_cannot_be_used_is_told_before_anything_is_sent(
    server: FathomServer, make: Make, tmp_path: Path
) -> None:
    (tmp_path / "reports.db").write_text("a letter to somebody, which is no database at all")
    async with make() as fathom:
        with pytest.raises((ArgumentError, StoreError)):
            await fathom.reports.gather([LAST_YEAR], store=tmp_path / "reports.db")
        with pytest.raises(ArgumentError, match="name a store too"):
            await fathom.reports.gather([LAST_YEAR], keeping=CachePolicy())
        with pytest.raises(ArgumentError, match="no kind known here"):
            await fathom.reports.gather([LAST_YEAR], store="postgres://db/reports")
    assert not server.hits


@pytest.mark.parametrize("error", [StoreError("the disk is full"), ClosedError("the store is closed")])
async def test_answers_that_cannot_be_kept_are_handed_out_all_the_same(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: FathomError
) -> None:
    store = open_store("memory://")

    async def full(_: object) -> None:
        raise error

    monkeypatch.setattr(store, "put_many", full)
    async with store, make() as fathom:
        assert (await fathom.reports.gather([LAST_YEAR], store=store))[0].rows
    assert f"1 answers could not be stored: {error}" in caplog.text
