"""The promise: what a less urgent class leaves for the more urgent ones.

Theory
======

A window that gives all of its N permits to a bulk job at once has none for a page that comes a moment later; the
page waits for a span, however urgent it is. To keep permits free for it for ever costs their part of the throughput.
What costs next to nothing is to *spread* the job: after each of its requests, the permits that a page would need
next must come back soon enough.

1. **The promise.** Let ``r[0] <= r[1] <= ...`` be the moments at which permits can be used. A request may take
   ``r[0]`` at the moment t only if, for every j from 1 to k, ``r[j] <= t + j * STRETCH * span / N``. Else it looks
   again at the greatest ``r[j] - j * STRETCH * span / N``. At full use permits come back every ``span / N`` on
   average; `STRETCH` is a little more than 1, for below 1 the promise could not be kept and the window would starve.
2. **The forecast.** k is what the more urgent classes will want before permits come back: their rate over the last
   span (`MEMORY` at least), times the span, times `SAFETY`, and `max(2, N / 50)` more for whoever comes first after a
   silence. So a long window is not emptied for visitors who come, and not slowed down for those who do not.
3. **Nobody there.** A class that was not seen for `SEEN_FOR` is left nothing: a job that has a budget to itself takes
   what it always took.
4. **Whose.** BULK leaves permits for NORMAL and INTERACTIVE, NORMAL for INTERACTIVE, and INTERACTIVE for nobody.
5. **For how long.** A burst looks like a rate that lasts, and in an idle lane nobody comes by whom ageing could
   count. So a class that was held back from a free permit for `patience` takes one, whatever is left: had the k
   requests come evenly over the span, it would have been passed over `PASSES` times by then
   (`fathom_async._ratelimit.queue`, rule 2). This spends an eighth of k in a span at the most.

Nothing here can admit more than the window does, so that the proof of the window does not depend on it.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import chain, islice, repeat
from operator import mul, sub

from attrs import frozen

from fathom_async._ratelimit.queue import PASSES

STRETCH = 1.1
"""By how much longer than the average distance between permits a more urgent request may have to wait for one."""

HAIR = 1e-6
"""Seconds by which a moment may differ from itself."""


def promised(returns: Sequence[float], count: int, left: int, span: float, now: float) -> int:
    """Return how many of the permits that are wanted may be taken at once: rule 1, for one after the other."""
    free = bisect_right(returns, now + HAIR)
    taken = min(count, max(0, free - left))  # those leave as many free ones as are wanted
    permits = len(returns)
    while taken < count and promised_at(returns, left, span, permits, taken) <= now + HAIR:
        taken += 1
    return taken


def promised_at(returns: Sequence[float], left: int, span: float, permits: int, ahead: int = 0) -> float:
    """Return from when on the promise allows to take a permit behind so many others: rule 1.

    Of the moments at which permits can be used, the first ``ahead + left + 1`` are enough.
    """
    apart = STRETCH * span / permits
    begin, end = ahead + 1, ahead + 1 + left
    upcoming: Iterable[float] = returns[begin:end]
    if end > permits:  # those taken before come back a span later
        upcoming = [returns[index % permits] + index // permits * span for index in range(begin, end)]
    return max(map(sub, upcoming, map(mul, range(1, left + 1), repeat(apart))), default=-math.inf)


def patience(left: int, span: float) -> float:
    """Return for how many seconds a class is held back before it takes one permit whatever is left: rule 5."""
    return PASSES * span / left


@frozen
class Permits:
    """The permits of a window of one's own now: how many are free, and when the others come back, in order.

    Fewer than none are free after the limit fell. The foreign ones are held for other clients; the unanswered ones
    come back at the earliest then.
    """

    total: int
    reserve: int
    free: int
    ageing: Sequence[float]
    foreign: Sequence[float]
    unanswered: Sequence[float]
    now: float
    span: float

    def nth(self, position: int) -> float:
        """Return when so many permits after the next one are free, without the promise."""
        turns, index = divmod(position, self.total - self.reserve)
        if not self.reserve and index < self.free:
            at = self.now
        elif not (self.reserve or self.foreign or self.unanswered) and 0 <= index - self.free < len(
            self.ageing
        ):
            at = self.ageing[index - self.free]  # the usual case, at once with any number of permits
        else:
            at = self.upcoming(index + 1)[index]
        return at + turns * self.span

    def promised_at(self, position: int, left: int) -> float:
        """Return from when on the promise allows to take a permit behind so many others."""
        usable = self.total - self.reserve
        turns, position = divmod(position, usable)
        returns = self.upcoming(position + left + 1)
        return promised_at(returns, left, self.span, usable, position) + turns * self.span

    def aged_at(self, position: int, passes: int, left: int, since: float | None) -> float:
        """Return when a class, held back since then, takes a permit whatever is left: when passed over, or rule 5."""
        if not left:
            return max(self.nth(position + passes), self.now)
        held_since = self.nth(0) if since is None else since
        return max(self.nth(position), held_since + passes / PASSES * patience(left, self.span), self.now)

    def upcoming(self, count: int) -> list[float]:
        """Return when the next so many permits can be used, in order."""
        usable = self.total - self.reserve
        out = self.total - self.free - len(self.foreign)
        unsent = [self.now + self.span] * (out - len(self.ageing) - len(self.unanswered))
        ours = self.ageing, self.unanswered, unsent
        total = self._next(min(count, usable), self.free, *ours, self.foreign)
        if not self.reserve:
            return total
        # Those of others may fill the reserve; ours beyond it have to come back first.
        return [*map(max, total, self._next(len(total), usable - out, *ours))]

    def _next(self, count: int, free: int, *out: Sequence[float]) -> list[float]:
        """Return when so many can be used of free permits and those that are out.

        If fewer than none are free, a smaller limit took permits away; these come back to nobody.
        """
        gone, free = max(0, -free), max(0, free)
        end = gone + count - free
        returning = sorted(chain(*(islice(part, end) for part in out)))[gone:end] if end > gone else []
        past = bisect_right(returning, self.now)
        return [self.now] * min(count, free + past) + returning[past:]
