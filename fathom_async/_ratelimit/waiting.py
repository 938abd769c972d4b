"""The requests that wait in a lane: who is admitted when, and who is failed.

One dispatcher admits them, called after whatever may let one go, and by one timer.

1. Requests are admitted as `fathom_async._ratelimit.queue` says. While the server is away, the probe is a request
   about what has not failed, if there is one (`fathom_async._ratelimit.breaker`, rule 3).
2. A request whose `max_wait` cannot be met is failed as soon as that is known: when the time is over, or a pause will
   last for longer, or a shared budget has no permit for longer, as a process learns that did not know it yet.
3. In an outage, those with a `max_wait` are failed at once, and the others when they have waited through it for too
   long. Where few subjects failed, this is for requests about them only.
"""

import math
from collections.abc import Callable, Iterator
from functools import partial
from heapq import heappop, heappush
from itertools import count, islice
from typing import TYPE_CHECKING

from attrs import define, field

from fathom_async._ratelimit.admission import Admission
from fathom_async._ratelimit.plan import Priority
from fathom_async._ratelimit.queue import PASSES, PriorityQueue
from fathom_async.errors import FathomError, OutageError, WaitTooLongError

if TYPE_CHECKING:
    from fathom_async._ratelimit.lane import Lane
    from fathom_async._util.clock import Timer

TICK = 0.001
"""The shortest time between two dispatches by timer, in seconds."""

SLICE = 1000
"""How many waiting requests are handed over at once."""


@define(eq=False)
class Waiting:
    """The requests that wait in a lane, and the timer that calls the dispatcher, None while nothing is looked for.

    If it `awaits_answer`, an answer may let others go; else they wait for a permit to come back.
    """

    _lane: "Lane"
    queue: PriorityQueue[Admission] = field(factory=PriorityQueue[Admission], init=False)
    awaits_answer: bool = field(default=True, init=False)
    timer: "Timer | None" = field(default=None, init=False)
    _timer_at: float = field(default=0.0, init=False)
    _deadlines: list[tuple[float, int, Admission]] = field(
        factory=list[tuple[float, int, Admission]], init=False
    )
    _sequence: Iterator[int] = field(factory=count, init=False)

    def add(self, waiter: Admission) -> None:
        self.watch(waiter)
        self.queue.push(waiter, waiter.priority, waiter.flow, at_head=waiter.again == "refused")

    def watch(self, waiter: Admission) -> None:
        """Note a request's deadline; those that it had before are void."""
        if waiter.deadline < math.inf:
            heappush(self._deadlines, (waiter.deadline, next(self._sequence), waiter))

    def move(self, waiter: Admission, priority: Priority, flow: str) -> None:
        """Let a request wait in another class and flow."""
        is_here = self.queue.discard(waiter, waiter.priority, waiter.flow)
        waiter.priority, waiter.flow = priority, flow
        if is_here:  # not about to be handed over
            self.queue.push(waiter, priority, flow, at_head=waiter.again == "refused")

    def discard(self, waiter: Admission) -> None:
        self.queue.discard(waiter, waiter.priority, waiter.flow)

    def dispatch(self, now: float) -> None:
        """Admit what fits, fail what cannot be admitted in time, and set the timer for the next dispatch."""
        lane, queue = self._lane, self.queue
        due = math.inf
        while queue.size:
            due = lane.opens_at(now)
            if due > now:
                break
            waiter = self._pop(self._lane.window.granted_from)
            if waiter.wake():
                lane.admit(waiter, now)
        self.awaits_answer = due == math.inf or self._lane.breaker.has_failed or lane.is_probing(now)
        if self._deadlines:
            self._fail_late(now, due if lane.window.is_shared and not self.awaits_answer else now)
        if self._lane.window.failure is not None:
            self.fail_all(self._lane.window.failure)
        if not queue.size:
            self._lane.window.release_idle()
            self.stop()
        else:
            self._set_timer(min(due, self._deadlines[0][0]) if self._deadlines else due)

    def stop(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _set_timer(self, when: float) -> None:
        if self.timer is not None and when >= self._timer_at:
            return  # one early dispatch is cheaper than a new timer with every answer
        self.stop()
        if when < math.inf:
            self._timer_at = when
            self.timer = self._lane.clock.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self.timer = None
        self.dispatch(self._lane.clock.now())

    def _pop(self, start: Priority | None) -> Admission:
        """Take out the request that is admitted next (rule 1); see `PriorityQueue.pop`."""
        if self._lane.breaker.is_away:
            subjects = self._lane.breaker.subjects()
            for waiter in self.queue:
                if waiter.subject not in subjects and not waiter.is_over:
                    self.discard(waiter)
                    return waiter
        return self.queue.pop(start)

    def drain(self) -> Iterator[Admission]:
        """Take out all at once, and return those that still wait, flow by flow."""
        self._deadlines.clear()
        waiters = self.queue.clear()
        return (waiter for waiter in waiters if not waiter.is_over)

    def hand_over(self, to: Callable[[str], "Lane"]) -> None:
        """Let the lanes of their kinds admit all who wait here; requests under way are settled here."""
        self.stop()
        self._lane.window.release_idle()
        self._pass_on(self.drain(), to)

    def _pass_on(self, waiting: Iterator[Admission], to: Callable[[str], "Lane"]) -> None:
        """Pass on some, and the others in a moment, so that the event loop is not blocked."""
        now = self._lane.clock.now()
        followers: set[Lane] = set()
        for waiter in islice(waiting, SLICE):
            waiter.lane = lane = to(waiter.kind)
            if lane not in followers:
                followers.add(lane)
                restraint = lane.restraint
                restraint.paused_until = max(restraint.paused_until, self._lane.restraint.paused_until)
            if waiter.max_wait is not None:
                waiter.max_wait = max(0.0, waiter.deadline - now)
            try:
                lane.line_up(waiter, now)
            except FathomError as error:
                waiter.fail(error)
        for lane in followers:
            lane.dispatch(now)
        if followers:
            self._lane.clock.call_at(now, partial(self._pass_on, waiting, to))

    def are_others(self, subjects: set[str]) -> bool:
        return any(waiter.subject not in subjects for waiter in self.queue)

    def too_long(self, eta: float, max_wait: float) -> WaitTooLongError:
        """Return the error of a request that cannot wait for so long."""
        away = self._lane.breaker.reason if self._lane.breaker.is_away else ""
        return WaitTooLongError(self._lane.name, eta, max_wait, away)

    def _fail_late(self, now: float, due: float) -> None:
        closed_until = max(self._lane.restraint.paused_until, due)
        while self._deadlines:
            deadline, _, waiter = self._deadlines[0]
            if not waiter.is_over and deadline == waiter.deadline:
                if deadline > now and deadline >= closed_until:
                    break
                self._fail(waiter)
            heappop(self._deadlines)

    def fail_impatient(self, patience: float, now: float) -> None:
        """Carry out rule 3 for requests that wait no longer than the patience for a server that is away."""
        failed = self._lane.breaker.subjects() if self._lane.breaker.is_narrow else None
        for deadline, _, waiter in self._deadlines:
            if deadline == waiter.deadline and (failed is None or waiter.subject in failed):
                self._fail(waiter)
        since = self._lane.breaker.away_since
        if since is not None and now - since >= patience:
            words = f"the server has been away for {now - since:.0f} s: {self._lane.breaker.reason}"
            for waiter in self.queue:
                has_waited = waiter.again == "failed" or now - waiter.queued_at >= patience
                if has_waited and (failed is None or waiter.subject in failed):
                    waiter.fail(OutageError(words))

    def fail_all(self, error: FathomError) -> None:
        """Fail all, each with an error of its own."""
        for waiter in self.drain():
            waiter.fail(type(error)(*error.args))

    def _fail(self, waiter: Admission) -> None:
        """Fail one that cannot wait for any longer."""
        eta = self._lane.eta_behind((0, PASSES, 0), waiter.priority)
        waiter.fail(self.too_long(eta, waiter.max_wait or 0.0))
