"""The lane: which request is admitted when, on a virtual clock."""

import asyncio
import gc
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom_async._ratelimit.admission import SILENT, Again, Feedback
from fathom_async._ratelimit.lane import PROBE_PATIENCE, Lane
from fathom_async._ratelimit.plan import Priority, RateLimit
from fathom_async._ratelimit.waiting import SLICE
from fathom_async._util.clock import LoopClock
from fathom_async.errors import ClosedError, WaitTooLongError
from fathom_async.testing import ConcurrencyCap, LaravelWindow, SlidingLog, run_virtual
from tests.ratelimit.servers import Server, play, silence
from tests.support.soak import tries

pytestmark = pytest.mark.virtual_time

SPAN = 61.0


def lane_of(
    requests: int = 10, per: float = 60, *, burst: int | None = None, concurrency: int | None = None
) -> Lane:
    return Lane("reports", RateLimit(requests, per, burst), clock=LoopClock(), concurrency=concurrency)


def now() -> float:
    return asyncio.get_running_loop().time()


async def request(
    lane: Lane,
    *,
    takes: float = 0.1,
    priority: Priority = Priority.NORMAL,
    max_wait: float | None = None,
    again: Again | None = None,
    feedback: Feedback = SILENT,
) -> float:
    """Pass through the lane; return when it was admitted."""
    async with lane.permit(priority, max_wait=max_wait, again=again) as admission:
        admitted = now()
        admission.sent()
        await asyncio.sleep(takes)
        admission.answered(feedback)
    return admitted


async def test_a_cold_lane_sends_one_request_alone() -> None:
    lane = lane_of()
    admitted = await asyncio.gather(*(request(lane, takes=2.0) for _ in range(10)))
    assert admitted == [0.0] + [2.0] * 9


async def test_a_slow_probe_does_not_hold_the_others_for_ever() -> None:
    lane = lane_of()
    admitted = await asyncio.gather(*(request(lane, takes=12.0) for _ in range(4)))
    assert admitted == [0.0, PROBE_PATIENCE, 2 * PROBE_PATIENCE, 12.0]


async def test_a_lane_is_cold_again_after_a_window_without_answers() -> None:
    lane = lane_of()
    await request(lane)
    await asyncio.sleep(SPAN)
    start = now()
    admitted = await asyncio.gather(*(request(lane, takes=1.0) for _ in range(3)))
    assert admitted == [start, start + 1.0, start + 1.0]


async def test_requests_are_admitted_in_the_order_they_came() -> None:
    lane = lane_of(2)
    order: list[int] = []

    async def numbered(number: int) -> None:
        await request(lane)
        order.append(number)

    await asyncio.gather(*map(numbered, range(9)))
    assert order == list(range(9))


async def test_urgent_requests_overtake_and_bulk_does_not_starve() -> None:
    lane = lane_of(1)
    order: list[Priority] = []

    async def by_priority(priority: Priority) -> None:
        await request(lane, priority=priority)
        order.append(priority)

    bulk = [Priority.BULK] * 3
    interactive = [Priority.INTERACTIVE] * 30
    await asyncio.gather(*map(by_priority, [Priority.NORMAL, *bulk, *interactive]))
    assert order[0] is Priority.NORMAL  # it found an empty lane
    assert [place for place, priority in enumerate(order) if priority is Priority.BULK] == [9, 18, 27]


async def test_a_retry_goes_before_all_others_of_its_priority() -> None:
    lane = lane_of(1)
    waiting = [asyncio.create_task(request(lane)) for _ in range(3)]
    await asyncio.sleep(0)
    retry = await request(lane, again="refused")
    assert [task.done() for task in waiting] == [True, False, False]
    assert retry == pytest.approx(SPAN + 0.1)
    await asyncio.gather(*waiting)


async def test_max_wait_fails_at_once_with_the_eta() -> None:
    lane = lane_of()
    waiting = [asyncio.create_task(request(lane)) for _ in range(25)]
    await asyncio.sleep(1)
    before = now()
    with pytest.raises(WaitTooLongError) as caught:
        await request(lane, max_wait=100)
    assert now() == before
    assert caught.value.eta == pytest.approx(2 * SPAN - 1, abs=0.5)
    admitted = await request(lane, max_wait=130)
    assert admitted - before == pytest.approx(caught.value.eta, abs=1)
    await asyncio.gather(*waiting)


async def test_max_wait_fails_at_once_when_a_pause_makes_it_hopeless() -> None:
    lane = lane_of(1)
    async with lane.permit() as admission:
        admission.sent()
        hurried = asyncio.create_task(request(lane, max_wait=120))
        patient = asyncio.create_task(request(lane))
        await asyncio.sleep(1)
        admission.refused(Feedback(1, 0, 3600))
        before = now()
    with pytest.raises(WaitTooLongError):
        await hurried
    assert now() == before
    assert await patient == pytest.approx(before + 3601)


async def test_max_wait_ends_a_wait_that_took_longer_than_it_looked() -> None:
    lane = lane_of(1)
    slow = asyncio.create_task(request(lane, takes=4.0))
    await asyncio.sleep(0)
    with pytest.raises(WaitTooLongError):
        await request(lane, max_wait=62)
    assert now() == 62
    await slow


async def test_a_refusal_pauses_everyone_and_then_probes() -> None:
    lane = lane_of()
    await request(lane, feedback=Feedback(10, 9))
    async with lane.permit() as refused:
        refused.sent()
        refused.refused(Feedback(10, 0, 20))
        waiting = [asyncio.create_task(request(lane, takes=1.0)) for _ in range(3)]
        await asyncio.sleep(0)
    start = now()
    admitted = await asyncio.gather(*waiting)
    assert admitted == pytest.approx([start + 21, start + 22, start + 22])


async def test_refusals_without_a_time_back_off_further_and_further() -> None:
    lane = lane_of()
    pauses: list[float] = []
    for _ in range(9):
        async with lane.permit() as admission:
            admission.sent()
            admission.refused(SILENT)
        pauses.append(lane.status().paused_for)
    assert pauses == [2, 3, 5, 9, 17, 33, 61, 61, 61]


async def test_refusals_may_go_on_for_as_long_as_they_like() -> None:
    lane = lane_of()
    for _ in range(1100):
        async with lane.permit() as admission:
            admission.sent()
            admission.refused(SILENT)
    assert lane.status().paused_for == 61


async def test_refusals_of_requests_that_went_out_together_count_as_one() -> None:
    lane = lane_of(100)
    await request(lane)
    pauses: list[float] = []

    async def refused(after: float) -> None:
        async with lane.permit() as admission:
            admission.sent()
            await asyncio.sleep(after)
            admission.refused(SILENT)
            pauses.append(lane.status().paused_for)

    await asyncio.gather(*(refused(number / 100) for number in range(10)))
    assert pauses == pytest.approx([2] * 10)
    await refused(0.5)
    await refused(0.5)
    assert pauses[10:] == pytest.approx([3, 5])


async def test_a_late_refusal_of_a_burst_pauses_for_as_long_as_the_first_one() -> None:
    lane = lane_of(100)
    await request(lane)
    async with lane.permit() as one, lane.permit() as other, lane.permit() as answered:
        for admission in (one, other, answered):
            admission.sent()
        one.refused(SILENT)
        answered.answered(SILENT)
        await asyncio.sleep(5)
        other.refused(SILENT)
    assert lane.status().paused_for == 2


async def test_a_refusal_with_requests_left_lowers_the_number_at_once() -> None:
    lane = lane_of()
    await request(lane)
    gate = asyncio.Event()
    in_flight = 0

    async def held() -> None:
        nonlocal in_flight
        async with lane.permit() as admission:
            admission.sent()
            in_flight += 1
            await gate.wait()
            in_flight -= 1
            admission.answered(SILENT)

    tasks = [asyncio.create_task(held()) for _ in range(5)]
    await asyncio.sleep(0)
    async with lane.permit() as admission:
        admission.sent()
        admission.refused(Feedback(10, 4, 1))
    assert in_flight == 5
    late = asyncio.create_task(held())
    await asyncio.sleep(30)
    assert in_flight == 5
    gate.set()
    await asyncio.gather(*tasks, late)


async def test_a_cap_on_requests_in_flight_is_kept() -> None:
    lane = lane_of(1000, concurrency=3)
    in_flight = most = 0

    async def counted() -> None:
        nonlocal in_flight, most
        async with lane.permit() as admission:
            admission.sent()
            in_flight += 1
            most = max(most, in_flight)
            await asyncio.sleep(1)
            in_flight -= 1
            admission.answered(SILENT)

    await asyncio.gather(*(counted() for _ in range(30)))
    assert most == 3
    assert now() == pytest.approx(1 + 29 / 3, abs=1)


async def test_a_smaller_burst_paces_the_requests() -> None:
    lane = lane_of(60, per=60, burst=5)
    await request(lane, takes=0)
    admitted = await asyncio.gather(*(request(lane, takes=0) for _ in range(24)))
    assert admitted[:4] == [0.0] * 4
    gaps = [later - earlier for earlier, later in pairwise(admitted[4:])]
    assert gaps == pytest.approx([1.0] * 19)


async def test_a_pause_holds_everyone_until_it_is_over() -> None:
    lane = lane_of()
    lane.pause(30)
    early = asyncio.create_task(request(lane))
    await asyncio.sleep(10)
    assert lane.status().paused_for == 20
    assert lane.eta() == 20
    lane.resume()
    assert await early == 10


async def test_closing_tells_everyone() -> None:
    lane = lane_of(1)
    tasks = [asyncio.create_task(request(lane, takes=5)) for _ in range(4)]
    await asyncio.sleep(0)
    lane.close()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert outcomes[0] == 0.0  # it was on its way
    assert [type(outcome) for outcome in outcomes[1:]] == [ClosedError] * 3
    with pytest.raises(ClosedError):
        await request(lane)


async def test_the_eta_knows_of_the_cap_and_of_the_probe() -> None:
    lane = lane_of(1000, concurrency=2)
    await request(lane, takes=8)
    busy = [asyncio.create_task(request(lane, takes=8)) for _ in range(12)]
    await asyncio.sleep(0)
    assert lane.eta() == pytest.approx(5 * 8, abs=8), "two at a time, and eight go before"
    before = now()
    with pytest.raises(WaitTooLongError, match="later than max_wait=1 s"):
        await request(lane, max_wait=1)
    assert now() == before
    await asyncio.gather(*busy)
    await asyncio.sleep(SPAN)
    probe = asyncio.create_task(request(lane, takes=4))
    await asyncio.sleep(0)
    assert lane.eta() == pytest.approx(8), "as long as others took"
    await probe


async def test_a_lane_that_was_refused_for_a_crowd_tries_one_more_after_a_while() -> None:
    lane = lane_of(1000, per=60)
    await request(lane)
    async with lane.permit() as held, lane.permit() as refused:
        held.sent()
        refused.sent()
        refused.refused(Feedback(1000, 900, 0))
        held.answered(SILENT)
    admitted = await asyncio.gather(*(request(lane, takes=1) for _ in range(3)))
    assert len(set(admitted)) == 3
    await asyncio.sleep(600)
    await request(lane)
    admitted = await asyncio.gather(*(request(lane, takes=1) for _ in range(4)))
    assert len(set(admitted)) == 2


async def test_a_refusal_with_nothing_else_in_flight_is_no_crowd() -> None:
    lane = lane_of(1000, per=60)
    await request(lane, feedback=Feedback(1000, 900))
    async with lane.permit() as refused:
        refused.sent()
        refused.refused(Feedback(1000, 900, 0))
    await request(lane)
    assert len(set(await asyncio.gather(*(request(lane, takes=1) for _ in range(20))))) == 1


async def test_eta_and_status_of_a_busy_lane() -> None:
    lane = lane_of()
    tasks = [asyncio.create_task(request(lane, takes=1)) for _ in range(25)]
    await asyncio.sleep(3)
    status = lane.status()
    assert (status.used, status.in_flight, status.queued) == (10, 0, 15)
    assert status.next_slot_in == pytest.approx(2 + SPAN - 3, abs=1.1), "bulk is passed over 8 times at most"
    assert lane.eta(1, Priority.NORMAL) == pytest.approx(2 + 2 * SPAN - 3, abs=1.1)
    expected = lane.eta(10, Priority.NORMAL)
    more = [asyncio.create_task(request(lane, takes=1)) for _ in range(10)]
    assert (await asyncio.gather(*more))[-1] - 3 == pytest.approx(expected, abs=3.1)
    await asyncio.gather(*tasks)


def test_a_smaller_limit_is_adopted_and_a_larger_one_is_not(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        lane = lane_of(10)
        for limit, remaining in ((6, 5), (6, 4), (20, 17), (0, 0)):
            await request(lane, feedback=Feedback(limit, remaining, None))
        assert lane.status().limit == 6
        admitted = await asyncio.gather(*(request(lane, takes=0) for _ in range(8)))
        assert [moment < SPAN for moment in admitted] == [True] * 2 + [False] * 6

    run_virtual(scenario())
    assert [record.message for record in caplog.records] == [
        "reports lane: limit changed from 10 to 6 by the server"
    ]


async def test_a_smaller_limit_that_one_answer_names_is_not_adopted(caplog: pytest.LogCaptureFixture) -> None:
    lane = lane_of(10)
    for limit in (1, 10, 1, 10):
        await request(lane, takes=0, feedback=Feedback(limit, limit - 1, None))
    assert lane.status().limit == 10
    assert not caplog.records


async def test_a_limit_goes_back_up_to_the_plans_and_not_beyond() -> None:
    lane = lane_of(10)
    limits: list[int] = []
    for limit in (6, 6, 8, 8, 10, 10, 20, 20):
        await request(lane, feedback=Feedback(limit, limit - 1, None))
        limits.append(lane.status().limit)
    assert limits == [10, 6, 6, 8, 8, 10, 10, 10]


async def test_until_a_smaller_limit_is_certain_requests_go_one_at_a_time() -> None:
    lane = lane_of(10)
    await request(lane, feedback=Feedback(5, 4, None))
    start = now()
    admitted = await asyncio.gather(
        *(request(lane, takes=2, feedback=Feedback(5, 3, None)) for _ in range(5))
    )
    assert [moment - start for moment in admitted[:3]] == [0, 2, 2]


async def test_an_adaptive_lane_adopts_a_larger_limit_too() -> None:
    lane = Lane("reports", RateLimit(2, 60), clock=LoopClock(), adaptive=True)
    await request(lane, feedback=Feedback(10, 9, None))
    assert [await request(lane, takes=0) for _ in range(9)] == [0.1] * 9


async def test_a_header_that_speaks_of_another_lane_is_left_alone() -> None:
    lane = Lane("crud", RateLimit(2000, 3600), clock=LoopClock(), elsewhere=lambda: {10})
    await request(lane, feedback=Feedback(10, 0, None))
    assert lane.status().limit == 2000


@settings(max_examples=tries(100, soak=200))
@given(
    st.integers(1, 5),
    st.lists(
        st.tuples(
            st.sampled_from(Priority),
            st.one_of(st.none(), st.floats(0, 200)),  # max_wait
            st.floats(0, 30),  # starts after
            st.floats(0, 20),  # takes
            st.one_of(st.none(), st.floats(0, 300)),  # is cancelled after
        ),
        min_size=1,
        max_size=40,
    ),
    st.integers(0, 2**31),
)
def test_wherever_requests_are_cancelled_no_slot_is_lost_and_no_waiter_forgotten(
    requests: int,
    plans: list[tuple[Priority, float | None, float, float, float | None]],
    seed: int,
) -> None:
    chance = random.Random(seed)

    async def one(  # noqa: PLR0917 - one field of a plan each
        lane: Lane,
        priority: Priority,
        max_wait: float | None,
        start: float,
        takes: float,
        cancel: float | None,
    ) -> str:
        await asyncio.sleep(start)
        try:
            async with asyncio.timeout(cancel):
                for attempt in range(3):
                    again: Again | None = "refused" if attempt else None
                    async with lane.permit(priority, max_wait=max_wait, again=again) as admission:
                        if chance.random() < 0.8:
                            admission.sent()
                        await asyncio.sleep(takes)
                        if chance.random() < 0.2:
                            admission.refused(Feedback(requests, chance.choice([0, 1]), 2))
                            continue
                        if chance.random() < 0.2:
                            raise ConnectionError  # noqa: TRY301 - what a transport does
                        admission.answered(SILENT)
                        return "answered"
        except (TimeoutError, WaitTooLongError, ConnectionError) as error:
            return type(error).__name__
        return "refused"

    async def scenario() -> None:
        lane = lane_of(requests)
        outcomes = await asyncio.gather(*(one(lane, *plan) for plan in plans))
        assert len(outcomes) == len(plans)
        status = lane.status()
        assert (status.in_flight, status.queued) == (0, 0)
        await asyncio.sleep(1000)
        assert lane.status().used == 0
        for _ in range(requests):
            await request(lane, priority=Priority.INTERACTIVE, max_wait=100)

    run_virtual(scenario())


async def test_waiters_that_gave_up_leave_nothing_behind() -> None:
    lane = lane_of(1)
    await request(lane)
    gc.collect()
    before = sum(isinstance(thing, asyncio.Future) for thing in gc.get_objects())
    tasks = [asyncio.create_task(request(lane, max_wait=10_000)) for _ in range(100)]
    await asyncio.sleep(0)
    assert lane.status().queued == 100
    _ = [task.cancel() for task in tasks]
    await asyncio.gather(*tasks, return_exceptions=True)
    tasks.clear()
    await request(lane)
    gc.collect()
    after = sum(isinstance(thing, asyncio.Future) for thing in gc.get_objects())
    assert lane.status().queued == 0
    assert after - before < 10


async def test_the_eta_knows_how_much_of_a_burst_is_spent() -> None:
    lane = lane_of(60, per=60, burst=5)
    await asyncio.gather(*(request(lane, takes=0) for _ in range(5)))
    assert lane.eta(1) == pytest.approx(1, abs=0.1)
    assert lane.eta(10) == pytest.approx(10, abs=0.1)
    await asyncio.sleep(3)
    assert lane.eta(3) == 0
    assert lane.eta(10) == pytest.approx(7, abs=0.1)


async def test_a_lane_that_adopts_a_smaller_limit_slows_its_pace_too() -> None:
    lane = lane_of(60, per=60, burst=2)
    for remaining in (29, 28):
        await request(lane, takes=0, feedback=Feedback(30, remaining, None))
    admitted = await asyncio.gather(*(request(lane, takes=0) for _ in range(10)))
    gaps = [later - earlier for earlier, later in pairwise(admitted[2:])]
    assert gaps == pytest.approx([2.0] * 7)


async def test_bulk_work_that_ages_is_not_told_to_wait_for_everybody() -> None:
    lane = lane_of(10)
    tasks = [asyncio.create_task(request(lane)) for _ in range(600)]
    await asyncio.sleep(1)
    assert await request(lane, priority=Priority.BULK, max_wait=100) < 100
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


@pytest.mark.parametrize("kind", [SlidingLog, LaravelWindow])
@pytest.mark.parametrize("requests", [3, 10])
def test_a_paced_lane_loses_no_time_between_tokens(
    kind: type[SlidingLog | LaravelWindow], requests: int
) -> None:
    throttle = kind(requests, per=60)
    chance = random.Random(3)

    async def client(lane: Lane) -> None:
        async with lane.permit() as admission:
            admission.sent()
            await asyncio.sleep(chance.uniform(0, 0.05))
            assert throttle.hit(now()).allowed
            await asyncio.sleep(chance.uniform(0, 0.05))
            admission.answered(Feedback(requests, throttle.remaining(now()), None))

    async def scenario() -> float:
        lane = lane_of(requests, burst=1)
        await asyncio.gather(*(client(lane) for _ in range(60)))
        return now()

    assert run_virtual(scenario()) < 60 * 61 / requests * 1.03


async def test_one_who_was_admitted_goes_out_though_the_lane_is_spaced_in_the_same_moment() -> None:
    lane = lane_of(10)
    async with lane.permit() as first, lane.permit() as second:
        first.sent()
        second.sent()
        waiting = [asyncio.create_task(request(lane)) for _ in range(3)]
        await asyncio.sleep(1)
        first.answered(SILENT)  # admits them
        second.refused(Feedback(None, None, 10.0))
    start = now()
    assert await asyncio.gather(*waiting) == [start] * 3


async def test_one_who_is_admitted_and_gives_up_in_the_same_moment_loses_nothing() -> None:
    lane = lane_of(1)
    holder = lane.permit()
    await holder.__aenter__()
    waiter = asyncio.create_task(request(lane))
    await asyncio.sleep(0.1)
    await holder.__aexit__(None, None, None)  # the waiter is admitted, and has not run yet
    waiter.cancel()
    await asyncio.wait([waiter])
    status = lane.status()
    assert (status.used, status.in_flight) == (0, 0)


async def test_a_crowd_that_has_gone_home_does_not_make_the_cap_smaller_than_it_was() -> None:
    lane = lane_of(100)
    await request(lane, feedback=Feedback(100, 99, None))
    others = [lane.permit() for _ in range(5)]
    for other in others:
        await other.__aenter__()
        other.sent()
    async with lane.permit() as refused:
        refused.sent()
        for other in others[:4]:
            other.answered(Feedback(100, 90, None))
        refused.refused(Feedback(100, 90, 1.0))
    for other in others:
        await other.__aexit__(None, None, None)
    lane.resume()
    admitted = [asyncio.create_task(request(lane, takes=1)) for _ in range(12)]
    await asyncio.sleep(0.5)
    assert lane.status().in_flight == 5
    await asyncio.wait(admitted)


async def handing_over(requests: int) -> tuple[list[asyncio.Task[float]], list[int], Lane]:
    """Return requests that are passed on from one lane to another, and the order in which they are admitted."""
    full, other = lane_of(1), lane_of(10 * requests)
    full.pause(3)
    order: list[int] = []

    async def numbered(number: int) -> float:
        admitted = await request(full, takes=0.0)
        order.append(number)
        return admitted

    tasks = [asyncio.create_task(numbered(number)) for number in range(requests)]
    await asyncio.sleep(1)
    full.waiting.hand_over(lambda _: other)
    return tasks, order, other


async def test_many_who_wait_are_handed_over_a_part_at_a_time_and_in_order() -> None:
    requests = 3 * SLICE + 7
    tasks, order, other = await handing_over(requests)
    assert other.status().queued <= SLICE
    await asyncio.sleep(1)
    assert other.status().queued == requests, "the pause is handed over too"
    await asyncio.gather(*tasks)
    assert order == sorted(order)


async def test_whoever_is_being_handed_over_hears_of_the_end() -> None:
    tasks, _, other = await handing_over(2 * SLICE)
    for task in tasks[-5:]:
        task.cancel()
    other.close()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(each) for each in ended} == {ClosedError, asyncio.CancelledError}


def test_refusals_of_one_crowd_are_told_as_one_change(caplog: pytest.LogCaptureFixture) -> None:
    outcome = play(Server(None, silence, ConcurrencyCap(5), (0.5, 2.0)), 100, 2000, 3600.0)
    told = [line for line in caplog.messages if "concurrency" in line]
    assert outcome.refused > 50
    assert told[-1] == "reports lane: concurrency changed from 100 to 5 by the server"
    assert len(told) == 1
