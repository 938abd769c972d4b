"""Servers that refuse for reasons they do not tell, or tell what is not true."""

import asyncio
import random
from collections.abc import Callable

import pytest
from attrs import evolve, frozen

from fathom_async._ratelimit.admission import SILENT, Feedback
from fathom_async._ratelimit.lane import Lane
from fathom_async._ratelimit.plan import RateLimit
from fathom_async._util.clock import LoopClock
from fathom_async.testing import ConcurrencyCap, LaravelWindow, SlidingLog, TokenBucket, run_virtual
from fathom_async.testing._throttle import Throttle, Verdict
from tests.ratelimit.servers import CountsRefused, Server, SlidingCounter, Words, play, silence, truth
from tests.support.soak import tries

SEEDS = range(3)


@frozen
class Row:
    """A server that says nothing but ``Retry-After``, what a crowd makes of it, and what may be wanted of the lane.

    Attributes:
        server: Makes it.
        requests: The crowd.
        limit: What the plan says.
        best: Seconds that a perfect client would take.
        refused: Refusals at most.
        over: Seconds at most, as a multiple of the best.
    """

    server: Callable[[], Server]
    requests: int
    limit: RateLimit
    best: float
    refused: int
    over: float


MINUTE, HOUR = RateLimit(10, per=60.0), RateLimit(2000, per=3600.0)
SLOW = (1.0, 3.0)
ROWS = {
    "5 at once, slow": Row(lambda: Server(None, silence, ConcurrencyCap(5), SLOW), 200, HOUR, 80, 190, 1.2),
    "5 at once, slow, and a limit": Row(
        lambda: Server(SlidingLog(2000, 3600.0), silence, ConcurrencyCap(5), SLOW), 200, HOUR, 80, 190, 1.2
    ),
    "5 at once, fast": Row(
        lambda: Server(SlidingLog(60, 60.0), silence, ConcurrencyCap(5)),
        200,
        RateLimit(60, per=60.0),
        180,
        108,
        1.8,
    ),
    "half of the plan": Row(lambda: Server(LaravelWindow(5, 60.0), silence), 60, MINUTE, 660, 22, 1.15),
    "half of the plan, sliding": Row(lambda: Server(SlidingLog(5, 60.0), silence), 60, MINUTE, 660, 22, 1.15),
    "half of the plan, refused ones count": Row(
        lambda: Server(CountsRefused(5, 60.0), silence), 60, MINUTE, 660, 30, 1.5
    ),
    "no bursts": Row(lambda: Server(TokenBucket(10, 60.0, burst=1), silence), 60, MINUTE, 354, 18, 1.08),
    "bursts of 3": Row(lambda: Server(TokenBucket(10, 60.0, burst=3), silence), 60, MINUTE, 342, 18, 1.1),
    "sliding counter": Row(lambda: Server(SlidingCounter(10, 60.0), silence), 60, MINUTE, 300, 8, 1.35),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_a_server_that_tells_nothing_is_understood_after_few_refusals(row: Row, seed: int) -> None:
    outcome = play(
        evolve(row.server(), rng=random.Random(seed)), row.requests, row.limit.requests, row.limit.per
    )
    assert outcome.lost == 0
    assert outcome.refused <= row.refused
    assert outcome.seconds <= row.over * row.best


def retry_after(seconds: float | None) -> Words:
    """Say nothing but this ``Retry-After``."""
    return lambda verdict, _: SILENT if verdict.allowed else Feedback(None, None, seconds)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("seconds", [None, 0.0, 1.0])
@pytest.mark.parametrize(
    "throttle", [LaravelWindow(5, 60.0), TokenBucket(10, 60.0, burst=1)], ids=["half", "no bursts"]
)
def test_a_time_to_wait_that_does_not_hold_is_doubled(
    throttle: LaravelWindow | TokenBucket, seconds: float | None, seed: int
) -> None:
    server = Server(evolve(throttle), retry_after(seconds), rng=random.Random(seed))
    outcome = play(server, 60)
    assert outcome.lost == 0
    assert outcome.refused <= 18
    assert outcome.seconds <= 1.2 * throttle.optimum(60)


def only_on_refusals(verdict: Verdict, now: float) -> Feedback:
    """Say everything on refusals, and nothing on answers."""
    return SILENT if verdict.allowed else truth(verdict, now)


@pytest.mark.parametrize("requests", [60, 300])
@pytest.mark.parametrize(
    "words", [only_on_refusals, silence, retry_after(0.0)], ids=["refusals", "none", "0"]
)
@pytest.mark.parametrize(
    "throttle",
    [
        LaravelWindow(5, 60.0),
        SlidingLog(5, 60.0),
        TokenBucket(10, 60.0, burst=1),
        TokenBucket(10, 60.0, burst=3),
    ],
    ids=["half", "half, sliding", "no bursts", "bursts of 3"],
)
def test_what_only_refusals_tell_is_learned_too(
    throttle: LaravelWindow | SlidingLog | TokenBucket, words: Words, requests: int
) -> None:
    outcome = play(Server(evolve(throttle), words), requests)
    assert outcome.lost == 0
    assert outcome.refused <= (10 + 2 if requests == 60 else 18)
    assert outcome.seconds <= 1.2 * throttle.optimum(requests)


def always(remaining: int) -> Words:
    """Say on every answer, and on every refusal, that so many remain."""
    return lambda verdict, now: evolve(truth(verdict, now), remaining=remaining)


def always_when_admitted(remaining: int) -> Words:
    """Say on every answer that so many remain, and the truth on refusals."""
    return lambda verdict, now: (
        evolve(truth(verdict, now), remaining=remaining) if verdict.allowed else truth(verdict, now)
    )


def cached(seconds: float) -> Words:
    """Say what was true when the last answer was kept, so many seconds ago at the most."""
    kept = (float("-inf"), 0)

    def words(verdict: Verdict, now: float) -> Feedback:
        nonlocal kept
        if not verdict.allowed:
            return truth(verdict, now)
        if now - kept[0] > seconds:
            kept = (now, verdict.remaining)
        return Feedback(verdict.limit, kept[1])

    return words


def late(seconds: float) -> Words:
    """Say what was true so many seconds ago."""
    said: list[tuple[float, int]] = []

    def words(verdict: Verdict, now: float) -> Feedback:
        if not verdict.allowed:
            return truth(verdict, now)
        said.append((now, verdict.remaining))
        old = [remaining for moment, remaining in said if moment <= now - seconds]
        return Feedback(verdict.limit, old[-1] if old else verdict.limit - 1)

    return words


KINDS: dict[str, Callable[[], Throttle]] = {
    "Laravel": lambda: LaravelWindow(10, 60.0),
    "sliding log": lambda: SlidingLog(10, 60.0),
    "token bucket": lambda: TokenBucket(10, 60.0),
}
WRONG: dict[str, Callable[[], Words]] = {
    "always 0": lambda: always(0),
    "always N": lambda: always(10),
    "N when admitted": lambda: always_when_admitted(10),
    "cached for 5 s": lambda: cached(5.0),
    "cached for 60 s": lambda: cached(60.0),
    "late by 5 s": lambda: late(5.0),
    "late by 90 s": lambda: late(90.0),
}


@pytest.mark.parametrize("requests", [60, 300, *tries([], soak=[1000])])
@pytest.mark.parametrize("words", WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_remains_may_be_told_wrongly(
    kind: Callable[[], Throttle], words: Callable[[], Words], requests: int
) -> None:
    outcome = play(Server(kind(), words()), requests)
    assert outcome.lost == 0
    assert outcome.refused <= 10 + 2
    assert outcome.seconds <= 1.5 * kind().optimum(requests)


@pytest.mark.parametrize("requests", [60, 300, *tries([], soak=[1000])])
@pytest.mark.parametrize("burst", [1, 2, 3, 5])
@pytest.mark.parametrize("words", [truth, silence])
def test_a_small_burst_is_found_out(words: Words, burst: int, requests: int) -> None:
    throttle = TokenBucket(10, 60.0, burst=burst)
    outcome = play(Server(throttle, words), requests)
    assert outcome.lost == 0
    assert outcome.refused <= (0 if words is truth else 10 + 2)
    assert outcome.seconds <= 1.5 * throttle.optimum(requests)


@pytest.mark.parametrize("requests", [60, 300, 1000])
@pytest.mark.parametrize(
    "throttle",
    [SlidingCounter(10, 60.0), CountsRefused(10, 60.0), CountsRefused(5, 60.0), LaravelWindow(5, 60.0)],
    ids=["sliding counter", "refused ones count", "half of the plan, refused ones count", "half of the plan"],
)
def test_other_limits_with_true_headers(
    throttle: SlidingCounter | CountsRefused | LaravelWindow, requests: int
) -> None:
    outcome = play(Server(evolve(throttle)), requests)
    assert outcome.lost == 0
    assert outcome.refused <= (10 + 2 if isinstance(throttle, SlidingCounter) else 0)
    assert outcome.seconds <= 1.5 * throttle.optimum(requests)


def foreign_use(moment: float) -> int:
    """Return how many requests a minute somebody else makes: many for half an hour, none for the next."""
    return 7 if moment % 3600 < 1800 else 0


def beside_others(kind: Callable[[], Throttle], requests: int, seed: int) -> tuple[int, float]:
    """Return the refusals and the seconds of requests beside another client, on a server that tells nothing."""
    server = Server(kind(), silence, rng=random.Random(seed))
    assert server.throttle is not None

    async def other() -> None:
        await asyncio.sleep(server.rng.uniform(0, 60))
        while not (verdict := server.hit()).allowed:  # noqa: ASYNC110 - it waits as it was told
            await asyncio.sleep(verdict.retry_after + server.rng.random())

    async def others(asking: asyncio.TaskGroup) -> None:
        while True:
            for _ in range(foreign_use(asyncio.get_running_loop().time())):
                asking.create_task(other())
            await asyncio.sleep(60)

    async def scenario() -> float:
        lane = Lane("reports", MINUTE, clock=LoopClock())
        async with asyncio.TaskGroup() as asking:
            spending = asking.create_task(others(asking))
            await asyncio.gather(*(server.pass_through(lane) for _ in range(requests)))
            spending.cancel()
        return asyncio.get_running_loop().time()

    seconds = run_virtual(scenario())
    assert server.lost == 0
    return server.refused, seconds


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", [KINDS["Laravel"], KINDS["sliding log"]], ids=["Laravel", "sliding log"])
def test_what_was_learned_beside_others_is_forgotten_when_they_have_gone(
    kind: Callable[[], Throttle], seed: int
) -> None:
    refused, seconds = beside_others(kind, 600, seed)
    assert refused <= 60
    assert seconds <= 2 * 600 / 390 * 3600  # 90 requests in a busy half hour, and 300 in the other one
