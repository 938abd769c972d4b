"""For how long the promise between classes holds a request back, and that `eta` says so."""

import asyncio
from pathlib import Path

import pytest

from fathom_async._ratelimit.budget import Budget
from fathom_async._ratelimit.lane import Lane
from fathom_async._ratelimit.plan import Priority, RateLimit
from fathom_async._ratelimit.queue import PASSES
from fathom_async._util.clock import LoopClock
from fathom_async.errors import WaitTooLongError
from fathom_async.testing import LaravelWindow, SlidingLog, run_virtual
from tests.ratelimit.servers import Server
from tests.support.soak import tries

INTERACTIVE, NORMAL, BULK = Priority
PER = {10: 60.0, 600: 3600.0, 2000: 3600.0}


def lanes_of(requests: int, path: Path | None) -> tuple[Lane, Lane]:
    """Return one lane twice, or those of two processes that share a budget."""
    limit, clock = RateLimit(requests, per=PER[requests]), LoopClock()
    if path is None:
        lane = Lane("reports", limit, clock=clock, concurrency=20)
        return lane, lane
    budget = Budget(f"file://{path}/budget", "k", "fail")
    shares = [budget.window("reports", limit, clock=clock, timeout=30.0) for _ in range(2)]
    first, second = (Lane("reports", limit, clock=clock, share=share, concurrency=20) for share in shares)
    return first, second


async def after_a_burst(lanes: tuple[Lane, Lane], server: Server, burst: int, urgent: Priority) -> None:
    await asyncio.gather(*(server.pass_through(lanes[0], urgent) for _ in range(burst)))
    await asyncio.sleep(20)
    await lanes[1].refresh()


PAIRS = [(INTERACTIVE, BULK), (INTERACTIVE, NORMAL), (NORMAL, BULK)]
SMALL = [(10, 5, 1), (10, 5, 4), (10, 8, 1)]
MIDDLE = [
    (600, 50, 10),
    (600, 250, 1),
    (600, 250, 10),
    (600, 250, 30),
    (600, 400, 1),
    (600, 400, 30),
    (600, 595, 1),
    (600, 600, 10),
]
LARGE = [(2000, 800, 1), (2000, 1900, 20)]


@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("throttle", [LaravelWindow, SlidingLog])
@pytest.mark.parametrize(
    ("requests", "burst", "behind", "urgent", "ours"),
    [
        *((*sizes, *pair) for sizes in SMALL + MIDDLE for pair in PAIRS),
        *((*sizes, *pair) for sizes in LARGE for pair in tries(PAIRS[:1], soak=PAIRS)),
    ],
)
def test_after_a_burst_nobody_waits_longer_than_beside_those_who_might_come_and_eta_says_so(
    *,
    requests: int,
    burst: int,
    behind: int,
    urgent: Priority,
    ours: Priority,
    throttle: type[LaravelWindow | SlidingLog],
    is_shared: bool,
    tmp_path: Path,
) -> None:
    server = Server(throttle(requests, per=PER[requests]))

    async def scenario() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        lanes = lanes_of(requests, tmp_path if is_shared else None)
        await after_a_burst(lanes, server, burst, urgent)
        start, eta = loop.time(), lanes[1].eta(behind, ours)
        await asyncio.gather(*(server.pass_through(lanes[1], ours) for _ in range(behind)))
        took = loop.time() - start
        for lane in lanes:
            await lane.aclose()
        return eta, took

    eta, took = run_virtual(scenario())
    assert eta == pytest.approx(took, rel=0.25, abs=2)
    if burst + behind <= requests:
        assert took <= behind * PASSES * PER[requests] / burst + 2, (
            "so long for as many passes at the burst's rate"
        )
    assert server.refused == 0


@pytest.mark.parametrize("ours", [NORMAL, BULK])
def test_a_request_that_cannot_wait_for_its_patience_fails_at_once(ours: Priority) -> None:
    server = Server(LaravelWindow(600, per=3600.0))

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        lane, _ = lanes = lanes_of(600, None)
        await after_a_burst(lanes, server, 250, INTERACTIVE)
        start, eta = loop.time(), lane.status().next_slot_in
        with pytest.raises(WaitTooLongError) as caught:
            async with lane.permit(ours, max_wait=5):
                pass
        assert loop.time() == start
        assert caught.value.eta == pytest.approx(eta)
        async with lane.permit(ours, max_wait=eta + 1):
            assert loop.time() - start == pytest.approx(eta, rel=0.05)

    run_virtual(scenario())


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_job_spends_an_eighth_of_what_it_leaves_while_nobody_comes(is_shared: bool, tmp_path: Path) -> None:
    server = Server(SlidingLog(600, per=3600.0))

    async def scenario() -> tuple[int, int]:
        lanes = lanes_of(600, tmp_path if is_shared else None)
        await after_a_burst(lanes, server, 30, INTERACTIVE)
        job = [asyncio.create_task(server.pass_through(lanes[1])) for _ in range(1000)]
        await asyncio.sleep(60)
        left = 600 - lanes[1].status().used
        await asyncio.sleep(3000)
        spent = left - (600 - lanes[1].status().used)
        for task in job:
            task.cancel()
        await asyncio.wait(job)
        for lane in lanes:
            await lane.aclose()
        return left, spent

    left, spent = run_virtual(scenario())
    assert left == 600 // 50 + 2 * 30
    assert 0 < spent <= left / PASSES
