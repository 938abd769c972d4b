"""Runs with a store beside each other: who asks, who waits for whom, and for how long."""

# pyright: reportPrivateUsage=false

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fathom_async import FathomClient, Keeping, LoopClock, PageviewQuery, Priority, WaitTooLongError
from fathom_async.bulk.intents import Intents
from fathom_async.testing import Delay, FathomServer
from tests.conftest import EAGER, until

SITE = "CDBUGS"
JANUARY = PageviewQuery(SITE, aggregates=["visits"], date_from="2026-01-01", date_to="2026-01-31")
QUERIES = [
    JANUARY.replace(field_grouping=["pathname"], sort_by=f"{JANUARY.aggregates[0]}:desc", limit=1 + number)
    for number in range(30)
]
SPEED = 100.0


@pytest.fixture
async def quick_server() -> AsyncIterator[FathomServer]:
    """Ten reports in each 0.6 seconds."""
    async with FathomServer(speed=SPEED, now=datetime(2026, 11, 21, 12, tzinfo=UTC)) as running:
        yield running


@pytest.fixture
async def quick(quick_server: FathomServer) -> AsyncIterator[FathomClient]:
    async with FathomClient(
        "any", base_url=quick_server.url, retry=EAGER, clock=LoopClock(SPEED), timeout=600
    ) as client:
        yield client


def asked(server: FathomServer, query: PageviewQuery) -> int:
    return sum(hit.query == query.params() for hit in server.hits)


def reports(server: FathomServer) -> int:
    return sum(hit.lane == "reports" for hit in server.hits)


async def test_a_page_waits_for_the_lane_and_not_for_the_bulk_run_that_is_to_ask_the_same(
    quick_server: FathomServer, quick: FathomClient
) -> None:
    bulk = asyncio.create_task(quick.reports.gather(QUERIES, store="memory://"))
    await until(lambda: reports(quick_server) >= 10)
    await quick.reports.gather([QUERIES[-1]], store="memory://", priority=Priority.INTERACTIVE)
    assert quick.limits["reports"].queued > 9, "the bulk run is not over"
    await bulk
    assert reports(quick_server) == len(QUERIES), "what the page asked was not asked again"
    assert asked(quick_server, QUERIES[-1]) == 1


async def test_who_cannot_wait_is_told_at_once_though_others_are_to_ask_the_same(
    quick_server: FathomServer, quick: FathomClient
) -> None:
    bulk = asyncio.create_task(quick.reports.gather(QUERIES, store="memory://"))
    await until(lambda: reports(quick_server) >= 10)
    hasty = quick.with_options(max_wait=5.0)
    for priority in (Priority.INTERACTIVE, Priority.BULK):
        start = asyncio.get_running_loop().time()
        (outcome,) = [o async for o in hasty.reports.run(QUERIES[-1:], store="memory://", priority=priority)]
        assert isinstance(outcome.error, WaitTooLongError)
        assert (asyncio.get_running_loop().time() - start) * SPEED < 60
    bulk.cancel()
    await asyncio.wait([bulk])


async def test_pages_that_want_the_same_stand_in_the_lane_once(
    quick_server: FathomServer, quick: FathomClient
) -> None:
    quick.pause(3600, lane="reports")

    async def page() -> str:
        run = quick.reports.run(QUERIES[:3], store="memory://", priority=Priority.INTERACTIVE)
        return "".join(sorted([outcome.origin[0] async for outcome in run]))

    pages = [asyncio.create_task(page()) for _ in range(20)]
    await until(lambda: quick.limits["reports"].queued == 3)
    await asyncio.sleep(0.05)
    assert quick.limits["reports"].queued == 3
    quick.resume()
    assert sorted([await each for each in pages]) == ["aaa", *["kkk"] * 19]
    assert reports(quick_server) == 3


@pytest.mark.parametrize("priority", Priority)
async def test_processes_ask_once_however_urgent_it_is_and_long_it_takes(
    quick_server: FathomServer, priority: Priority, tmp_path: Path
) -> None:
    quick_server.inject(Delay(20), path="/aggregations")

    async def process() -> None:
        async with FathomClient("any", base_url=quick_server.url, clock=LoopClock(SPEED)) as fathom:
            await fathom.reports.gather([JANUARY], store=tmp_path / "reports.db", priority=priority)

    await asyncio.gather(*(process() for _ in range(4)))
    assert reports(quick_server) == 1


async def test_what_was_stale_is_asked_for_anew_by_those_who_cannot_wait_too(
    quick_server: FathomServer, quick: FathomClient
) -> None:
    keeping = Keeping(max_age=0, stale_while_revalidate=1e9)
    queries = [query.replace(date_to=None) for query in QUERIES]
    await quick.reports.gather(queries, store="memory://", keeping=keeping)
    hasty = quick.with_options(priority=Priority.INTERACTIVE, max_wait=1.0)
    outcomes = [outcome async for outcome in hasty.reports.run(queries, store="memory://", keeping=keeping)]
    assert {outcome.origin for outcome in outcomes} == {"stale"}
    await until(lambda: reports(quick_server) == 2 * len(queries))


async def test_pieces_of_a_long_report_are_not_asked_again(
    quick_server: FathomServer, quick: FathomClient, tmp_path: Path
) -> None:
    by_the_hour = JANUARY.replace(date_grouping="hour", date_from="2025-10-01")
    pieces = quick.reports.plan([by_the_hour]).requests
    assert pieces > 15
    run = asyncio.create_task(quick.reports.gather([by_the_hour], store=tmp_path / "reports.db"))
    await until(lambda: reports(quick_server) == 10 and not quick.limits["reports"].in_flight)
    await asyncio.sleep(0.1)
    run.cancel()
    await asyncio.wait([run])
    (again,) = await quick.reports.gather([by_the_hour], store=tmp_path / "reports.db")
    assert reports(quick_server) == pieces
    assert again == await quick.reports.aggregate(by_the_hour)


async def test_an_intent_keeps_back_who_is_as_urgent_or_less() -> None:
    intents = Intents()
    with intents.declare(["a", "b"], Priority.NORMAL) as first:
        assert not first
        with intents.declare(["a", "c"], Priority.BULK) as less:
            assert list(less) == ["a"]
            with intents.declare(["a", "c"], Priority.INTERACTIVE) as more:
                assert not more
                with intents.declare(["a"], Priority.INTERACTIVE) as same:
                    assert list(same) == ["a"]
            assert same["a"].done()
        assert not less["a"].done()
    assert less["a"].done()
    with intents.declare(["a", "b", "c"], Priority.BULK) as after:
        assert not after
