"""The clients of the admission benchmark: ours and its alternatives.

Each run creates its client and uses it as its documentation shows. Clients that do not wait by themselves wait for as
long as their library says. They import limiters on creation, after `benchmarks.admission_clock` replaced the clock.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from random import Random
from typing import Any

from attrs import frozen

from benchmarks.admission_world import LIMIT, OK, PER, REFUSED, Attempt, Contender
from fathom_async._core.request import Options, Request, Response
from fathom_async._core.retry import RetryPolicy
from fathom_async._core.session import Session
from fathom_async._ratelimit.lane import Lane
from fathom_async._ratelimit.plan import RateLimit
from fathom_async._util.clock import LoopClock
from fathom_async.errors import RateLimitError

Acquire = Callable[[], Awaitable[object]]

OURS = "fathom_async"

_POLITE = 1.0
"""Seconds that retrying clients add to Retry-After, which servers round down."""


class Wire:
    """A transport for our session that calls the attempt instead of the network."""

    def __init__(self) -> None:
        self.attempts: dict[str, Attempt] = {}

    async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:
        del within
        return await self.attempts[str(request.params["number"])](sent)

    def url(self, request: Request[object]) -> str:
        return request.target

    async def close(self) -> None:
        pass


def _fathom_async() -> Contender:
    clock, wire = LoopClock(), Wire()
    lane = Lane("reports", RateLimit(LIMIT, per=PER), clock=clock)
    session = Session(wire, {"reports": lane}, clock=clock, retry=RetryPolicy())

    async def get(attempt: Attempt) -> Response:
        number = str(len(wire.attempts))
        wire.attempts[number] = attempt
        request = Request("GET", "/aggregations", bytes, params={"number": number}, lane="reports")
        try:
            return Response(200, {}, await session.send(request, Options()))
        except RateLimitError:
            return Response(REFUSED, {}, b"")

    return get


def _gather() -> Contender:
    async def get(attempt: Attempt) -> Response:
        while True:
            answer = await attempt(_nothing)
            if answer.status != REFUSED:
                return answer
            await asyncio.sleep(float(answer.headers["Retry-After"]))

    return get


def _tenacity() -> Contender:
    tenacity = import_module("tenacity")
    retrying: Any = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_result(_is_in_vain),
        wait=tenacity.wait_random_exponential(multiplier=1, max=PER),
    )

    async def get(attempt: Attempt) -> Response:
        answer: Response = await retrying(attempt, _nothing)
        return answer

    return get


def _behind(acquire: Acquire, *, again: bool) -> Contender:
    """A client that asks a limiter before every attempt."""

    async def get(attempt: Attempt) -> Response:
        while True:
            await acquire()
            answer = await attempt(_nothing)
            if answer.status == OK or not again:
                return answer
            await asyncio.sleep(float(answer.headers.get("Retry-After", 0)) + _POLITE)

    return get


def _aiolimiter(rate: int, per: float) -> Acquire:
    acquire: Acquire = import_module("aiolimiter").AsyncLimiter(rate, per).acquire
    return acquire


def _pyrate_limiter(rate: int = LIMIT, per: float = PER) -> Acquire:
    pyrate = import_module("pyrate_limiter")
    limiter: Any = pyrate.Limiter(pyrate.InMemoryBucket([pyrate.Rate(rate, int(per * 1000))]))
    return lambda: limiter.try_acquire_async("reports")


def _limits() -> Acquire:
    limits = import_module("limits")
    storage = import_module("limits.aio.storage").MemoryStorage()
    window: Any = import_module("limits.aio.strategies").MovingWindowRateLimiter(storage)
    item = limits.RateLimitItemPerSecond(LIMIT, int(PER))

    async def acquire() -> None:
        while not await window.hit(item, "reports"):
            stats = await window.get_window_stats(item, "reports")
            await asyncio.sleep(max(stats.reset_time - time.time(), 0.05))

    return acquire


def _throttled(algorithm: str) -> Acquire:
    throttled = import_module("throttled.asyncio")
    quota = throttled.rate_limiter.per_min(LIMIT)
    store = throttled.store.MemoryStore()
    limiter: Any = throttled.Throttled(key="reports", using=algorithm, quota=quota, store=store, timeout=1e6)
    acquire: Acquire = limiter.limit
    return acquire


def _botocore() -> Contender:
    """Botocore's adaptive mode, built from its own parts, with an async wait and unlimited retries."""
    bucket = import_module("botocore.retries.bucket")
    clock = bucket.Clock()
    cubic: Any = import_module("botocore.retries.throttling").CubicCalculator(
        starting_max_rate=0, start_time=clock.current_time()
    )
    tokens: Any = bucket.TokenBucket(max_rate=1, clock=clock)
    rates: Any = import_module("botocore.retries.adaptive").RateClocker(clock)
    chance = Random(1)
    enabled = False

    async def acquire() -> None:
        while enabled:
            tokens._refill()  # noqa: SLF001 - the public method to get a token blocks the thread
            if tokens._current_capacity >= 1:  # noqa: SLF001
                tokens._current_capacity -= 1  # noqa: SLF001
                return
            await asyncio.sleep(max(0.001, tokens._sleep_amount(1)))  # noqa: SLF001

    def learn(answer: Response) -> None:
        nonlocal enabled
        measured, now = rates.record(), clock.current_time()
        if answer.status != OK:
            rate = min(measured, tokens.max_rate) if enabled else measured
            new = cubic.error_received(rate, now)
            enabled = True
        else:
            new = cubic.success_received(now)
        tokens.max_rate = min(new, 2.0 * measured)

    async def get(attempt: Attempt) -> Response:
        refusals = 0
        while True:
            await acquire()
            answer = await attempt(_nothing)
            learn(answer)
            if answer.status == OK:
                return answer
            await asyncio.sleep(chance.random() * min(20.0, 2.0**refusals))
            refusals += 1

    return get


def _nothing() -> None:
    pass


def _is_in_vain(answer: Response) -> bool:
    return answer.status != OK


def peers(rate: int, per: float) -> Mapping[str, tuple[str, Callable[[], Contender]]]:
    """Return the clients that play every scenario, by name, with their package and factory."""
    return {
        "tenacity, exponential back-off": ("tenacity", _tenacity),
        "botocore-style adaptive": ("botocore", _botocore),
        "AsyncLimiter(N, T), retry": ("aiolimiter", lambda: _behind(_aiolimiter(rate, per), again=True)),
        "pyrate-limiter, retry": ("pyrate-limiter", lambda: _behind(_pyrate_limiter(rate, per), again=True)),
    }


@frozen
class Entry:
    """One line of the tables.

    Attributes:
        make: Makes the client for one run, on the running loop.
        package: The package that it needs.
        is_main: Whether it plays the main table.
        is_further: Whether it plays the other tables.
    """

    make: Callable[[], Contender]
    package: str = "fathom_async"
    is_main: bool = True
    is_further: bool = False


CONTENDERS: Mapping[str, Entry] = {
    OURS: Entry(_fathom_async, is_further=True),
    "gather, exact Retry-After": Entry(_gather, is_further=True),
    "tenacity, exponential back-off": Entry(_tenacity, "tenacity"),
    "botocore-style adaptive": Entry(_botocore, "botocore"),
    "AsyncLimiter(10, 60)": Entry(lambda: _behind(_aiolimiter(LIMIT, PER), again=False), "aiolimiter"),
    "AsyncLimiter(10, 60), retry": Entry(
        lambda: _behind(_aiolimiter(LIMIT, PER), again=True), "aiolimiter", is_further=True
    ),
    "AsyncLimiter(1, 6)": Entry(lambda: _behind(_aiolimiter(1, PER / LIMIT), again=False), "aiolimiter"),
    "AsyncLimiter(1, 6), retry": Entry(
        lambda: _behind(_aiolimiter(1, PER / LIMIT), again=True),
        "aiolimiter",
        is_main=False,
        is_further=True,
    ),
    "pyrate-limiter": Entry(lambda: _behind(_pyrate_limiter(), again=False), "pyrate-limiter"),
    "pyrate-limiter, retry": Entry(
        lambda: _behind(_pyrate_limiter(), again=True),
        "pyrate-limiter",
        is_main=False,
        is_further=True,
    ),
    "limits, moving window": Entry(lambda: _behind(_limits(), again=False), "limits"),
    "throttled-py, sliding window": Entry(
        lambda: _behind(_throttled("sliding_window"), again=False), "throttled-py"
    ),
    "throttled-py, GCRA": Entry(lambda: _behind(_throttled("gcra"), again=False), "throttled-py"),
}
"""The clients by their name in tables; ours first."""
