"""A client that was not told its account's plan, in front of several accounts, on a virtual clock."""

import asyncio
import logging
import random
from pathlib import Path

import pytest

from fathom_async import Priority, WaitTooLongError
from fathom_async.telemetry import Adapted
from fathom_async.testing import ConcurrencyCap, LaravelWindow, Verdict
from tests.ratelimit.accounts import Account, classic, client, hourly, now, one_limit, reports, sites

pytestmark = pytest.mark.virtual_time


def lost(answers: list[object]) -> int:
    return sum(isinstance(answer, BaseException) for answer in answers)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("refusals_tell", [True, False])
async def test_a_hundred_reports_on_a_plan_that_nobody_named(
    seed: int, refusals_tell: bool, caplog: pytest.LogCaptureFixture
) -> None:
    account = one_limit(rng=random.Random(seed), refusals_tell=refusals_tell)
    events: list[object] = []
    start = now()
    with caplog.at_level(logging.WARNING, "fathom_async"):
        async with client(account, on_event=events.append) as fathom:
            assert not lost(await reports(fathom, 100))
            assert now() - start <= 12
            assert account.refused == 0
            crud, scarcest = fathom.limits["crud"], fathom.limits["reports"]
    assert (scarcest.limit, scarcest.per) == (600, 3600)
    assert crud == scarcest
    assert [event for event in events if isinstance(event, Adapted)] == [
        Adapted("account", pytest.approx(start + 0.5, abs=0.5), "plan", 0, 600)  # type: ignore[arg-type]
    ]
    assert caplog.messages == ["the account's rate plan is 600 an hour, not classic, as answers show"]


async def test_more_than_the_plan_allows_waits_and_nothing_is_refused() -> None:
    account = one_limit()
    start = now()
    async with client(account) as fathom:
        assert not lost(await reports(fathom, 700))
    assert 3600 <= now() - start <= 3700
    assert account.refused == 0


async def test_an_account_with_the_classic_plan_sees_no_difference() -> None:
    took: set[float] = set()
    for plan in (None, "classic"):
        account, start = classic(handler=(0.1, 0.1)), now()
        async with client(account, plan=plan) as fathom:
            assert not lost([*await reports(fathom, 60), *await sites(fathom, 300)])
            assert [fathom.limits[lane].limit for lane in ("crud", "reports")] == [2000, 10]
        assert (account.hits, account.refused) == (360, 0)
        took.add(round(now() - start))
    assert len(took) == 1


async def test_a_plan_that_was_given_stays() -> None:
    account = one_limit()
    async with client(account, plan="classic") as fathom:
        assert not lost(await reports(fathom, 30))
        assert fathom.limits["reports"].limit == 10
    account = one_limit(2000, 25)
    async with client(account, plan="hourly:600:5") as fathom:
        assert not lost(await reports(fathom, 30))
        assert fathom.limits["reports"].limit == 600


async def test_whoever_waits_moves_over_with_class_deadline_and_kind() -> None:
    account = one_limit(handler=(1.0, 1.0))
    async with client(account) as fathom, asyncio.TaskGroup() as tasks:
        work = tasks.create_task(reports(fathom.with_options(priority=Priority.BULK), 60))
        await asyncio.sleep(0.1)
        start = now()
        page = tasks.create_task(reports(fathom.with_options(priority=Priority.INTERACTIVE), 1, first=500))
        hasty = tasks.create_task(reports(fathom.with_options(max_wait=2.5), 30, first=100))
        assert not lost(await page)
        assert now() - start <= 4
        kinds = {type(answer) for answer in await hasty}
        assert WaitTooLongError in kinds
        assert now() - start <= 4
        assert not lost(await work)
    assert account.refused == 0


async def test_what_was_sent_before_is_not_forgotten() -> None:
    account = one_limit()
    async with client(account) as fathom:
        assert not lost(await sites(fathom, 550))
        assert account.crowded == account.refused == 0
        start = now()
        assert not lost(await reports(fathom, 49))
        assert now() - start <= 60
        assert not lost(await reports(fathom, 5, first=100))
        assert 3500 <= now() - start <= 3700
    assert account.refused == 0


@pytest.mark.parametrize("is_shared", [False, True])
async def test_sites_find_out_how_many_may_be_in_flight(is_shared: bool, tmp_path: Path) -> None:
    account = one_limit()
    options = {"budget": f"file://{tmp_path}/budget"} if is_shared else {}
    async with client(account, **options) as fathom:
        assert not lost(await sites(fathom, 200))
        assert fathom.limits["crud"].limit == 600
        assert fathom.limits["reports"].limit == 10
    assert account.refused == 0


async def test_an_account_that_goes_back_to_the_classic_plan_is_found_out() -> None:
    account = one_limit()
    events: list[object] = []
    async with client(account, on_event=events.append) as fathom:
        assert not lost(await reports(fathom, 20))
        account.crud, account.reports, account.cap = LaravelWindow(2000, 3600), LaravelWindow(10, 60), None
        start = now()
        assert not lost([*await reports(fathom, 40, first=100), *await sites(fathom, 50)])
        assert [fathom.limits[lane].limit for lane in ("crud", "reports")] == [2000, 10]
        assert 180 <= now() - start <= 320
    assert account.refused <= 5
    assert [(event.before, event.after) for event in events if isinstance(event, Adapted)] == [
        (0, 600),
        (600, 0),
    ]


async def test_those_who_wait_go_back_each_to_its_own_lane() -> None:
    account = one_limit(handler=(0.5, 0.5))
    async with client(account) as fathom, asyncio.TaskGroup() as tasks:
        await reports(fathom, 1)
        account.crud, account.reports, account.cap = LaravelWindow(2000, 3600), LaravelWindow(10, 60), None
        waiting = [tasks.create_task(reports(fathom, 30, first=100)), tasks.create_task(sites(fathom, 30))]
        await asyncio.sleep(5)
        assert fathom.limits["reports"].queued > 10
        assert waiting[1].done()
        assert fathom.limits["crud"].queued == 0
    assert not any(lost(task.result()) for task in waiting)


async def test_a_larger_plan_is_found_out() -> None:
    account = one_limit()
    async with client(account) as fathom:
        await reports(fathom, 1)
        account.crud = account.reports = hourly(2000)
        assert not lost(await reports(fathom, 1_000, first=10))
        assert fathom.limits["reports"].limit == 2000
        assert now() <= 200
    assert account.refused == 0


async def test_one_wrong_word_is_soon_forgotten() -> None:
    account = classic()
    async with client(account) as fathom:
        right = account.reports
        account.reports = hourly(1000)
        await reports(fathom, 1)
        assert fathom.limits["reports"].limit == 1000
        account.reports = right
        assert not lost(await reports(fathom, 40, first=100))
        assert fathom.limits["reports"].limit == 10
    assert account.refused <= 2


async def test_headers_of_another_limit_do_not_make_it_change_for_ever() -> None:
    """Reports here are limited to ten a minute, and name the limit of all endpoints unless they are refused."""
    every = LaravelWindow(2000, per=3600)

    class Counted(LaravelWindow):
        def remaining(self, now: float) -> int:
            return every.remaining(now)

        def hit(self, now: float) -> Verdict:
            every.hit(now)
            return super().hit(now)

    account = Account(every, Counted(10, per=60), names=2000)
    events: list[object] = []
    start = now()
    async with client(account, on_event=events.append) as fathom:
        assert not lost(await reports(fathom, 200))
    assert account.refused <= 20
    assert now() - start <= 1.3 * 1_140
    assert 1 <= sum(isinstance(event, Adapted) for event in events) <= 8


@pytest.mark.parametrize("handler", [(0.1, 0.5), (1.0, 3.0)])
@pytest.mark.parametrize(("has_headers", "refusals_tell"), [(True, True), (True, False), (False, False)])
async def test_a_smaller_cap_than_the_plan_names_costs_few_refusals(
    handler: tuple[float, float], has_headers: bool, refusals_tell: bool
) -> None:
    account = one_limit(handler=handler, has_headers=has_headers, refusals_tell=refusals_tell)
    start = now()
    async with client(account, plan="hourly:600:25") as fathom:
        assert not lost(await reports(fathom, 100))
    assert account.refused <= 30
    assert now() - start <= 1.2 * 20 * sum(handler) / 2 + 10


async def test_close_ends_the_lanes_that_are_not_in_use() -> None:
    account = one_limit(handler=(5.0, 5.0))
    async with client(account) as fathom:
        await reports(fathom, 1)
        task = asyncio.create_task(reports(fathom, 20, first=100))
        await asyncio.sleep(1)
    assert lost(await task) == 20


def test_a_network_needs_a_cap_of_its_own() -> None:
    assert isinstance(one_limit().cap, ConcurrencyCap)
    assert Account(hourly(), hourly()).cap is None
