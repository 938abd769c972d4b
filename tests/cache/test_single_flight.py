"""Concurrent runs with a store: which one asks, which ones wait, and for how long."""

# pyright: reportPrivateUsage=false

import asyncio
import gc
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fathom_async import CachePolicy, FathomClient, PageviewQuery, Priority, WaitTooLongError
from fathom_async._cache.single_flight import SingleFlight, StoreFlight
from fathom_async.errors import StoreError
from fathom_async.testing import Delay, FathomServer
from tests.conftest import until

SITE = "CDBUGS"
JANUARY = PageviewQuery(SITE, aggregates=["visits"], date_from="2026-01-01", date_to="2026-01-31")
QUERIES = [
    JANUARY.replace(
        field_grouping=["pathname"], sort_by="visits:desc", limit=9, date_from=f"2026-01-{day:02}"
    )
    for day in range(1, 31)
]

pytestmark = pytest.mark.virtual_time(now=datetime(2026, 11, 21, 12, tzinfo=UTC))


def asked(server: FathomServer, query: PageviewQuery) -> int:
    return sum(hit.query == query.params() for hit in server.hits)


def reports(server: FathomServer) -> int:
    return sum(hit.lane == "reports" for hit in server.hits)


async def test_a_page_waits_for_the_lane_and_not_for_the_bulk_run_that_is_to_ask_the_same(
    server: FathomServer, fathom: FathomClient
) -> None:
    bulk = asyncio.create_task(fathom.reports.gather(QUERIES, store="memory://"))
    await until(lambda: reports(server) >= 10)
    await fathom.reports.gather([QUERIES[-1]], store="memory://", priority=Priority.INTERACTIVE)
    assert fathom.limits["reports"].queued > 9, "the bulk run is not over"
    await bulk
    assert reports(server) == len(QUERIES), "what the page asked was not asked again"
    assert asked(server, QUERIES[-1]) == 1


async def test_who_cannot_wait_is_told_in_time_though_others_are_to_ask_the_same(
    server: FathomServer, fathom: FathomClient
) -> None:
    bulk = asyncio.create_task(fathom.reports.gather(QUERIES, store="memory://"))
    await until(lambda: reports(server) >= 10)
    hasty = fathom.with_options(max_wait=5.0)
    for priority in (Priority.INTERACTIVE, Priority.BULK):
        start = asyncio.get_running_loop().time()
        (outcome,) = [o async for o in hasty.reports.run(QUERIES[-1:], store="memory://", priority=priority)]
        assert isinstance(outcome.error, WaitTooLongError)
        assert asyncio.get_running_loop().time() - start <= 5.0
    bulk.cancel()
    await asyncio.wait([bulk])


async def test_pages_that_want_the_same_stand_in_the_lane_once(
    server: FathomServer, fathom: FathomClient
) -> None:
    fathom.pause(3600, lane="reports")

    async def page() -> str:
        run = fathom.reports.run(QUERIES[:3], store="memory://", priority=Priority.INTERACTIVE)
        return "".join(sorted([outcome.origin[0] async for outcome in run]))

    pages = [asyncio.create_task(page()) for _ in range(20)]
    await until(lambda: fathom.limits["reports"].queued == 3)
    await asyncio.sleep(0.05)
    assert fathom.limits["reports"].queued == 3
    fathom.resume()
    assert sorted("".join([await each for each in pages])) == [*"aaa", *"kkk" * 19]
    assert reports(server) == 3


@pytest.mark.parametrize("priority", Priority)
async def test_processes_ask_once_however_urgent_it_is_and_long_it_takes(
    server: FathomServer, priority: Priority, tmp_path: Path
) -> None:
    server.inject(Delay(20), path="/aggregations")

    async def process() -> None:
        async with FathomClient("any", base_url=server.url) as fathom:
            await fathom.reports.gather([JANUARY], store=tmp_path / "reports.db", priority=priority)

    await asyncio.gather(*(process() for _ in range(4)))
    assert reports(server) == 1


async def test_what_was_stale_is_asked_for_anew_by_those_who_cannot_wait_too(
    server: FathomServer, fathom: FathomClient
) -> None:
    keeping = CachePolicy(max_age=0, stale_while_revalidate=1e9)
    queries = [query.replace(date_to=None) for query in QUERIES]
    await fathom.reports.gather(queries, store="memory://", keeping=keeping)
    await asyncio.sleep(1)
    hasty = fathom.with_options(priority=Priority.INTERACTIVE, max_wait=1.0)
    outcomes = [outcome async for outcome in hasty.reports.run(queries, store="memory://", keeping=keeping)]
    assert {outcome.origin for outcome in outcomes} == {"stale"}
    await until(lambda: reports(server) == 2 * len(queries))


async def test_pieces_of_a_long_report_are_not_asked_again(
    server: FathomServer, fathom: FathomClient, tmp_path: Path
) -> None:
    by_the_hour = JANUARY.replace(date_grouping="hour", date_from="2025-10-01")
    pieces = fathom.reports.plan([by_the_hour]).requests
    assert pieces > 15
    run = asyncio.create_task(fathom.reports.gather([by_the_hour], store=tmp_path / "reports.db"))
    await until(lambda: reports(server) == 10 and not fathom.limits["reports"].in_flight)
    await asyncio.sleep(0.1)
    run.cancel()
    await asyncio.wait([run])
    (again,) = await fathom.reports.gather([by_the_hour], store=tmp_path / "reports.db")
    assert reports(server) == pieces
    assert again == await fathom.reports.aggregate(by_the_hour)


async def test_an_intent_keeps_back_who_is_as_urgent_or_less() -> None:
    single_flight = SingleFlight()
    with single_flight.declare(["a", "b"], Priority.NORMAL) as first:
        assert not first
        with single_flight.declare(["a", "c"], Priority.BULK) as less:
            assert list(less) == ["a"]
            with single_flight.declare(["a", "c"], Priority.INTERACTIVE) as more:
                assert not more
                with single_flight.declare(["a"], Priority.INTERACTIVE) as same:
                    assert list(same) == ["a"]
            assert same["a"].done()
        assert not less["a"].done()
    assert less["a"].done()
    with single_flight.declare(["a", "b", "c"], Priority.BULK) as after:
        assert not after


class FullDisk:
    """A backend that takes a while to find out that its disk is full."""

    async def acquire(self, keys: Collection[str], owner: str) -> Collection[str]:
        await asyncio.sleep(1)
        raise StoreError(f"no room for {owner} of {keys}")

    async def release(self, held: Mapping[str, str]) -> None:
        raise AssertionError(held)

    async def renew(self, held: Mapping[str, str]) -> None:
        raise AssertionError(held)

    async def held(self, keys: Collection[str]) -> Collection[str]:
        raise AssertionError(keys)


async def test_a_claim_that_fails_after_its_caller_was_cancelled_is_not_logged_as_lost() -> None:
    lost = list[object]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))
    flight = StoreFlight(FullDisk(), lease=30)

    async def claim() -> None:
        async with flight.claim(["a"]):
            raise AssertionError

    given_up, waiting = asyncio.create_task(claim()), asyncio.create_task(claim())
    await asyncio.sleep(0.5)
    given_up.cancel()
    assert isinstance((await asyncio.gather(waiting, return_exceptions=True))[0], StoreError)
    await flight.aclose()
    del given_up, waiting
    gc.collect()
    assert lost == []
