"""The four buckets: what each promises, and that it is not kept without."""

import asyncio

import pytest
from aiolimiter import AsyncLimiter

from fathom_async import Priority, RateLimit, RetryPolicy, ServerError
from fathom_async._core.request import Options, Request, Response
from fathom_async._core.session import Session
from fathom_async._ratelimit import restraint
from fathom_async._ratelimit.admission import Feedback
from fathom_async._ratelimit.bucket import for_retries, guard, pace
from fathom_async._ratelimit.lane import Lane
from fathom_async._util.clock import LoopClock
from fathom_async.testing import TokenBucket, run_virtual
from fathom_async.testing._throttle import Verdict
from tests.ratelimit.servers import Server, play, silence, truth

LIMIT = RateLimit(10, per=60.0)


def bottomless(*_: object) -> AsyncLimiter:
    return AsyncLimiter(1e9, 1)


def full_when_admitted(verdict: Verdict, now: float) -> Feedback:
    """Say on every answer that all are left."""
    return Feedback(10, 10) if verdict.allowed else truth(verdict, now)


def test_all_have_the_rate_of_the_plan() -> None:
    clock, long = LoopClock(), RateLimit(2000, per=3600.0)
    small = RateLimit(10, per=60.0, burst=3)
    for limit, bucket, tokens in (
        (LIMIT, guard(LIMIT, clock), 20),
        (small, guard(small, clock), 3),
        (LIMIT, for_retries(LIMIT, clock), 5),
        (long, for_retries(long, clock), 200),
    ):
        assert bucket.max_rate == tokens
        assert bucket.time_period == pytest.approx(tokens * limit.per / limit.requests)
    assert pace(LIMIT, 1, clock).time_period == pytest.approx(1.02 * 6.1)


@pytest.mark.parametrize("requests", [60, 300])
def test_two_windows_bound_what_a_lie_can_do(requests: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert play(Server(TokenBucket(10, 60.0), full_when_admitted), requests).refused <= 11
    monkeypatch.setattr(restraint, "guard", bottomless)
    assert play(Server(TokenBucket(10, 60.0), full_when_admitted), requests).refused > 2 * 11


def test_a_burst_of_the_plan_is_not_gone_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> int:
        server = Server(TokenBucket(10, 61.0, burst=3), silence, travel=(0.0, 0.0))

        async def scenario() -> None:
            lane = Lane("reports", RateLimit(10, per=61.0, burst=3), clock=LoopClock())
            await asyncio.gather(*(server.pass_through(lane) for _ in range(60)))

        run_virtual(scenario())
        return server.refused

    assert refused() == 0
    monkeypatch.setattr(restraint, "guard", bottomless)
    assert refused() > 0


def test_requests_are_spaced_where_bursts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert play(Server(TokenBucket(10, 60.0, burst=1), silence), 60).refused <= 10
    monkeypatch.setattr(restraint, "pace", bottomless)
    assert play(Server(TokenBucket(10, 60.0, burst=1), silence), 60).refused > 30


class Failing:
    """A transport to a server that fails one report, and only that."""

    def __init__(self) -> None:
        self.sent = 0

    async def send(self, request: Request[object], within: float, sent: object) -> Response:
        del request, within, sent
        self.sent += 1
        await asyncio.sleep(0.1)
        return Response(500, {}, b"{}")

    def url(self, request: Request[object]) -> str:
        return f"https://server{request.path}"

    async def close(self) -> None:
        return


def test_retries_leave_the_window_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def sent() -> int:
        async def scenario() -> int:
            clock, transport = LoopClock(), Failing()
            lane = Lane("crud", RateLimit(1000, per=3600.0), clock=clock)
            session = Session(transport, {"crud": lane}, clock=clock, retry=RetryPolicy())
            request = Request("GET", "/one", bytes)
            calls = [asyncio.create_task(session.send(request, Options(Priority.BULK))) for _ in range(200)]
            await asyncio.sleep(120)
            assert all(isinstance(call.exception(), ServerError) for call in calls if call.done())
            await session.close()
            await asyncio.gather(*calls, return_exceptions=True)
            return transport.sent

        return run_virtual(scenario())

    assert sent() <= 200 + 100 + 120 * 1000 / 3600 + 1
    monkeypatch.setattr(restraint, "for_retries", bottomless)
    assert sent() == 4 * 200
