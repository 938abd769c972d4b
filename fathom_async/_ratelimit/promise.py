"""The promise: what a less urgent class leaves for the more urgent ones.

Theory
======

A window that gives all of its N permits to a bulk job at once has none for a page that comes a moment later; the
page waits for a span, however urgent it is. To keep permits free for it for ever costs their part of the throughput.
What costs next to nothing is to *spread* the job: after each of its requests, the permits that a page would need
next must come back soon enough.

1. **The promise.** Let ``r[0] <= r[1] <= ...`` be the moments at which permits can be used. A request may take
   ``r[0]`` at the moment t only if, for every j from 1 to k, ``r[j] <= t + j * STRETCH * span / N``. Else it is looked
   at again at the greatest ``r[j] - j * STRETCH * span / N``. At full use permits come back every ``span / N`` on
   average; `STRETCH` is a little more than 1, for below 1 the promise could never be kept and the window would starve.
2. **The forecast.** k is what the more urgent classes will want before permits come back: their rate over the last
   span (`MEMORY` at least), times the span, times `SAFETY`, and `max(2, N / 50)` more for whoever comes first after a
   silence. So a long window is not emptied for visitors who come, and not slowed down for those who do not.
3. **Nobody there.** A class that was not seen for `SEEN_FOR` is left nothing: a job that has a budget to itself takes
   what it always took.
4. **Whose.** BULK leaves permits for NORMAL and INTERACTIVE, NORMAL for INTERACTIVE, and INTERACTIVE for nobody.

Nothing here can admit more than the window does, so that the proof of the window does not depend on it.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence

from fathom_async._ratelimit.plan import Priority

MEMORY = 900.0
"""Seconds over which arrivals are counted at the least."""

SEEN_FOR = 86_400.0
"""Seconds after its last request for which a class is expected to come back."""

SAFETY = 2.0
"""How many times the expected number of arrivals is provided for."""

STRETCH = 1.1
"""By how much longer than the average distance between permits a more urgent request may have to wait for one."""

_BEGAN, _COUNT, _BEFORE, _SEEN = range(4)
_FIELDS = 4
_HAIR = 1e-6

FORECAST_SIZE = _FIELDS * Priority.BULK
"""How many numbers a forecast needs: nothing is left for BULK, so that nobody counts it."""


class Forecast:
    """How often the more urgent classes come, on one budget.

    Arrivals are counted in bins as long as the memory; of the bin before the present one that part counts which
    still lies within the memory.

    Args:
        span: Seconds after which a permit comes back.
        numbers: Where the counts are kept, `FORECAST_SIZE` of them, all zeros when new.
    """

    __slots__ = ("_memory", "_numbers", "_span")

    def __init__(self, span: float, numbers: "list[float] | memoryview[float] | None" = None) -> None:
        self._span = span
        self._memory = max(span, MEMORY)
        self._numbers = [0.0] * FORECAST_SIZE if numbers is None else numbers

    def note(self, priority: Priority, now: float, count: int = 1) -> None:
        """Count requests of a class; 0 of them say only that somebody is there."""
        if priority >= Priority.BULK:
            return
        numbers, at, memory = self._numbers, _FIELDS * priority, self._memory
        passed = now - numbers[at + _BEGAN]
        if passed >= memory or not numbers[at + _SEEN]:
            is_next = passed < 2 * memory
            numbers[at + _BEFORE] = numbers[at + _COUNT] if is_next else 0.0
            numbers[at + _COUNT] = 0.0
            numbers[at + _BEGAN] = now - passed % memory if is_next else now
        numbers[at + _COUNT] += count
        numbers[at + _SEEN] = now

    def wanted(self, priority: Priority, permits: int, now: float) -> int:
        """Return how many permits a request of a class has to leave: k of rule 1.

        Args:
            priority: Its class.
            permits: How many there are in all.
            now: The moment.
        """
        if not any(self._is_expected(each, now) for each in range(priority)):  # rule 3
            return 0
        expected = self.rate(priority, now) * self._span
        return min(permits - 1, max(2, permits // 50) + math.ceil(SAFETY * expected))  # rule 2

    def rate(self, priority: Priority, now: float) -> float:
        """Return how many requests more urgent than this class come in a second (rule 4)."""
        return sum(self._arrivals(each, now) for each in range(priority)) / self._memory

    def _is_expected(self, priority: int, now: float) -> bool:
        seen = self._numbers[_FIELDS * priority + _SEEN]
        return bool(seen) and now - seen < SEEN_FOR

    def _arrivals(self, priority: int, now: float) -> float:
        began, count, before, _ = self._numbers[_FIELDS * priority : _FIELDS * (priority + 1)]
        passed = (now - began) / self._memory
        return count + before * (1 - passed) if passed < 1 else count * max(0.0, 2 - passed)


def promised(returns: Sequence[float], count: int, left: int, span: float, now: float) -> int:
    """Return how many permits may be taken at once: rule 1, for one after the other.

    Args:
        returns: When each permit can be used, in order.
        count: How many are wanted.
        left: How many have to be left, k.
        span: Seconds after which a permit comes back.
        now: The moment.
    """
    free = bisect_right(returns, now + _HAIR)
    taken = min(count, max(0, free - left))  # those leave as many free ones as are wanted
    while taken < count and promised_at(returns, left, span, taken) <= now + _HAIR:
        taken += 1
    return taken


def promised_at(returns: Sequence[float], left: int, span: float, ahead: int = 0) -> float:
    """Return from when on the promise allows to take a permit: rule 1.

    Args:
        returns: When each permit can be used, in order.
        left: How many have to be left, k.
        span: Seconds after which a permit comes back.
        ahead: How many are taken before it.
    """
    permits = len(returns)
    apart = STRETCH * span / permits
    at = -math.inf
    for number in range(1, left + 1):
        turns, index = divmod(ahead + number, permits)
        at = max(at, returns[index] + turns * span - number * apart)
    return at
