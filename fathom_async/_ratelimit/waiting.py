"""The requests that wait in a lane: who is admitted when, and who is failed.

One dispatcher admits them, called after whatever may let one go, and by one timer.

1. Requests are admitted as `fathom_async._ratelimit.queue` says. While the server is away, the probe is a request
   about what has not failed, if there is one (`fathom_async._ratelimit.breaker`, rule 3).
2. A request whose `max_wait` cannot be met is failed as soon as that is known: when the time is over, or a pause will
   last for longer.
3. In an outage, those with a `max_wait` are failed at once, and the others when they have waited through it for too
   long. Where few subjects failed, this is for requests about them only.
"""

import itertools
import math
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from fathom_async._ratelimit.admission import Admission
from fathom_async._ratelimit.breaker import Breaker
from fathom_async._ratelimit.plan import Priority
from fathom_async._ratelimit.protocol import Window
from fathom_async._ratelimit.queue import PASSES, PriorityQueue
from fathom_async._ratelimit.restraint import Restraint
from fathom_async._util.clock import Clock
from fathom_async.errors import FathomError, OutageError, WaitTooLongError

if TYPE_CHECKING:
    from fathom_async._ratelimit.lane import Lane
    from fathom_async._util.clock import Timer

TICK = 0.001
"""The shortest time between two dispatches by timer, in seconds."""


class Waiting:
    """The requests that wait in a lane.

    Args:
        lane: The lane.
        window: Its window.
        restraint: What holds it back besides.
        breaker: What is known of an outage.
        clock: Source of time.

    Attributes:
        queue: Their order.
        awaits_answer: Whether an answer may let others go; else they wait for a permit to come back.
        timer: Calls the dispatcher; None while nothing has to be looked for.
    """

    __slots__ = (
        *(
            "_breaker",
            "_clock",
            "_deadlines",
            "_lane",
            "_restraint",
            "_sequence",
            "_timer",
            "_timer_at",
            "_window",
        ),
        *("awaits_answer", "queue", "timer"),
    )

    def __init__(
        self, lane: "Lane", window: Window, restraint: Restraint, breaker: Breaker, clock: Clock
    ) -> None:
        self.queue: PriorityQueue[Admission] = PriorityQueue()
        self.awaits_answer: bool = True
        self._lane = lane
        self._window = window
        self._restraint = restraint
        self._breaker = breaker
        self._clock = clock
        self._deadlines: list[tuple[float, int, Admission]] = []
        self._sequence = itertools.count()
        self.timer: Timer | None = None
        self._timer_at = 0.0

    def add(self, waiter: Admission, deadline: float | None) -> None:
        """Let a request wait, until its deadline if it has one."""
        if deadline is not None:
            heappush(self._deadlines, (deadline, next(self._sequence), waiter))
        self.queue.push(waiter, waiter.priority, waiter.flow, at_head=waiter.again == "refused")

    def discard(self, waiter: Admission) -> None:
        """Take out a request that gave up; it may be gone already."""
        self.queue.discard(waiter, waiter.priority, waiter.flow)

    def dispatch(self, now: float) -> None:
        """Admit what fits, fail what cannot be admitted in time, and set the timer for the next dispatch."""
        lane, queue = self._lane, self.queue
        due = math.inf
        while queue.size:
            due = lane.opens_at(now)
            if due > now:
                break
            waiter = self._pop(self._window.granted_from)
            if waiter.wake():
                lane.admit(waiter, now)
        self.awaits_answer = due == math.inf or self._breaker.has_failed or lane.is_probing(now)
        if self._deadlines:
            self._fail_late(now)
        if self._window.failure is not None:
            self.fail_all(self._window.failure)
        if not queue.size:
            self._window.release_idle()
            self.stop()
        else:
            self._set_timer(min(due, self._deadlines[0][0]) if self._deadlines else due)

    def stop(self) -> None:
        """Stop the timer."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _set_timer(self, when: float) -> None:
        if self.timer is not None and when >= self._timer_at:
            return  # one early dispatch is cheaper than a new timer with every answer
        self.stop()
        if when < math.inf:
            self._timer_at = when
            self.timer = self._clock.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self.timer = None
        self.dispatch(self._clock.now())

    def _pop(self, start: Priority | None) -> Admission:
        """Take out the request that is admitted next (rule 1); see `PriorityQueue.pop`."""
        if self._breaker.is_away:
            subjects = self._breaker.subjects()
            for waiter in self.queue:
                if waiter.subject not in subjects and not waiter.is_over:
                    self.discard(waiter)
                    return waiter
        return self.queue.pop(start)

    def drain(self) -> Iterator[tuple[Admission, float | None]]:
        """Take out all at once, and return those that still wait, flow by flow, with their deadlines."""
        deadlines = {waiter: deadline for deadline, _, waiter in self._deadlines}
        self._deadlines.clear()
        waiters = self.queue.clear()
        return ((waiter, deadlines.get(waiter)) for waiter in waiters if not waiter.is_over)

    def are_others(self, subjects: set[str]) -> bool:
        """Whether requests wait that are about none of these subjects."""
        return any(waiter.subject not in subjects for waiter in self.queue)

    def too_long(self, waiter: Admission, eta: float) -> WaitTooLongError:
        """Return the error of a request that cannot wait for so long."""
        away = self._breaker.reason if self._breaker.is_away else ""
        return WaitTooLongError(self._restraint.name, eta, waiter.max_wait or 0.0, away)

    def _fail_late(self, now: float) -> None:
        """Carry out rule 2."""
        while self._deadlines:
            deadline, _, waiter = self._deadlines[0]
            if not waiter.is_over:
                if deadline > now and deadline >= self._restraint.paused_until:
                    break
                self._fail(waiter)
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
                self._fail(waiter)
        since = self._breaker.away_since
        if since is not None and now - since >= patience:
            words = f"the server has been away for {now - since:.0f} s: {self._breaker.reason}"
            for waiter in self.queue:
                has_waited = waiter.again == "failed" or now - waiter.queued_at >= patience
                if has_waited and (failed is None or waiter.subject in failed):
                    waiter.fail(OutageError(words))

    def fail_all(self, error: FathomError) -> None:
        """Fail all, each with an error of its own."""
        for waiter, _ in self.drain():
            waiter.fail(type(error)(*error.args))

    def _fail(self, waiter: Admission) -> None:
        """Fail one that cannot wait for any longer."""
        waiter.fail(self.too_long(waiter, self._lane.eta_behind((0, PASSES), waiter.priority)))
