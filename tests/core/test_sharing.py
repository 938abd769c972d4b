"""Equal requests with other options are one, carried as the most urgent caller wants it."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

from fathom_async import (
    FathomClient,
    FathomError,
    PageviewQuery,
    PageviewRow,
    Priority,
    Report,
    RetryPolicy,
    TimeoutError,  # noqa: A004 - ours is one
    WaitTooLongError,
)
from fathom_async.telemetry import Queued
from fathom_async.testing import Delay, FathomServer, Status
from tests.conftest import until

if TYPE_CHECKING:
    from fathom_async.telemetry import Event

pytestmark = pytest.mark.virtual_time

SITE = "CDBUGS"
QUERY = PageviewQuery(SITE, aggregates=["pageviews"], field_grouping=["pathname"])
OTHERS = [QUERY.replace(limit=limit, sort_by="pageviews:desc") for limit in range(1, 20)]

Call = asyncio.Task[Report[PageviewRow]]


def asked(server: FathomServer) -> list[str | None]:
    """Return the limits of the reports that were sent, in their order; those of `QUERY` are None."""
    limits = [hit.query.get("limit") for hit in server.hits if hit.path.endswith("aggregations")]
    return [None if limit == "1000" else limit for limit in limits]


def call(
    fathom: FathomClient,
    query: PageviewQuery = QUERY,
    priority: Priority = Priority.NORMAL,
    *,
    max_wait: float | None = None,
    timeout: float = 30.0,
    flow: str | None = None,
) -> Call:
    view = fathom.with_options(priority=priority, max_wait=max_wait, timeout=timeout, flow=flow)
    return asyncio.create_task(view.reports.aggregate(query))


async def queued(fathom: FathomClient, number: int) -> None:
    await asyncio.sleep(0.01)
    await until(lambda: fathom.limits["reports"].queued == number)


@pytest.fixture
async def spent(server: FathomServer) -> AsyncIterator[FathomClient]:
    """A client whose next report is due in a minute."""
    async with FathomClient("any", base_url=server.url, retry=RetryPolicy(base=0.001, cap=0.01)) as fathom:
        for _ in range(10):
            await fathom.reports.current_visitors(SITE)
        yield fathom


@pytest.fixture(params=["patient first", "urgent first"])
def urgent_is_first(request: pytest.FixtureRequest) -> bool:
    return str(request.param) == "urgent first"


async def test_a_request_goes_where_its_most_urgent_caller_would(
    server: FathomServer, spent: FathomClient, urgent_is_first: bool
) -> None:
    others = [call(spent, query, Priority.NORMAL) for query in OTHERS[:5]]
    await queued(spent, 5)
    priorities = [Priority.BULK, Priority.INTERACTIVE]
    callers: list[Call] = []
    for priority in reversed(priorities) if urgent_is_first else priorities:
        callers.append(call(spent, QUERY, priority))
        await queued(spent, 6)
    first, second = [await caller for caller in callers]
    await asyncio.gather(*others)
    assert first == second
    assert asked(server)[0] is None
    assert len(asked(server)) == 6
    assert spent.stats.shared == 1


async def test_callers_of_one_moment_are_one_request(server: FathomServer, spent: FathomClient) -> None:
    other = call(spent, OTHERS[0])
    await queued(spent, 1)
    callers = [call(spent, QUERY, priority) for priority in (*reversed(Priority), Priority.BULK)]
    await asyncio.gather(other, *callers)
    assert asked(server) == [None, "1"]


async def test_a_caller_is_not_served_later_than_its_own_request_would_be(
    server: FathomServer, spent: FathomClient
) -> None:
    crowd = [call(spent, query, flow="a long list") for query in [*OTHERS, QUERY]]
    await queued(spent, 20)
    await call(spent, QUERY, flow="a page")
    await asyncio.gather(*crowd)
    assert asked(server).index(None) <= 1
    assert len(asked(server)) == 20


async def test_a_request_does_not_lose_its_place_to_a_caller_whose_own_would_be_later(
    server: FathomServer, spent: FathomClient
) -> None:
    crowd = [call(spent, query, flow="a page") for query in [QUERY, OTHERS[-1]]]
    crowd += [call(spent, query, flow="a long list") for query in OTHERS[:9]]
    await queued(spent, 11)
    crowd.append(call(spent, QUERY, flow="a long list"))
    await asyncio.gather(*crowd)
    assert asked(server)[0] is None


async def test_the_estimate_counts_one_request_once(spent: FathomClient) -> None:
    before = spent.eta(10)
    callers = [call(spent, QUERY, max_wait=wait, timeout=5) for wait in (None, 500, 1000)]
    await queued(spent, 1)
    assert spent.eta(9) == pytest.approx(before, abs=0.1)
    await asyncio.gather(*callers)


async def test_one_request_has_one_number(server: FathomServer) -> None:
    waiting: list[int] = []

    def note(event: "Event") -> None:
        if isinstance(event, Queued):
            waiting.append(event.request)

    async with FathomClient("any", base_url=server.url, on_event=note) as fathom:
        fathom.pause(10)
        await asyncio.gather(
            *(call(fathom, QUERY, priority) for priority in (Priority.BULK, Priority.NORMAL))
        )
    assert len(waiting) == 1


async def test_a_run_beside_single_calls_sends_each_query_once(
    server: FathomServer, spent: FathomClient, urgent_is_first: bool
) -> None:
    async def run() -> list[Report[PageviewRow]]:
        return await spent.reports.gather([*OTHERS[:12], QUERY], fuse=False)

    await spent.reports.gather([OTHERS[-1]])  # so that nothing waits for whether the account may send any
    if urgent_is_first:
        single = call(spent, QUERY)
        running = asyncio.create_task(run())
    else:
        running = asyncio.create_task(run())
        await queued(spent, 4)
        single = call(spent, QUERY)
    assert await single == (await running)[-1]
    assert len(asked(server)) == 14


async def test_a_max_wait_that_cannot_be_met_is_an_error_at_once_and_concerns_nobody_else(
    server: FathomServer, spent: FathomClient, urgent_is_first: bool
) -> None:
    now = asyncio.get_running_loop().time
    patient = None if urgent_is_first else call(spent)
    if patient is not None:
        await queued(spent, 1)
    start = now()
    with pytest.raises(WaitTooLongError, match="later than max_wait=5 s"):
        await call(spent, QUERY, Priority.INTERACTIVE, max_wait=5)
    assert now() == start
    await (patient or call(spent))
    assert asked(server) == [None]


async def test_a_max_wait_that_can_be_met_is_kept_though_the_request_waits_in_another_flow(
    server: FathomServer, spent: FathomClient
) -> None:
    crowd = [call(spent, query, Priority.BULK, flow="a") for query in [QUERY, *OTHERS]]
    await queued(spent, 20)
    assert await call(spent, QUERY, Priority.BULK, max_wait=100, flow="a") == await crowd[0]
    await asyncio.gather(*crowd)
    assert len(asked(server)) == 20


@pytest.mark.parametrize("others", [None, 500.0])
async def test_each_caller_keeps_its_own_max_wait(
    server: FathomServer, spent: FathomClient, urgent_is_first: bool, others: float | None
) -> None:
    now = asyncio.get_running_loop().time
    waits = [90.0, others] if urgent_is_first else [others, 90.0]
    callers: list[Call] = []
    start = now()
    for wait in waits:
        callers.append(call(spent, QUERY, max_wait=wait))
        await queued(spent, 1)
    spent.pause(300)
    impatient, patient = callers if urgent_is_first else reversed(callers)
    with pytest.raises(WaitTooLongError):
        await impatient
    assert now() - start == pytest.approx(90, abs=1)
    await patient
    assert len(asked(server)) == 1


async def test_all_fail_when_nobody_can_wait(server: FathomServer, spent: FathomClient) -> None:
    callers = [call(spent, QUERY, max_wait=wait) for wait in (90, 100)]
    await queued(spent, 1)
    spent.pause(300)
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [WaitTooLongError] * 2
    assert spent.limits["reports"].queued == 0
    assert not asked(server)


async def test_a_caller_who_cannot_wait_for_another_attempt_gets_the_error_and_the_others_the_answer(
    server: FathomServer, fathom: FathomClient, urgent_is_first: bool
) -> None:
    server.inject(Status(503, headers={"Retry-After": "20"}))
    waits = [5.0, None] if urgent_is_first else [None, 5.0]
    outcomes = await asyncio.gather(
        *(call(fathom, QUERY, max_wait=wait) for wait in waits), return_exceptions=True
    )
    impatient, patient = outcomes if urgent_is_first else reversed(outcomes)
    assert isinstance(impatient, FathomError)
    assert isinstance(patient, Report)
    assert len(asked(server)) == 2


async def test_one_who_comes_while_the_request_is_on_its_way_waits_for_its_answer(
    server: FathomServer, fathom: FathomClient
) -> None:
    server.inject(Delay(20))
    patient = call(fathom, QUERY, Priority.BULK)
    await until(lambda: fathom.limits["reports"].in_flight == 1)
    assert await call(fathom, QUERY, Priority.INTERACTIVE, max_wait=0.5) == await patient
    assert len(asked(server)) == 1


@pytest.mark.parametrize("cancelled", [0, 1, 2])
async def test_one_who_is_cancelled_takes_nobody_with_it(
    server: FathomServer, spent: FathomClient, cancelled: int
) -> None:
    callers: list[Call] = []
    for priority, wait in ((Priority.BULK, None), (Priority.INTERACTIVE, 100.0), (Priority.NORMAL, 80.0)):
        callers.append(call(spent, QUERY, priority, max_wait=wait))
        await queued(spent, 1)
    callers.pop(cancelled).cancel()
    assert len({(await caller).rows for caller in callers}) == 1
    assert len(asked(server)) == 1


async def test_the_last_one_to_leave_takes_the_request_out_of_the_queue(
    server: FathomServer, spent: FathomClient
) -> None:
    patient = call(spent, QUERY, Priority.BULK)
    await queued(spent, 1)
    urgent = call(spent, QUERY, max_wait=90)
    await queued(spent, 1)
    spent.pause(300)
    patient.cancel()
    with pytest.raises(WaitTooLongError):
        await urgent
    await queued(spent, 0)
    assert spent.limits["reports"].in_flight == 0
    assert not asked(server)


@pytest.mark.parametrize("timeouts", [(1.0, 30.0), (30.0, 1.0)])
@pytest.mark.parametrize("is_on_its_way", [False, True])
async def test_a_request_has_the_longest_timeout_of_its_callers(
    server: FathomServer, timeouts: tuple[float, float], is_on_its_way: bool
) -> None:
    server.inject(Delay(10), Delay(10))
    async with FathomClient("any", base_url=server.url, retry=RetryPolicy(attempts=1)) as fathom:
        first = call(fathom, timeout=timeouts[0])
        if is_on_its_way:
            await until(lambda: fathom.limits["reports"].in_flight == 1)
        assert await call(fathom, timeout=timeouts[1]) == await first


async def test_timeouts_without_a_longer_one_are_errors(server: FathomServer) -> None:
    server.inject(Delay(10))
    async with FathomClient("any", base_url=server.url, retry=RetryPolicy(attempts=1)) as fathom:
        outcomes = await asyncio.gather(*(call(fathom, timeout=1) for _ in range(2)), return_exceptions=True)
        assert fathom.stats.sent == {"reports": 1}
    assert [type(outcome) for outcome in outcomes] == [TimeoutError] * 2


@pytest.mark.parametrize("plan", [None, "hourly:10:1", "classic"])
@pytest.mark.parametrize("budget", ["none", "file"])
async def test_any_mix_of_callers_sends_each_question_once(
    tmp_path: Path, plan: str | None, budget: Literal["none", "file"]
) -> None:
    chance = random.Random(7)
    async with FathomServer() as server:
        place = f"file://{tmp_path}/budget" if budget == "file" else None
        async with FathomClient("any", base_url=server.url, plan=plan, budget=place) as fathom:
            callers = [
                call(
                    fathom,
                    query,
                    chance.choice([*Priority]),
                    max_wait=chance.choice([None, 36_000.0, 72_000.0]),
                    flow=chance.choice(["a", "b", "c"]),
                )
                for query in OTHERS
                for _ in range(5)
            ]
            chance.shuffle(callers)
            for caller in callers[::7]:
                await asyncio.sleep(chance.random())
                caller.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
            assert not [caller for caller in callers if not caller.cancelled() and caller.exception()]
            assert sorted(asked(server), key=str) == sorted((str(n) for n in range(1, 20)), key=str)
            assert fathom.limits["reports"].queued == 0
