"""Several clients of one budget that find out the account's plan: a file on a virtual clock, Redis in real time."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from itertools import chain
from pathlib import Path

import pytest

from fathom_async import ConfigurationError, FathomClient
from fathom_async.telemetry import Adapted
from fathom_async.testing import LaravelWindow
from tests.ratelimit.accounts import client, now, one_limit, reports, sites
from tests.support.redis_server import RedisServer

Work = Callable[[FathomClient, int, int], Awaitable[list[object]]]


def lost(*answers: list[object]) -> int:
    return sum(isinstance(answer, BaseException) for answer in chain.from_iterable(answers))


@pytest.fixture
def budget(tmp_path: Path) -> str:
    return f"file://{tmp_path}/budget"


@pytest.mark.virtual_time
async def test_what_one_process_finds_out_all_others_follow(budget: str) -> None:
    account = one_limit()
    async with client(account, budget=budget) as finder, client(account, budget=budget) as other:
        start = now()
        assert not lost(*await asyncio.gather(reports(finder, 60), reports(other, 60, first=100)))
        assert now() - start <= 60
        assert finder.limits["reports"].limit == other.limits["crud"].limit == 600
    assert account.refused <= 5
    assert account.hits == 120 + account.refused


@pytest.mark.virtual_time
async def test_a_process_that_starts_later_begins_with_it(budget: str) -> None:
    account = one_limit()
    async with client(account, budget=budget) as finder:
        await reports(finder, 3)
    async with client(account, budget=budget) as later:
        assert (await later.look())["crud"].limit == 600
        assert later.limits["reports"].limit == 600
        assert later.limits["reports"].used >= 2
        start = now()
        assert not lost(await sites(later, 20))
        assert now() - start <= 5
    assert account.refused == 0


@pytest.mark.virtual_time
async def test_a_memory_that_is_wrong_by_now_is_forgotten_for_all(budget: str) -> None:
    account = one_limit()
    async with client(account, budget=budget) as finder:
        await reports(finder, 3)
    account.crud, account.reports, account.cap = LaravelWindow(2000, 3600), LaravelWindow(10, 60), None
    async with client(account, budget=budget) as later:
        await later.look()
        assert not lost(await reports(later, 12, first=10))
        assert later.limits["reports"].limit == 10
    events: list[object] = []
    async with client(account, budget=budget, on_event=events.append) as last:
        assert (await last.look())["crud"].limit == 2000
        assert not lost([*await sites(last, 10), *await reports(last, 12, first=30)])
        assert not any(isinstance(event, Adapted) for event in events)
    assert account.refused <= 3


@pytest.mark.virtual_time
async def test_a_plan_that_was_given_is_one_budget_with_the_same_that_was_learned(budget: str) -> None:
    account = one_limit()
    async with (
        client(account, budget=budget) as finder,
        client(account, budget=budget, plan="hourly:600:5") as told,
    ):
        await reports(finder, 3)
        await reports(finder, 5, first=20)
        assert (await told.look())["reports"].used >= 5
        start = now()
        both = await asyncio.gather(reports(finder, 40, first=100), reports(told, 40, first=200))
        assert not lost(*both)
        assert now() - start <= 30
    assert account.refused == 0


@pytest.mark.parametrize(
    "plans",
    [
        ("hourly:600:5", "hourly:500:5"),
        ("hourly:500:5", "hourly:600:5"),
        ("hourly:600:5", "hourly:600:25"),
        ("hourly:600:5", "classic"),
        ("classic", "hourly:600:5"),
    ],
)
@pytest.mark.parametrize("work", [reports, sites])
@pytest.mark.virtual_time
async def test_two_plans_that_were_given_are_somebodys_mistake(
    budget: str, plans: list[str], work: Work
) -> None:
    account = one_limit()
    first, second = plans
    async with client(account, budget=budget, plan=first) as right:
        assert not lost(await work(right, 1, 0))
        async with client(account, budget=budget, plan=second) as wrong:
            for _ in range(2):
                (answer,) = await work(wrong, 1, 0)
                assert isinstance(answer, ConfigurationError)
                assert f"with the plan {first}, not {second}: give all" in str(answer)
        await asyncio.sleep(1000)
        async with client(account, budget=budget, plan=second) as newcomer:
            (answer,) = await work(newcomer, 1, 0)
            assert isinstance(answer, ConfigurationError), "the first one is open, and asks nothing"
        assert not lost(await work(right, 1, 1))
    assert account.hits == 2
    await asyncio.sleep(200)
    async with client(account, budget=budget, plan=second) as later:
        assert not lost(await work(later, 1, 2)), "nobody uses the other one any more"


@pytest.mark.parametrize("work", [reports, sites])
@pytest.mark.parametrize("headers", [True, False])
@pytest.mark.virtual_time
async def test_whoever_would_have_to_learn_a_plan_hears_of_the_one_that_was_given(
    budget: str, work: Work, headers: bool
) -> None:
    account = one_limit(has_headers=headers)
    async with (
        client(account, budget=budget, plan="hourly:600:5") as told,
        client(account, budget=budget) as other,
    ):
        assert not lost(*await asyncio.gather(work(told, 150, 0), work(other, 150, 1000)))
        assert other.limits["reports"].limit == 600
        assert other.limits["crud"].used == 300 - (not headers)
    assert account.refused <= 1, "the first request of the other one was one too many at once"


@pytest.mark.parametrize("plan", ["hourly:600:5", "classic"])
async def test_by_way_of_redis_plans_are_compared_too(lasting_redis: RedisServer, plan: str) -> None:
    account = one_limit(handler=(0.0, 0.01))
    options = {"budget": lasting_redis.url, "budget_key": f"{plan} {time.monotonic()}"}
    async with (
        client(account, **options, plan=plan) as right,
        client(account, **options, plan="hourly:500:5") as wrong,
        client(account, **options) as learner,
    ):
        assert not lost(await sites(right, 1))
        for _ in range(2):
            (answer,) = await sites(wrong, 1)
            assert isinstance(answer, ConfigurationError)
        assert not lost(await sites(learner, 2))
        assert learner.limits["reports"].limit == (10 if plan == "classic" else 600)
    assert account.hits == 3


@pytest.mark.parametrize("cap_told", [True, False])
@pytest.mark.virtual_time
async def test_four_processes_count_the_cap_together(budget: str, cap_told: bool) -> None:
    took: list[float] = []
    for clients in (1, 4):
        account = one_limit(rng=random.Random(clients), has_headers=cap_told)
        opened = [
            client(account, budget=f"{budget}", budget_key=f"{clients}", plan="hourly:600:5")
            for _ in range(clients)
        ]
        start = now()
        work = [reports(fathom, 100 // clients, first=1000 * number) for number, fathom in enumerate(opened)]
        assert not lost(*await asyncio.gather(*work))
        took.append(now() - start)
        assert account.refused == 0
        for fathom in opened:
            await fathom.aclose()
    assert took[1] <= 1.1 * took[0] + 1


async def test_the_same_by_way_of_redis(lasting_redis: RedisServer) -> None:
    account = one_limit(handler=(0.01, 0.05))
    options = {"budget": lasting_redis.url, "budget_key": f"{time.monotonic()}"}
    async with client(account, **options) as finder, client(account, **options) as other:
        both = await asyncio.gather(reports(finder, 30), reports(other, 30, first=100))
        assert not lost(*both)
        assert finder.limits["reports"].limit == other.limits["crud"].limit == 600
    async with client(account, **options) as later:
        assert (await later.look())["crud"].limit == 600
        assert not lost(await sites(later, 10))
    assert account.refused <= 5
