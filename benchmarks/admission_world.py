"""The server of the admission benchmark: a throttle behind a jittery network, and its view of one client."""

import asyncio
import copy
import math
from collections.abc import Awaitable, Callable, Mapping
from random import Random

from attrs import field, frozen, mutable

from fathom_async._core.request import Response
from fathom_async.testing import (
    AlignedWindow,
    ConcurrencyCap,
    LaravelWindow,
    SlidingLog,
    Throttle,
    TokenBucket,
)

LIMIT = 10
PER = 60.0
THROTTLES: Mapping[str, Callable[[int], Throttle]] = {
    "Laravel, exact store": lambda limit: LaravelWindow(limit, per=PER),
    "Laravel, floor store": lambda limit: LaravelWindow(limit, per=PER, store="floor"),
    "clock-aligned": lambda limit: AlignedWindow(limit, per=PER),
    "sliding log": lambda limit: SlidingLog(limit, per=PER),
    "token bucket": lambda limit: TokenBucket(limit, per=PER),
}
"""A factory for each kind of server, which takes the limit."""

OK = 200
REFUSED = 429

Attempt = Callable[[Callable[[], None]], Awaitable[Response]]
"""Sends one request once; calls its argument when the bytes leave."""

Contender = Callable[[Attempt], Awaitable[Response]]
"""Makes one request with any number of attempts; returns the last answer."""

_UNIX = 1_700_000_000.0
_PATIENCE = 8
"""Multiple of the optimum after which to stop a run; unanswered requests are then lost."""


@frozen
class Scenario:
    """The conditions of one run; the seed determines everything random.

    Attributes:
        throttle: Which of `THROTTLES`.
        seed: Seed of the delays and of the phase of the server's clock.
        requests: Number of requests to make at once.
        jitter: Longest network delay in seconds, each way.
        handler: Range of seconds that the server takes for a request after counting it.
        foreign: Requests that another client of the account makes in every window, at random times.
        insistent: Whether the other client retries, after the server's Retry-After, until the server admits it.
        cap: Requests in flight that the server allows; unknown to the client.
        spent: Requests that the account made just before the start.
    """

    throttle: str
    seed: int
    requests: int = 100
    jitter: float = 0.05
    handler: tuple[float, float] = (0.0, 0.0)
    foreign: int = 0
    insistent: bool = False
    cap: int | None = None
    spent: int = 0


@frozen
class Outcome:
    """The outcome of one run; times are seconds from its start.

    Attributes:
        refused: Number of answers 429.
        lost: Requests that never got another answer.
        makespan: Time of the last answer.
        admitted: Time at which the server admitted the last request.
        optimum: Earliest time at which the server can admit the last request of a client that knows its clock.
        comparable: `optimum` plus the mean handler time: the last answer of that client.
        par: `comparable` plus one mean round trip a window and one for a probe.
        foreign: Requests of the other client, retries included.
        starved: Refusals of the other client.
        answers: Time of each answer, in order.
    """

    refused: int
    lost: int
    makespan: float
    admitted: float
    optimum: float
    comparable: float
    par: float
    foreign: int
    starved: int
    answers: list[float]


@mutable
class _Tally:
    refused: int = 0
    lost: int = 0
    admitted: float = 0.0
    foreign: int = 0
    starved: int = 0
    answers: list[float] = field(factory=list[float])


class World:
    """A server and its network, for one run on a virtual clock."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        chance = Random(f"{scenario.throttle}:{scenario.seed}")
        self._unix = _UNIX + chance.uniform(0.0, 3600.0)
        self._handlers = [chance.uniform(*scenario.handler) for _ in range(scenario.requests)]
        self._network = Random(chance.random())
        self._others = Random(chance.random())
        self._throttle = THROTTLES[scenario.throttle](LIMIT)
        self._cap = None if scenario.cap is None else ConcurrencyCap(scenario.cap)
        self._start = 0.0
        self._tally = _Tally()
        for _ in range(scenario.spent):
            self._throttle.hit(self._unix)
        self.optimum = self._find_optimum()

    async def play(self, contender: Contender) -> Outcome:
        """Make all requests of the client at once."""
        scenario, tally = self._scenario, self._tally
        self._start = asyncio.get_running_loop().time()
        others = asyncio.create_task(self._live_beside())
        try:
            async with asyncio.timeout(_PATIENCE * max(self.optimum, PER)):
                await asyncio.gather(*(self._want(contender, n) for n in range(scenario.requests)))
        except TimeoutError:
            tally.lost = scenario.requests - len(tally.answers)
        others.cancel()
        comparable = self.optimum + sum(scenario.handler) / 2
        windows = math.ceil(self.optimum / PER)  # a round trip takes twice half the jitter on average
        return Outcome(
            refused=tally.refused,
            lost=tally.lost,
            makespan=max(tally.answers, default=math.inf),
            admitted=tally.admitted,
            optimum=self.optimum,
            comparable=comparable,
            par=comparable + (windows + 1) * scenario.jitter,
            foreign=tally.foreign,
            starved=tally.starved,
            answers=tally.answers,
        )

    async def _want(self, contender: Contender, number: int) -> None:
        async def attempt(sent: Callable[[], None]) -> Response:
            sent()
            return await self._serve(number)

        answer = await contender(attempt)
        if answer.status == OK:
            self._tally.answers.append(self._elapsed())
        else:
            self._tally.lost += 1

    async def _serve(self, number: int) -> Response:
        await self._travel()
        cap = self._cap
        if cap is not None and not cap.enter():
            remaining = self._throttle.remaining(self._now())
            return await self._refuse(remaining, retry_after=1)
        try:
            verdict = self._throttle.hit(self._now())
            if not verdict.allowed:
                return await self._refuse(verdict.remaining, verdict.retry_after)
            self._tally.admitted = self._elapsed()
            await asyncio.sleep(self._handlers[number])
            headers = _headers(self._throttle.remaining(self._now()))
        finally:
            if cap is not None:
                cap.leave()
        await self._travel()
        return Response(OK, headers, b"{}")

    async def _refuse(self, remaining: int, retry_after: int) -> Response:
        self._tally.refused += 1
        await self._travel()
        headers = {**_headers(remaining), "Retry-After": str(retry_after)}
        return Response(REFUSED, headers, b'{"message": "Too Many Attempts."}')

    async def _travel(self) -> None:
        await asyncio.sleep(self._network.uniform(0.0, self._scenario.jitter))

    async def _live_beside(self) -> None:
        """Play the other client."""
        window = 0
        async with asyncio.TaskGroup() as asking:
            while self._scenario.foreign:
                for _ in range(self._scenario.foreign):
                    asking.create_task(self._ask(self._others.uniform(0.0, PER)))
                window += 1
                await asyncio.sleep(window * PER - self._elapsed())

    async def _ask(self, after: float) -> None:
        await asyncio.sleep(after)
        self._tally.foreign += 1
        while not (verdict := self._throttle.hit(self._now())).allowed:
            self._tally.starved += 1
            if not self._scenario.insistent:
                break
            await asyncio.sleep(verdict.retry_after + self._others.random())

    def _elapsed(self) -> float:
        return asyncio.get_running_loop().time() - self._start

    def _now(self) -> float:
        return self._unix + self._elapsed()

    def _find_optimum(self) -> float:
        scenario = self._scenario
        if scenario.spent:
            return perfect(self._throttle, scenario.requests, self._unix)
        left = THROTTLES[scenario.throttle](LIMIT - scenario.foreign)
        return left.optimum(scenario.requests, self._unix)


def perfect(throttle: Throttle, n: int, start: float) -> float:
    """Return the seconds until a throttle in its current state admits the last of n requests.

    Finds by trying what `Throttle.optimum` computes for an unused throttle.
    """

    def has_room(now: float) -> bool:
        return copy.deepcopy(throttle).remaining(now) > 0  # failed attempts must not change the throttle

    throttle = copy.deepcopy(throttle)
    now = start
    for _ in range(n):
        if not has_room(now):
            early, late = now, now + throttle.per + 1.0
            while late - early > 1e-6:
                middle = (early + late) / 2
                early, late = (early, middle) if has_room(middle) else (middle, late)
            now = late
        assert throttle.hit(now).allowed
    return now - start


def _headers(remaining: int) -> dict[str, str]:
    return {"X-RateLimit-Limit": str(LIMIT), "X-RateLimit-Remaining": str(remaining)}
