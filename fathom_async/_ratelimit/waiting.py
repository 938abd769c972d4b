"""The requests that wait in a lane: who is admitted next, and who is failed.

1. Requests are admitted as `fathom_async._ratelimit.queue` says. While the server is away, the probe is a request
   about what has not failed, if there is one (`fathom_async._ratelimit.breaker`, rule 3).
2. A request whose `max_wait` cannot be met is failed as soon as that is known: when the time is over, or a pause will
   last for longer.
3. In an outage, those with a `max_wait` are failed at once, and the others when they have waited through it for too
   long. Where few subjects failed, this is for requests about them only.
"""

import itertools
from collections.abc import Callable, Iterator
from heapq import heappop, heappush

from fathom_async._ratelimit.admission import Admission
from fathom_async._ratelimit.breaker import Breaker
from fathom_async._ratelimit.plan import Priority
from fathom_async._ratelimit.queue import PriorityQueue
from fathom_async.errors import FathomError, OutageError, WaitTooLongError


class Waiting:
    """The requests that wait in a lane.

    Args:
        name: The lane's name.
        breaker: What is known of an outage.
        eta: Estimates the seconds until a request would be admitted, if it were the next of its class.

    Attributes:
        queue: Their order.
    """

    __slots__ = ("_breaker", "_deadlines", "_eta", "_name", "_sequence", "queue")

    def __init__(self, name: str, breaker: Breaker, eta: Callable[[Admission], float]) -> None:
        self.queue: PriorityQueue[Admission] = PriorityQueue()
        self._name = name
        self._breaker = breaker
        self._eta = eta
        self._deadlines: list[tuple[float, int, Admission]] = []
        self._sequence = itertools.count()

    @property
    def first_deadline(self) -> float | None:
        """When the next request fails that cannot wait for longer."""
        return self._deadlines[0][0] if self._deadlines else None

    def add(self, waiter: Admission, deadline: float | None, now: float) -> None:
        """Let a request wait, until its deadline if it has one."""
        waiter.queued_at = now
        if deadline is not None:
            heappush(self._deadlines, (deadline, next(self._sequence), waiter))
        self.queue.push(waiter, waiter.priority, waiter.flow, waiter.place)

    def discard(self, waiter: Admission) -> None:
        """Take out a request that gave up; it may be gone already."""
        self.queue.discard(waiter, waiter.priority, waiter.flow)

    def pop(self, start: Priority | None = None) -> Admission:
        """Take out the request that is admitted next (rule 1); see `PriorityQueue.pop`."""
        if self._breaker.is_away:
            subjects = self._breaker.subjects()
            for waiter in self.queue:
                if waiter.subject not in subjects and not waiter.is_over:
                    self.discard(waiter)
                    return waiter
        return self.queue.pop(start)

    def drain(self) -> Iterator[tuple[Admission, float | None]]:
        """Take out all, in their order, with their deadlines."""
        deadlines = {waiter: deadline for deadline, _, waiter in self._deadlines}
        self._deadlines.clear()
        while self.queue.size:
            waiter = self.queue.pop()
            if not waiter.is_over:
                yield waiter, deadlines.get(waiter)

    def are_others(self, subjects: set[str]) -> bool:
        """Whether requests wait that are about none of these subjects."""
        return any(waiter.subject not in subjects for waiter in self.queue)

    def too_long(self, waiter: Admission, eta: float) -> WaitTooLongError:
        """Return the error of a request that cannot wait for so long."""
        away = self._breaker.reason if self._breaker.is_away else ""
        return WaitTooLongError(self._name, eta, waiter.max_wait or 0.0, away)

    def fail_late(self, paused_until: float, now: float) -> None:
        """Carry out rule 2."""
        while self._deadlines:
            deadline, _, waiter = self._deadlines[0]
            if not waiter.is_over:
                if deadline > now and deadline >= paused_until:
                    break
                waiter.fail(self.too_long(waiter, self._eta(waiter)))
            heappop(self._deadlines)

    def fail_impatient(self, patience: float, now: float) -> None:
        """Carry out rule 3.

        Args:
            patience: Seconds that a request waits for a server that is away.
            now: The moment.
        """
        failed = self._breaker.subjects() if self._breaker.is_narrow else None
        for _, _, waiter in self._deadlines:
            if failed is None or waiter.subject in failed:
                waiter.fail(self.too_long(waiter, self._eta(waiter)))
        since = self._breaker.away_since
        if since is not None and now - since >= patience:
            words = f"the server has been away for {now - since:.0f} s: {self._breaker.reason}"
            for waiter in self.queue:
                has_waited = waiter.place == "last" or now - waiter.queued_at >= patience
                if has_waited and (failed is None or waiter.subject in failed):
                    waiter.fail(OutageError(words))

    def fail_all(self, error: FathomError) -> None:
        """Fail all, each with an error of its own."""
        for waiter, _ in self.drain():
            waiter.fail(type(error)(*error.args))
