"""Servers that refuse in other ways than the documented one, and a crowd of requests that has to get through."""

import asyncio
import math
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from fathom_async._ratelimit.admission import SILENT, Feedback
from fathom_async._ratelimit.lane import Lane
from fathom_async._ratelimit.plan import Priority, RateLimit
from fathom_async._util.clock import LoopClock
from fathom_async.testing import ConcurrencyCap, run_virtual
from fathom_async.testing._throttle import Throttle, Verdict

if TYPE_CHECKING:
    from fathom_async._ratelimit.admission import Again

MOST_REFUSALS = 20
"""How often a request may be refused before it is lost, as `RetryPolicy.refusals` has it."""

Words = Callable[[Verdict, float], Feedback]
"""What the headers of an answer say, given the truth and the moment."""

START = 1.7e9 + 17


def truth(verdict: Verdict, now: float) -> Feedback:
    """Say everything, and nothing but what is true."""
    del now
    return Feedback(verdict.limit, verdict.remaining, None if verdict.allowed else float(verdict.retry_after))


def silence(verdict: Verdict, now: float) -> Feedback:
    """Say nothing but ``Retry-After``."""
    del now
    return SILENT if verdict.allowed else Feedback(None, None, float(verdict.retry_after))


@define
class SlidingCounter:
    """A sliding window approximated by two counters, as proxies do: the last full window counts by its overlap."""

    limit: int
    per: float
    _index: int = field(default=-1, init=False)
    _count: int = field(default=0, init=False)
    _before: int = field(default=0, init=False)

    def _estimate(self, now: float) -> float:
        index, part = divmod(now / self.per, 1)
        if index != self._index:
            self._before = self._count if index == self._index + 1 else 0
            self._index, self._count = int(index), 0
        return self._count + self._before * (1 - part)

    def hit(self, now: float) -> Verdict:
        if self._estimate(now) + 1 > self.limit:
            excess = self._estimate(now) + 1 - self.limit
            left = (self._index + 1) * self.per - now
            wait = min(left, excess * self.per / self._before) if self._before else left
            return Verdict(allowed=False, limit=self.limit, remaining=0, retry_after=math.ceil(wait))
        self._count += 1
        return Verdict(allowed=True, limit=self.limit, remaining=self.remaining(now))

    def remaining(self, now: float) -> int:
        return max(0, math.floor(self.limit - self._estimate(now)))

    def optimum(self, n: int, start: float = 0.0) -> float:
        """Return what one needs who asks ten times a second."""
        other, moment = SlidingCounter(self.limit, self.per), start
        while n:
            n -= other.hit(moment).allowed
            moment += 0.1
        return moment - start


@define
class CountsRefused:
    """At most `limit` requests in any window, those that it refuses included."""

    limit: int
    per: float
    _times: list[float] = field(factory=list[float], init=False)

    def hit(self, now: float) -> Verdict:
        self._times = [each for each in self._times if each + self.per > now]
        self._times.append(now)
        if len(self._times) > self.limit:
            wait = math.ceil(self._times[-self.limit] + self.per - now)
            return Verdict(allowed=False, limit=self.limit, remaining=0, retry_after=wait)
        return Verdict(allowed=True, limit=self.limit, remaining=self.limit - len(self._times))

    def remaining(self, now: float) -> int:
        return max(0, self.limit - sum(each + self.per > now for each in self._times))

    def optimum(self, n: int, start: float = 0.0) -> float:
        del start
        return max(0, n - 1) // self.limit * self.per


@frozen
class Outcome:
    """What became of a crowd of requests.

    Attributes:
        refused: Refusals.
        lost: Requests that were refused too often.
        seconds: From the first to the last answer.
    """

    refused: int
    lost: int
    seconds: float


@define
class Server:
    """A server as a lane sees it.

    Attributes:
        throttle: Its limit; None for none.
        words: What its headers say.
        cap: Its cap on requests in flight.
        handler: Seconds that it takes for a request, from and to.
        crowded: ``Retry-After`` of a refusal by the cap.
    """

    throttle: Throttle | None
    words: Words = truth
    cap: ConcurrencyCap | None = None
    handler: tuple[float, float] = (0.1, 0.5)
    crowded: int = 1
    travel: tuple[float, float] = (0.0, 0.06)
    rng: random.Random = field(factory=lambda: random.Random(5))
    refused: int = field(default=0, init=False)
    lost: int = field(default=0, init=False)

    async def pass_through(self, lane: Lane, priority: Priority = Priority.BULK) -> None:
        """Make a request, and make it again until it is let in."""
        again: Again | None = None
        for _ in range(MOST_REFUSALS + 1):
            async with lane.permit(priority, again=again) as admission:
                admission.sent()
                await asyncio.sleep(self.rng.uniform(*self.travel))
                feedback, is_refused = await self._handle()
                await asyncio.sleep(self.rng.uniform(*self.travel))
                if not is_refused:
                    admission.answered(feedback)
                    return
                self.refused += 1
                admission.refused(feedback)
                again = "refused"
        self.lost += 1

    async def _handle(self) -> tuple[Feedback, bool]:
        if self.cap is not None and not self.cap.enter():
            limit = self.throttle.limit if self.throttle else 0
            left = self.throttle.remaining(self._now()) if self.throttle else 0
            verdict = Verdict(allowed=False, limit=limit, remaining=left, retry_after=self.crowded)
            return self.words(verdict, self._now()), True
        try:
            verdict = self.hit()
            if not verdict.allowed:
                return self.words(verdict, self._now()), True
            await asyncio.sleep(self.rng.uniform(*self.handler))
            left = self.throttle.remaining(self._now()) if self.throttle else 0
            return self.words(Verdict(allowed=True, limit=verdict.limit, remaining=left), self._now()), False
        finally:
            if self.cap is not None:
                self.cap.leave()

    def hit(self) -> Verdict:
        """Ask its throttle."""
        if self.throttle is None:
            return Verdict(allowed=True, limit=0, remaining=0)
        return self.throttle.hit(self._now())

    def _now(self) -> float:
        return START + asyncio.get_running_loop().time()


def lane_of(requests: int = 10, per: float = 60.0, *, concurrency: int | None = None) -> Lane:
    """Return a lane on the running loop."""
    return Lane("reports", RateLimit(requests, per=per), clock=LoopClock(), concurrency=concurrency)


def play(server: Server, requests: int, limit: int = 10, per: float = 60.0) -> Outcome:
    """Send a crowd of requests through one lane, which takes the limit to be so."""

    async def scenario() -> Outcome:
        loop = asyncio.get_running_loop()
        lane = lane_of(limit, per)
        start = loop.time()
        await asyncio.gather(*(server.pass_through(lane) for _ in range(requests)))
        return Outcome(server.refused, server.lost, loop.time() - start)

    return run_virtual(scenario())
