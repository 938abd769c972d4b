"""A lane: the one gate through which all requests that share a rate limit must pass.

A request is admitted when three things allow it: the **window** (`fathom_async._ratelimit.window`), which
guarantees the limit; the **bucket** (aiolimiter), which spreads requests where the plan asks for smaller bursts
(with a burst as large as the limit it would never make anyone wait behind the window, and is left out); and the
**cap** on requests in flight. Waiting requests stand in one queue with one dispatcher and one timer,
so that an admission costs the same with a hundred thousand waiting as with ten.

- A *cold* lane probes. It knows nothing of a window that others may have half used, so its first request goes
  alone, and what that answer says opens the lane. A probe that is slow does not hold the others for longer than
  `PROBE_PATIENCE` each.
- A ``429`` pauses the lane, not just its request: until ``Retry-After`` and `RETRY_PAD` more, since servers
  round that header down. Then the lane probes again.
- A ``429`` while ``Remaining`` is not 0 is a cap on requests in flight that we were not told: fewer at once.

What the window is made of, and whether other processes share it, is behind `fathom_async._ratelimit.permit.Permits`.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Collection
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from fathom_async._ratelimit.admission import Admission
from fathom_async._ratelimit.bucket import Bucket
from fathom_async._ratelimit.concurrency import Concurrency
from fathom_async._ratelimit.feedback import Feedback
from fathom_async._ratelimit.permit import Permit, Window
from fathom_async._ratelimit.plan import MAX_IN_FLIGHT, LaneStatus, Priority, RateLimit
from fathom_async._ratelimit.queue import PriorityQueue
from fathom_async._ratelimit.window import LocalWindow
from fathom_async._util.clock import Clock
from fathom_async.errors import BudgetError, ClosedError, FathomError, WaitTooLongError
from fathom_async.telemetry import Adapted, Paused, Telemetry

if TYPE_CHECKING:
    from fathom_async._util.clock import Timer

PROBE_PATIENCE = 5.0
"""Seconds after which a cold lane sends another request, though the one before has no answer yet."""

RETRY_PAD = 1.0
"""Seconds added to ``Retry-After``. Half of those who sleep exactly that long are refused again."""

TICK = 0.001
"""Seconds between two looks at a lane at the least."""

_MOST_REFUSALS = 64  # that are told apart: two to the power of them is longer than any window

_log = logging.getLogger("fathom_async")


class Lane:
    """Admission for one rate limit; used from one event loop.

    Args:
        name: What messages call it.
        limit: What the server admits.
        clock: Where time comes from.
        reserve: Requests of every window left to the account's other clients.
        concurrency: Requests in flight at once.
        count_delay: Seconds after which a request that was sent has been counted by the server for certain.
        share: The window that this lane shares with those of other processes, instead of one of its own.
        adaptive: Whether to adopt a larger limit too when the server names one; a smaller one always is.
        elsewhere: Gives the limits of other lanes; an answer that names one of these speaks of them.
        telemetry: Whom to tell about pauses and adapted limits.
    """

    def __init__(
        self,
        name: str,
        limit: RateLimit,
        *,
        clock: Clock,
        reserve: int = 0,
        concurrency: int | None = None,
        count_delay: float = 5.0,
        share: Window | None = None,
        adaptive: bool = False,
        elsewhere: Callable[[], Collection[int]] = frozenset,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.name = name
        self.limit = limit
        self._clock = clock
        self._adaptive = adaptive
        self._elsewhere = elsewhere
        self._telemetry = telemetry or Telemetry()
        self._window: Window = share or LocalWindow(limit, reserve=reserve, count_delay=count_delay)
        self._bucket = Bucket.of(limit, self._clock)
        self._concurrency = Concurrency(concurrency or MAX_IN_FLIGHT)
        self._queue: PriorityQueue[asyncio.Future[Permit]] = PriorityQueue()
        self._deadlines: list[tuple[float, int, asyncio.Future[Permit], float]] = []
        self._sequence = itertools.count()
        self._timer: Timer | None = None
        self._timer_at = 0.0
        self._paused_until = 0.0
        self._last_admission = float("-inf")
        self._refused_in_a_row = 0
        self._refused_at = float("-inf")
        self._closed = False
        self._window.bind(self._on_news, self._demand)

    def permit(
        self,
        priority: Priority = Priority.NORMAL,
        *,
        max_wait: float | None = None,
        first: bool = False,
    ) -> Admission:
        """Return a context manager that waits for admission and is held around the whole attempt.

        Args:
            priority: Who goes first when requests wait.
            max_wait: Seconds the caller is ready to wait; None for as long as it takes.
            first: Go before all others of the same priority, as a retry does.

        Raises:
            WaitTooLongError: On entering, at once, when `max_wait` cannot be met; later, when the server's word
                made the wait longer than it looked.
            ClosedError: The lane was closed.
        """
        return Admission(self, priority, max_wait, first)

    def eta(self, requests: int = 1, priority: Priority = Priority.BULK) -> float:
        """Return the seconds until the last of so many new requests would be admitted, as far as is known now."""
        return self._eta(self._queue.ahead_of(priority, requests - 1))

    def status(self) -> LaneStatus:
        """Return what the lane looks like now."""
        now = self._clock.now()
        return LaneStatus(
            limit=self.limit.requests,
            per=self.limit.per,
            used=self._window.used(now),
            in_flight=self._window.in_flight,
            queued=len(self._queue),
            next_slot_in=self.eta(),
            paused_for=max(0.0, self._paused_until - now, self._window.blocked_for(now)),
            budget=self._window.budget,
            waiting=self._window.waiting(now),
        )

    async def refresh(self) -> None:
        """Learn what a shared window looks like now, without taking of it.

        Raises:
            BudgetError: It is out of reach.
            ClosedError: The lane was closed.
        """
        self._check_open()
        await self._window.refresh()
        self._check_open()

    def __repr__(self) -> str:
        limit = f"{self.limit.requests:,} per {self.limit.per:g} s"
        return f"<Lane {self.name} {limit}, {self._window.in_flight} in flight, {len(self._queue)} queued>"

    def now(self) -> float:
        """Return the seconds that the lane's clock shows."""
        return self._clock.now()

    def pause(self, seconds: float) -> None:
        """Admit nothing for so many seconds; who cannot wait that long is told at once."""
        now = self._clock.now()
        self._paused_until = max(self._paused_until, now + seconds)
        self._tell_paused(seconds, now, "by its user", logging.INFO)
        self._dispatch(now)

    def resume(self) -> None:
        """End a pause."""
        self._paused_until = 0.0
        self._dispatch(self._clock.now())

    def close(self) -> None:
        """Admit nothing any more, and tell everyone who waits."""
        self._closed = True
        for waiter in self._queue:
            if not waiter.done():
                waiter.set_exception(ClosedError("the client was closed while this request was waiting"))
        self._set_timer(None)

    async def aclose(self) -> None:
        """Close, and leave the budget to the other processes that share it."""
        self.close()
        await self._window.aclose()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the client is closed")
        if self._window.failure is not None:
            raise BudgetError(*self._window.failure.args)

    def _eta(self, position: int) -> float:
        now = self._clock.now()
        returns = self._window.returns(now)
        windows, permit = divmod(position, len(returns))
        paced = 0.0 if self._bucket is None else self._bucket.delay(position + 1)
        crowded = self._concurrency.delay(self._window.in_flight + position)
        usual_time = self._concurrency.usual_time
        probing = self._last_admission + usual_time - now if self._is_probing(now) else 0.0
        due = returns[permit] + windows * self._window.span - now
        return max(due, self._paused_until - now, paced, crowded, probing, 0.0)

    # What follows is the admission itself; `Admission` is its only caller.

    def admit_at_once(self) -> Permit | None:
        """Take a permit if nobody waits for one and everything allows it."""
        self._check_open()
        return None if self._queue or self._window.is_shared else self._take(self._clock.now())

    async def admit_later(self, priority: Priority, max_wait: float | None, first: bool) -> Permit:
        """Take a permit after standing in the queue."""
        now = self._clock.now()
        waiter: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        if max_wait is not None:
            eta = self._eta(0 if first else self._queue.ahead_of(priority))
            if eta > max_wait:
                raise WaitTooLongError(self.name, eta, max_wait)
            patience = max(max_wait, self._window.reply_time)
            heappush(self._deadlines, (now + patience, next(self._sequence), waiter, max_wait))
        self._queue.push(waiter, priority, first=first)
        self._dispatch(self._clock.now())
        try:
            return await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._window.release(waiter.result())  # admitted and cancelled in the same tick
            self._queue.discard(waiter, priority)
            self._dispatch(self._clock.now())
            raise

    def sent(self, permit: Permit) -> None:
        """The request's bytes have left."""
        self._window.sent(permit, self._clock.now())

    def answered(self, permit: Permit, feedback: Feedback) -> None:
        """The server answered, with these rate-limit headers."""
        self._refused_in_a_row = 0
        now = self._clock.now()
        self._concurrency.answered(permit.sent_at, now)
        if feedback.limit is not None and feedback.limit != self.limit.requests:
            self._adapt(feedback.limit, now)
        self._window.settle(permit, now, limit=feedback.limit, remaining=feedback.remaining)
        self._dispatch(now)

    def refused(self, permit: Permit, feedback: Feedback) -> None:
        """The server refused the request without counting it."""
        self._window.release(permit)
        self._back_off(permit, feedback)
        self._dispatch(self._clock.now())

    def abandoned(self, permit: Permit) -> None:
        """There was no answer: nothing was sent, or the connection broke, or the caller went away."""
        if permit.sent_at is None:
            self._window.release(permit)
        else:
            self._window.abandon(permit)
        self._dispatch(self._clock.now())

    def _adapt(self, requests: int, now: float) -> None:
        """Keep to the limit that the server names, if it is a stricter one."""
        if requests in self._elsewhere() or requests < 1:
            return
        if requests > self.limit.requests and (self._window.is_shared or not self._adaptive):
            return  # a shared window has no room for more permits than all its processes agreed on
        burst = self.limit.burst and min(self.limit.burst, requests)
        self._tell_adapted("limit", self.limit.requests, requests, now)
        self.limit = RateLimit(requests, self.limit.per, burst)
        self._window.resize(requests)
        self._bucket = Bucket.of(self.limit, self._clock)

    def _tell_adapted(self, what: str, before: int, after: int, now: float) -> None:
        facts = {"lane": self.name, "what": what, "before": before, "after": after}
        _log.warning(
            "%s lane: %s %d instead of %d, as the server has it", self.name, what, after, before, extra=facts
        )
        self._telemetry.emit(Adapted(self.name, now, what, before, after))

    def _tell_paused(self, seconds: float, now: float, why: str, level: int) -> None:
        facts = {"lane": self.name, "seconds": seconds}
        _log.log(level, "%s lane: paused for %.1f s %s", self.name, seconds, why, extra=facts)
        self._telemetry.emit(Paused(self.name, now, seconds))

    def _back_off(self, permit: Permit, feedback: Feedback) -> None:
        now = self._clock.now()
        if permit.sent_at is None or permit.sent_at > self._refused_at:  # else it went out with the last one
            self._refused_in_a_row = min(self._refused_in_a_row + 1, _MOST_REFUSALS)
            self._refused_at = now
        in_flight, cap = self._window.in_flight, self._concurrency.cap
        is_crowded = bool(feedback.remaining and in_flight)
        if is_crowded:
            sent_at = now if permit.sent_at is None else permit.sent_at
            self._concurrency.refused(sent_at, permit.outstanding_before, in_flight, now)
            if self._concurrency.cap < cap:
                self._tell_adapted("concurrency", cap, self._concurrency.cap, now)
            wait = feedback.retry_after or 0.0
        else:
            self._window.on_rate_limited(now)
            guess = min(2.0 ** max(0, self._refused_in_a_row - 1), self.limit.per)
            wait = guess if feedback.retry_after is None else feedback.retry_after
        until = now + wait + RETRY_PAD
        if until > self._paused_until:
            self._paused_until = until
            self._tell_paused(wait + RETRY_PAD, now, "after a refusal by the server", logging.WARNING)
        if not feedback.remaining:
            self._window.pause(until)

    def _take(self, now: float) -> Permit | None:
        """Admit one request if everything allows it."""
        if self._held_back(now) or not self._window.has_room(now):
            return None
        if self._bucket is not None and not self._bucket.take():
            return None
        self._last_admission = now
        return self._window.take()

    def _held_back(self, now: float) -> bool:
        in_flight = self._window.in_flight
        if now < self._paused_until or in_flight >= self._concurrency.cap:
            return True
        return in_flight > 0 and self._window.is_cold(now) and now < self._last_admission + PROBE_PATIENCE

    def _is_probing(self, now: float) -> bool:
        return self._window.in_flight > 0 and self._window.is_cold(now)

    def _dispatch(self, now: float) -> None:
        """Admit whom we can, tell those who cannot be served in time, set the timer for what comes next."""
        if not self._queue and self._timer is None:
            return
        while self._queue and (permit := self._take(now)):
            waiter = self._queue.pop()
            if waiter.done():  # it gave up, and has not run yet to say so
                self._window.release(permit)
            else:
                waiter.set_result(permit)
        if self._deadlines:
            self._fail_late_waiters(now)
        if self._window.failure is not None:
            self._fail_all(self._window.failure)
        if not self._queue:
            self._window.release_idle()
        chance = self._next_chance(now) if self._queue else None
        # Rounding may let a timer fire a hair too early; a moment later it must not be just as early again.
        self._set_timer(None if chance is None else max(chance, now + TICK))

    def _fail_late_waiters(self, now: float) -> None:
        while self._deadlines:
            deadline, _, waiter, max_wait = self._deadlines[0]
            if not waiter.done():
                if deadline > now and deadline >= self._paused_until:
                    break
                waiter.set_exception(WaitTooLongError(self.name, self._eta(0), max_wait))
            heappop(self._deadlines)

    def _next_chance(self, now: float) -> float | None:
        """When to dispatch again; None when that waits for an answer."""
        moments = [self._deadlines[0][0]] if self._deadlines else []
        if now < self._paused_until:
            moments.append(self._paused_until)
        elif self._window.in_flight >= self._concurrency.cap:
            pass
        elif self._is_probing(now) and now < self._last_admission + PROBE_PATIENCE:
            moments.append(self._last_admission + PROBE_PATIENCE)
        elif self._bucket is not None and self._window.has_room(now):
            moments.append(now + max(TICK, self._bucket.delay()))
        elif (slot_returns := self._window.next_return(now)) is not None:
            moments.append(slot_returns)
        return min(moments, default=None)

    def _set_timer(self, when: float | None) -> None:
        if self._timer is not None:
            if when is not None and when >= self._timer_at:
                return  # it fires too early, once, which is cheaper than to set it anew with every answer
            self._timer.cancel()
            self._timer = None
        if when is not None:
            self._timer_at = when
            self._timer = self._clock.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._dispatch(self._clock.now())

    def _fail_all(self, failure: FathomError) -> None:
        while self._queue:
            waiter = self._queue.pop()
            if not waiter.done():
                waiter.set_exception(BudgetError(*failure.args))

    # What follows is what a shared window asks and tells.

    def _demand(self) -> int:
        """Return how many permits could be used now."""
        if self._clock.now() < self._paused_until:
            return 0
        could = min(len(self._queue), self._concurrency.cap - self._window.in_flight)
        return min(could, 1) if self._bucket else could

    def _on_news(self) -> None:
        if self._queue and not self._closed:
            self._dispatch(self._clock.now())
