"""The window rule, as a pure state machine and against servers that anchor their windows elsewhere."""

# pyright: reportPrivateUsage=false

import asyncio
import random
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom_async._ratelimit.admission import SILENT, Feedback
from fathom_async._ratelimit.lane import Lane
from fathom_async._ratelimit.plan import Priority, RateLimit
from fathom_async._ratelimit.protocol import Demand, Permit
from fathom_async._ratelimit.window import MEMORY, Forecast, LocalWindow
from fathom_async._util.clock import LoopClock
from fathom_async.testing import AlignedWindow, LaravelWindow, SlidingLog, Throttle, TokenBucket, run_virtual
from tests.support.soak import tries

if TYPE_CHECKING:
    from fathom_async._ratelimit.admission import Again

pytestmark = pytest.mark.virtual_time

LIMIT = RateLimit(3, per=60)
SPAN = 61.0  # the window and its pad
ONE = Demand(Priority.NORMAL)


def returns(window: LocalWindow, now: float, permits: int = 3) -> list[float]:
    return [window.returns(position, Priority.NORMAL, now) for position in range(permits)]


def taken(window: LocalWindow, now: float) -> Permit:
    assert window.has_room(ONE, now)
    return window.take(Priority.NORMAL)


def full_window(now: float = 0.0) -> tuple[LocalWindow, list[Permit]]:
    window = LocalWindow(LIMIT)
    permits = [taken(window, now) for _ in range(3)]
    for permit in permits:
        window.sent(permit, now)
    return window, permits


def test_at_most_as_many_slots_are_out_as_the_server_admits() -> None:
    window, _ = full_window()
    assert not window.has_room(ONE, 0)
    assert window.status(1.0).used == 3


def test_a_slot_comes_back_one_window_after_the_answer() -> None:
    window, permits = full_window()
    window.settle(permits[0], 2.0, SILENT)
    assert not window.has_room(ONE, 2.0 + SPAN - 0.01)
    taken(window, 2.0 + SPAN)
    assert not window.has_room(ONE, 2.0 + SPAN)


def test_without_an_answer_it_comes_back_one_window_after_the_count_delay() -> None:
    window, _ = full_window()
    assert window.next_look(ONE, 10) == 5.0 + SPAN
    taken(window, 5.0 + SPAN)


def test_an_answer_after_the_count_delay_does_not_prolong() -> None:
    window, permits = full_window()
    window.settle(permits[0], 20.0, SILENT)
    assert window.next_look(ONE, 20.0) == 5.0 + SPAN


def test_a_request_that_was_never_sent_gives_its_slot_back_at_once() -> None:
    window = LocalWindow(LIMIT)
    window.release(taken(window, 0))
    assert window.status(1.0).used == 0


def test_a_refused_request_was_not_counted() -> None:
    window, permits = full_window()
    window.release(permits[0])
    assert window.status(1.0).used == 2


def test_a_request_lost_on_the_wire_may_have_been_counted() -> None:
    window, permits = full_window()
    window.abandon(permits[0])
    assert window.status(1.0).used == 3
    assert window.in_flight == 2
    assert window.next_look(ONE, 1.0) == 5.0 + SPAN


def test_a_request_without_an_answer_and_never_marked_as_sent_still_ages() -> None:
    window = LocalWindow(LIMIT)
    window.settle(taken(window, 0), 1.0, SILENT)
    assert window.next_look(ONE, 1.0) == 1.0 + SPAN


def test_reserved_slots_are_never_taken() -> None:
    window = LocalWindow(LIMIT, reserve=2)
    taken(window, 0)
    assert not window.has_room(ONE, 0)


def test_hits_of_others_hold_slots_for_a_window() -> None:
    window = LocalWindow(LIMIT)
    window.settle(taken(window, 0), 1.0, Feedback(3, 0))
    assert window.status(1.0).used == 3
    assert not window.has_room(ONE, 1.0 + SPAN - 0.01)
    taken(window, 1.0 + SPAN)


def test_a_reopened_window_brings_slots_back_early() -> None:
    window = LocalWindow(LIMIT)
    for now, remaining in ((1.0, 2), (2.0, 1), (3.0, 2)):  # the third answer: the window was opened anew
        window.settle(taken(window, now), now, Feedback(3, remaining))
    taken(window, 3.0)
    taken(window, 3.0)
    assert not window.has_room(ONE, 3.0)


def test_a_hit_lost_in_the_window_before_is_forgotten_before_those_of_this_one() -> None:
    window = LocalWindow(LIMIT)
    lost = taken(window, 0.0)
    window.sent(lost, 0.0)
    window.abandon(lost)  # comes back by itself at 5 + SPAN, should nothing be learned before
    for now in (61.0, 62.0):  # the server's window was opened anew, and has 2 of 3 spent
        permit = taken(window, now)
        window.sent(permit, now)
        window.settle(permit, now, Feedback(3, 62 - int(now) + 1))
    taken(window, 63.0)
    assert not window.has_room(ONE, 5.0 + SPAN)


def test_requests_that_overlapped_with_an_answer_count_as_spent() -> None:
    window, permits = full_window()
    window.settle(permits[0], 1.0, Feedback(3, 2))  # two others were in flight: nothing is certain
    assert not window.has_room(ONE, 1.0)


def test_a_server_that_tells_nothing_leaves_nothing_behind() -> None:
    window = LocalWindow(LIMIT)
    for number in range(10_000):
        window.settle(taken(window, number * SPAN), number * SPAN + 0.1, SILENT)
    assert len(window._own) <= 3


def test_headers_of_another_limit_are_not_believed() -> None:
    window = LocalWindow(LIMIT)
    window.settle(taken(window, 0), 1.0, Feedback(2000, 0))
    assert window.status(1.0).used == 1


def test_a_window_is_cold_until_an_answer_and_again_after_a_silence_of_nearly_a_window() -> None:
    window = LocalWindow(LIMIT)
    assert window.is_cold(0)
    window.settle(taken(window, 0), 1.0, SILENT)
    assert not window.is_cold(1.0 + 56.9)
    assert window.is_cold(1.0 + 57.0), "what was left nearly a minute ago may have been spent by others"
    window.settle(taken(window, 70.0), 70.5, SILENT)
    window.on_rate_limited(71.0)
    assert window.is_cold(71.0), "a refusal says more than the answer before it"


def test_returns_are_sorted_and_optimistic_about_requests_in_flight() -> None:
    window, permits = full_window()
    window.settle(permits[1], 1.0, SILENT)
    assert returns(window, 2.0) == [1.0 + SPAN, 2.0 + SPAN, 2.0 + SPAN]


def densest(moments: list[float], per: float) -> int:
    ordered = sorted(moments)
    return max(sum(start <= moment < start + per for moment in ordered) for start in ordered)


# One request: seconds until it is counted, seconds from there to its answer, and what becomes of it.
request_fates = st.tuples(
    st.floats(0, 4.9), st.floats(0, 30), st.sampled_from(["answered", "lost", "cancelled", "never sent"])
)


@settings(max_examples=tries(100, soak=300), deadline=None)
@given(st.integers(1, 6), st.lists(request_fates, min_size=1, max_size=60), st.integers(0, 2**31))
def test_no_window_of_server_time_ever_holds_more_hits_than_the_limit(
    requests: int, fates: list[tuple[float, float, str]], seed: int
) -> None:
    """Never over the limit of a server without headers, for any latencies, cancellations and failures."""
    counted: list[float] = []
    chance = random.Random(seed)

    async def client(lane: Lane, count_after: float, answer_after: float, fate: str) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(chance.uniform(0, 90))
        async with lane.permit() as admission:
            if fate == "never sent":
                return
            admission.sent()
            loop.call_later(count_after, lambda: counted.append(loop.time()))
            if fate == "lost":
                await asyncio.sleep(chance.uniform(0, count_after + answer_after))
                raise ConnectionError
            if fate == "cancelled":
                async with asyncio.timeout(chance.uniform(0, count_after + answer_after)):
                    await asyncio.Event().wait()
            await asyncio.sleep(count_after + answer_after)
            admission.answered(SILENT)

    async def scenario() -> None:
        lane = Lane("reports", RateLimit(requests, per=60), clock=LoopClock())
        await asyncio.gather(*(client(lane, *fate) for fate in fates), return_exceptions=True)
        assert lane.status().in_flight == 0
        assert lane.status().queued == 0
        await asyncio.sleep(10)

    run_virtual(scenario())
    assert len(counted) == sum(fate != "never sent" for _, _, fate in fates)
    if counted:
        assert densest(counted, per=60) <= requests


@pytest.mark.parametrize("policy", [LaravelWindow, AlignedWindow, SlidingLog, TokenBucket])
@pytest.mark.parametrize("handler", [(0.0, 0.0), (5.0, 20.0), (0.0, 15.0)], ids=["quick", "slow", "mixed"])
def test_an_hour_of_traffic_is_never_refused(
    policy: Callable[..., Throttle], handler: tuple[float, float]
) -> None:
    """600 requests at 10 a minute, with jitter: an hour that passes in milliseconds."""
    throttle = policy(10, per=60)
    chance = random.Random(7)
    answered: list[float] = []
    refused: list[float] = []

    async def client(lane: Lane) -> None:
        loop = asyncio.get_running_loop()
        async with lane.permit() as admission:
            admission.sent()
            await asyncio.sleep(chance.uniform(0, 0.05))
            verdict = throttle.hit(loop.time())
            if not verdict.allowed:
                refused.append(loop.time())
                admission.refused(Feedback(10, 0, verdict.retry_after))
                return
            await asyncio.sleep(chance.uniform(*handler))
            remaining = throttle.remaining(loop.time())
            await asyncio.sleep(chance.uniform(0, 0.05))
            admission.answered(Feedback(10, remaining, None))
            answered.append(loop.time())

    async def scenario() -> float:
        lane = Lane("reports", RateLimit(10, per=60), clock=LoopClock())
        await asyncio.gather(*(client(lane) for _ in range(600)))
        return asyncio.get_running_loop().time()

    took = run_virtual(scenario())
    assert refused == []
    assert len(answered) == 600
    assert took < throttle.optimum(600) * (1.16 if handler[1] else 1.02) + 60


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([LaravelWindow, AlignedWindow, SlidingLog, TokenBucket]),
    st.floats(0, 15),
    st.floats(0, 0.3),
    st.integers(0, 2**31),
)
def test_what_the_server_tells_never_leads_to_a_refusal(
    policy: Callable[..., Throttle], slowest: float, trouble: float, seed: int
) -> None:
    """Slow answers, lost and cancelled requests, and headers that are missing at times."""
    throttle = policy(10, per=60)
    chance = random.Random(seed)
    refused: list[float] = []

    async def client(lane: Lane) -> None:
        loop = asyncio.get_running_loop()
        async with (
            lane.permit() as admission,
            asyncio.timeout(chance.choice([None, None, chance.uniform(0, 10)])),
        ):
            if chance.random() < trouble / 2:
                return  # never sent
            admission.sent()
            await asyncio.sleep(chance.uniform(0, 0.5))
            if chance.random() < trouble / 2:
                raise ConnectionError  # lost on the way there
            verdict = throttle.hit(loop.time())
            if not verdict.allowed:
                refused.append(loop.time())
            await asyncio.sleep(chance.uniform(0, slowest))
            remaining = throttle.remaining(loop.time())
            await asyncio.sleep(chance.uniform(0, 0.5))
            if chance.random() < trouble / 2:
                raise ConnectionError  # lost on the way back
            admission.answered(SILENT if chance.random() < trouble else Feedback(10, remaining, None))

    async def scenario() -> None:
        await asyncio.sleep(chance.uniform(0, 120))
        lane = Lane("reports", RateLimit(10, per=60), clock=LoopClock())
        await asyncio.gather(*(client(lane) for _ in range(120)), return_exceptions=True)

    run_virtual(scenario())
    assert refused == []


def test_what_is_reserved_is_not_taken_back_either() -> None:
    window = LocalWindow(RateLimit(4, per=60), reserve=1)
    for now, remaining in ((1.0, 3), (2.0, 2), (3.0, 3)):  # the third answer: the window was opened anew
        window.settle(taken(window, now), now, Feedback(4, remaining))
    taken(window, 3.0)
    assert not window.has_room(ONE, 3.0)


def asked(window: LocalWindow, now: float, remaining: int) -> None:
    """Make a request that is counted and answered at once."""
    window.settle(taken(window, now), now, Feedback(window._limit.requests, remaining))


def test_where_remaining_rises_what_was_counted_before_is_gone_and_the_rest_is_others() -> None:
    window = LocalWindow(RateLimit(10, per=60))
    asked(window, 0.0, remaining=9)
    asked(window, 10.0, remaining=5)  # others have spent 3
    asked(window, 20.0, remaining=4)
    asked(window, 35.0, remaining=5)  # the window was opened anew, and others have spent 4 of it
    assert window.status(35.0).used == 5
    assert window.status(82.0).used == 5, "nothing comes back that came back at the server long ago"
    assert window.status(35.0 + SPAN).used == 0


def test_slots_that_the_server_has_let_go_are_held_for_others_instead_of_us() -> None:
    window = LocalWindow(LIMIT)
    asked(window, 0.1, remaining=2)
    asked(window, 0.2, remaining=1)
    asked(window, 60.9, remaining=0)  # neither of ours is counted any more
    assert window.status(61.5).used == 3


def test_a_hit_that_a_server_of_whole_seconds_may_still_count_is_not_taken_for_anothers() -> None:
    window = LocalWindow(LIMIT)
    asked(window, 1.0, remaining=2)
    asked(window, 61.2, remaining=1)
    assert window.status(61.2).used == 2
    assert window.status(62.5).used == 1


def test_a_lost_request_may_be_counted_after_the_answer_that_does_not_show_it() -> None:
    window = LocalWindow(RateLimit(4, per=60))
    lost = taken(window, 0.0)
    window.sent(lost, 0.0)
    window.abandon(lost)
    asked(window, 2.5, remaining=3)
    assert window.status(2.5).used == 2


def test_beside_others_what_is_not_certain_is_asked_for_alone() -> None:
    window = LocalWindow(LIMIT)
    asked(window, 0.0, remaining=1)  # another one was spent by somebody else
    assert not window.is_cold(1.0)
    taken(window, 1.0)
    assert window.is_cold(1.0)


@pytest.mark.parametrize("foreign", [2, 5])
@pytest.mark.parametrize("kind", [LaravelWindow, AlignedWindow, SlidingLog])
def test_beside_another_client_nothing_is_lost_and_hardly_anything_refused(
    kind: type[LaravelWindow | AlignedWindow | SlidingLog], foreign: int
) -> None:
    """Another client that takes so many of the 10 in every window, and retries until it has them."""
    # On a sliding log each permit that comes back is fought for alone, all through the window.
    most = 200 / 50 * (2 if kind is SlidingLog else 1)
    throttle = kind(10, per=60)
    chance = random.Random(11)
    refused: list[float] = []
    served = 0

    async def other_request() -> None:
        nonlocal served
        loop = asyncio.get_running_loop()
        await asyncio.sleep(chance.uniform(0, 60))
        while not (verdict := throttle.hit(loop.time())).allowed:  # noqa: ASYNC110 - it waits as it was told
            await asyncio.sleep(verdict.retry_after + chance.random())
        served += 1

    async def other_client(asking: asyncio.TaskGroup) -> None:
        while True:
            for _ in range(foreign):
                asking.create_task(other_request())
            await asyncio.sleep(60)

    async def client(lane: Lane) -> None:
        loop = asyncio.get_running_loop()
        again: Again | None = None
        while True:
            async with lane.permit(again=again) as admission:
                admission.sent()
                await asyncio.sleep(chance.uniform(0, 0.05))
                verdict = throttle.hit(loop.time())
                if verdict.allowed:
                    remaining = throttle.remaining(loop.time())
                    await asyncio.sleep(chance.uniform(0, 0.05))  # answers overtake each other
                    admission.answered(Feedback(10, remaining, None))
                    return
                refused.append(loop.time())
                admission.refused(Feedback(10, 0, verdict.retry_after))
                again = "refused"

    async def scenario() -> float:
        lane = Lane("reports", RateLimit(10, per=60), clock=LoopClock())
        async with asyncio.TaskGroup() as asking:
            others = asking.create_task(other_client(asking))
            await asyncio.gather(*(client(lane) for _ in range(200)))
            others.cancel()
        return asyncio.get_running_loop().time()

    seconds = run_virtual(scenario())
    assert len(refused) <= most
    windows = 200 / (10 - foreign)
    assert seconds < 1.1 * windows * 60
    assert served >= foreign * (windows - 2)


@pytest.mark.parametrize("spent", [3, 7, 9])
def test_a_lane_started_into_a_half_spent_window_is_not_refused(spent: int) -> None:
    throttle = LaravelWindow(10, per=60)
    admitted: list[float] = []

    async def client(lane: Lane) -> None:
        loop = asyncio.get_running_loop()
        async with lane.permit() as admission:
            admission.sent()
            await asyncio.sleep(0.05)
            assert throttle.hit(loop.time()).allowed
            admitted.append(loop.time())
            admission.answered(Feedback(10, throttle.remaining(loop.time()), None))

    async def scenario() -> None:
        for _ in range(spent):
            assert throttle.hit(0.0).allowed
        lane = Lane("reports", RateLimit(10, per=60), clock=LoopClock())
        await asyncio.gather(*(client(lane) for _ in range(25)))

    run_virtual(scenario())
    assert len(admitted) == 25
    assert all(earlier <= later for earlier, later in pairwise(admitted))


def test_returns_know_of_the_reserve() -> None:
    window = LocalWindow(RateLimit(10, per=60), reserve=2)
    for _ in range(8):
        window.sent(taken(window, 0.0), 0.0)
    assert not window.has_room(ONE, 1.0)
    assert returns(window, 1.0, 8) == [1.0 + SPAN] * 8


def test_a_limit_that_shrinks_below_the_reserve_leaves_one_slot() -> None:
    window = LocalWindow(RateLimit(10, per=60), reserve=5)
    window.resize(5)
    assert window.has_room(ONE, 0.0)
    assert returns(window, 0.0, 2) == [0.0, SPAN]


def test_slots_that_a_smaller_limit_took_away_come_back_to_nobody() -> None:
    window = LocalWindow(LIMIT)
    for now in (0.0, 1.0, 2.0):
        window.settle(taken(window, now), now, SILENT)
    window.resize(1)
    assert returns(window, 3.0, 2) == [2.0 + SPAN, 2.0 + 2 * SPAN]
    assert not window.has_room(ONE, 1.0 + SPAN)
    assert window.has_room(ONE, 2.0 + SPAN)


@pytest.mark.parametrize("began", [0.0, 5.0, 1e6])
def test_what_came_is_expected_whenever_the_clock_began(began: float) -> None:
    forecast = Forecast(SPAN)
    assert forecast.wanted(Priority.BULK, 10, began) == 0
    forecast.note(Priority.NORMAL, began)
    forecast.note(Priority.NORMAL, began + 1)
    assert forecast.rate(Priority.BULK, began + 1) == pytest.approx(2 / MEMORY)
    assert forecast.wanted(Priority.BULK, 10, began + 1) == 3
    assert forecast.wanted(Priority.NORMAL, 10, began + 1) == 0
