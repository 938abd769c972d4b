"""`look`: a shared budget, seen by a process that sends nothing."""

import asyncio
import signal
from contextlib import suppress

import pytest

from fathom_async import BudgetError, ClosedError, FathomClient, PageviewQuery
from fathom_async.testing import FathomServer
from tests.conftest import until
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.virtual_time

TOKEN = "any"


def query(number: int) -> PageviewQuery:
    return PageviewQuery("CDBUGS", aggregates=["pageviews"], limit=number)


async def test_a_process_that_spends_nothing_sees_what_others_do(server: FathomServer, budget: str) -> None:
    async with (
        FathomClient(TOKEN, base_url=server.url, budget=budget) as busy,
        FathomClient(TOKEN, base_url=server.url, budget=budget) as onlooker,
    ):
        assert (await onlooker.look())["reports"].used == 0
        tasks = [asyncio.create_task(busy.reports.aggregate(query(1 + number))) for number in range(11)]
        await until(lambda: sum(task.done() for task in tasks) == 10)
        seen = (await onlooker.look())["reports"]
        assert (seen.used, seen.waiting, seen.queued) == (10, 1, 0)
        assert 30 < seen.next_slot_in <= 130
        assert (await busy.look())["reports"].waiting == 0, "oneself is not counted"
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert (await onlooker.look())["reports"].waiting == 0
        assert onlooker.stats.pageviews == 0


async def test_a_pause_by_the_server_is_seen_by_all(server: FathomServer, budget: str) -> None:
    async with FathomClient(TOKEN, base_url=server.url) as stranger:
        await asyncio.gather(*(stranger.reports.aggregate(query(1 + number)) for number in range(10)))
    async with (
        FathomClient(TOKEN, base_url=server.url, budget=budget) as refused,
        FathomClient(TOKEN, base_url=server.url, budget=budget) as onlooker,
    ):
        task = asyncio.create_task(refused.reports.aggregate(query(11)))
        await until(lambda: refused.limits["reports"].paused_for > 0)
        seen = (await onlooker.look())["reports"]
        assert 0 < seen.paused_for <= 62
        assert seen.next_slot_in >= seen.paused_for - 1
        task.cancel()
        await asyncio.wait([task])


async def test_a_window_of_ones_own_needs_no_look(fathom: FathomClient) -> None:
    await fathom.reports.current_visitors("CDBUGS")
    assert (await fathom.look())["reports"].used == 1
    await fathom.aclose()
    with pytest.raises(ClosedError):
        await fathom.look()


async def test_a_budget_out_of_reach_is_an_error(server: FathomServer, mortal_redis: RedisServer) -> None:
    async with FathomClient(TOKEN, base_url=server.url, budget=mortal_redis.url) as fathom:
        await fathom.look()
        mortal_redis.kill()
        for _ in range(2):
            with pytest.raises(BudgetError, match="cannot be used"):
                await fathom.look()
        mortal_redis.start()
        while True:
            with suppress(BudgetError):
                await fathom.look()
                break
            await asyncio.sleep(0.02)


async def test_whoever_looks_while_the_client_is_closed_is_told(
    server: FathomServer, mortal_redis: RedisServer
) -> None:
    async with FathomClient(TOKEN, base_url=server.url, budget=mortal_redis.url) as fathom:
        await fathom.look()
        mortal_redis.signal(signal.SIGSTOP)
        looking = asyncio.create_task(fathom.look())
        await asyncio.sleep(0.05)
        await fathom.aclose()
        with pytest.raises(ClosedError):
            await looking
    mortal_redis.signal(signal.SIGCONT)


async def test_carrying_on_alone_tells_of_the_own_window(
    server: FathomServer, mortal_redis: RedisServer
) -> None:
    async with FathomClient(
        TOKEN, base_url=server.url, budget=mortal_redis.url, on_budget_lost=0.5
    ) as fathom:
        await fathom.look()
        mortal_redis.kill()
        seen = (await fathom.look())["reports"]
        assert (seen.used, seen.waiting) == (0, 0)
