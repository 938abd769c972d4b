"""A lane: the one gate through which all requests that share a rate limit must pass.

A request is admitted when three things allow it: the **window** (`fathom_async._ratelimit.window`), which
guarantees the limit; the **bucket** (aiolimiter), which spreads requests where the plan asks for smaller bursts
(with a burst as large as the limit it would never make anyone wait behind the window, and is left out); and the
**cap** on requests in flight. Waiting requests stand in one queue with one dispatcher and one timer,
so that an admission costs the same with a hundred thousand waiting as with ten.

1. A *cold* lane probes. It knows nothing of a window that others may have half used, so its first request goes
   alone, and its answer opens the lane. A slow probe holds up the next request for `PROBE_PATIENCE` at most.
2. A ``429`` pauses the lane, not just its request: until ``Retry-After`` and `RETRY_PAD` more, since servers
   round that header down. Then the lane probes again.
3. A ``429`` while ``Remaining`` is not 0 reveals an undocumented cap on requests in flight: send fewer at once.

A lane knows its window by `fathom_async._ratelimit.protocol.Window` only, be it shared with other processes or not.
"""

import asyncio
import itertools
from collections.abc import Callable, Collection
from heapq import heappop, heappush
from types import TracebackType
from typing import TYPE_CHECKING, Self

from attrs import define, field

from fathom_async._ratelimit.bucket import Bucket
from fathom_async._ratelimit.feedback import Concurrency, Feedback
from fathom_async._ratelimit.plan import MAX_IN_FLIGHT, LaneStatus, Priority, RateLimit
from fathom_async._ratelimit.protocol import Permit, Window
from fathom_async._ratelimit.queue import PriorityQueue
from fathom_async._ratelimit.window import LocalWindow
from fathom_async._util.clock import Clock
from fathom_async.errors import BudgetError, ClosedError, FathomError, WaitTooLongError
from fathom_async.telemetry import Adapted, Paused, Telemetry

if TYPE_CHECKING:
    from fathom_async._util.clock import Timer

PROBE_PATIENCE = 5.0
"""Seconds after which a cold lane sends another request, though the last one has no answer yet (rule 1)."""

RETRY_PAD = 1.0
"""Seconds added to ``Retry-After`` (rule 2). Half of the clients that sleep exactly that long are refused again."""

TICK = 0.001
"""The shortest time between two dispatches by timer, in seconds."""

_MOST_REFUSALS = 64  # two to this power is longer than any window


class Lane:
    """Admission for one rate limit; used from one event loop.

    Args:
        name: Its name in messages.
        limit: What the server admits.
        clock: Source of time.
        reserve: Requests of every window left to the account's other clients.
        concurrency: Requests in flight at once.
        count_delay: Seconds after which the server has certainly counted a request that was sent.
        share: A window shared with other processes, instead of one of the lane's own.
        adaptive: Whether to adopt a larger limit too when the server names one; a smaller one always is.
        elsewhere: Returns the limits of other lanes; an answer that names one of these is about them.
        telemetry: Receives pauses and adapted limits.
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
    ) -> "Admission":
        """Return a context manager that waits for admission and is held around the whole attempt.

        Args:
            priority: Order among waiting requests.
            max_wait: Longest wait in seconds; None for no bound.
            first: Whether to go before all others of the same priority, as a retry does.

        Raises:
            WaitTooLongError: On entering, at once, when `max_wait` cannot be met; later, when an answer of the
                server made the wait longer than estimated.
            ClosedError: The lane was closed.
        """
        return Admission(self, priority, max_wait, first)

    def eta(self, requests: int = 1, priority: Priority = Priority.BULK) -> float:
        """Estimate the seconds until the last of this many new requests would be admitted."""
        return self._eta(self._queue.ahead_of(priority, requests - 1))

    def status(self) -> LaneStatus:
        """Return a snapshot of the lane."""
        now = self._clock.now()
        return LaneStatus(
            limit=self.limit.requests,
            per=self.limit.per,
            used=self._window.used(now),
            in_flight=self._window.in_flight,
            queued=self._queue.size,
            next_slot_in=self.eta(),
            paused_for=max(0.0, self._paused_until - now, self._window.blocked_for(now)),
            budget=self._window.budget,
            waiting=self._window.waiting(now),
        )

    async def refresh(self) -> None:
        """Fetch the state of a shared window without taking a permit.

        Raises:
            BudgetError: The shared budget is out of reach.
            ClosedError: The lane was closed.
        """
        self._check_open()
        await self._window.refresh()
        self._check_open()

    def __repr__(self) -> str:
        limit = f"{self.limit.requests:,} per {self.limit.per:g} s"
        return f"<Lane {self.name} {limit}, {self._window.in_flight} in flight, {self._queue.size} queued>"

    def now(self) -> float:
        """Return the time on the lane's clock."""
        return self._clock.now()

    def pause(self, seconds: float) -> None:
        """Admit nothing for this long; waiting requests whose `max_wait` is shorter fail at once."""
        now = self._clock.now()
        self._paused_until = max(self._paused_until, now + seconds)
        self._telemetry.paused(Paused(self.name, now, seconds), by_server=False)
        self._dispatch(now)

    def resume(self) -> None:
        """End a pause."""
        self._paused_until = 0.0
        self._dispatch(self._clock.now())

    def close(self) -> None:
        """Admit nothing any more, and fail all waiting requests."""
        self._closed = True
        self._fail_all(ClosedError, "the client was closed while this request was waiting")
        self._set_timer(None)

    async def aclose(self) -> None:
        """Close, and return a shared window's unused permits."""
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
        capped = self._concurrency.delay(self._window.in_flight + position)
        usual_time = self._concurrency.usual_time
        probing = self._last_admission + usual_time - now if self._is_probing(now) else 0.0
        due = returns[permit] + windows * self._window.span - now
        return max(due, self._paused_until - now, paced, capped, probing, 0.0)

    # The admission itself; called by `Admission` only.

    def admit_at_once(self) -> Permit | None:
        """Take a permit if no request is waiting and everything allows it."""
        self._check_open()
        return None if self._queue.size or self._window.is_shared else self._take(self._clock.now())

    async def admit_later(self, priority: Priority, max_wait: float | None, first: bool) -> Permit:
        """Take a permit after waiting in the queue."""
        now = self._clock.now()
        waiter: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        if max_wait is not None:
            eta = self._eta(0 if first else self._queue.ahead_of(priority))
            if eta > max_wait:
                raise WaitTooLongError(self.name, eta, max_wait)
            deadline = now + max(max_wait, self._window.reply_time)
            heappush(self._deadlines, (deadline, next(self._sequence), waiter, max_wait))
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
        """Note that the request's bytes have left."""
        self._window.sent(permit, self._clock.now())

    def answered(self, permit: Permit, feedback: Feedback) -> None:
        """Note an answer and its rate-limit headers."""
        self._refused_in_a_row = 0
        now = self._clock.now()
        self._concurrency.answered(permit.sent_at, now)
        if feedback.limit is not None and feedback.limit != self.limit.requests:
            self._adapt(feedback.limit, now)
        self._window.settle(permit, now, limit=feedback.limit, remaining=feedback.remaining)
        self._dispatch(now)

    def refused(self, permit: Permit, feedback: Feedback) -> None:
        """Note that the server refused the request without counting it."""
        self._window.release(permit)
        self._back_off(permit, feedback)
        self._dispatch(self._clock.now())

    def abandoned(self, permit: Permit) -> None:
        """Note that there was no answer: nothing was sent, the connection broke, or the caller was cancelled."""
        if permit.sent_at is None:
            self._window.release(permit)
        else:
            self._window.abandon(permit)
        self._dispatch(self._clock.now())

    def _adapt(self, requests: int, now: float) -> None:
        """Adopt the limit that the server names, if it is stricter or the lane adaptive."""
        if requests in self._elsewhere() or requests < 1:
            return
        if requests > self.limit.requests and (self._window.is_shared or not self._adaptive):
            return  # the processes of a shared window have agreed on its size
        burst = self.limit.burst and min(self.limit.burst, requests)
        self._telemetry.adapted(Adapted(self.name, now, "limit", self.limit.requests, requests))
        self.limit = RateLimit(requests, self.limit.per, burst)
        self._window.resize(requests)
        self._bucket = Bucket.of(self.limit, self._clock)

    def _back_off(self, permit: Permit, feedback: Feedback) -> None:
        now = self._clock.now()
        if permit.sent_at is None or permit.sent_at > self._refused_at:  # else it was sent with the last one
            self._refused_in_a_row = min(self._refused_in_a_row + 1, _MOST_REFUSALS)
            self._refused_at = now
        in_flight, cap = self._window.in_flight, self._concurrency.cap
        if feedback.remaining and in_flight:  # rule 3
            sent_at = now if permit.sent_at is None else permit.sent_at
            self._concurrency.refused(sent_at, permit.outstanding_before, in_flight, now)
            if self._concurrency.cap < cap:
                self._telemetry.adapted(Adapted(self.name, now, "concurrency", cap, self._concurrency.cap))
            wait = feedback.retry_after or 0.0
        else:
            self._window.on_rate_limited(now)
            guess = min(2.0 ** max(0, self._refused_in_a_row - 1), self.limit.per)
            wait = guess if feedback.retry_after is None else feedback.retry_after
        until = now + wait + RETRY_PAD  # rule 2
        if until > self._paused_until:
            self._paused_until = until
            self._telemetry.paused(Paused(self.name, now, wait + RETRY_PAD), by_server=True)
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
        if now < self._paused_until or self._window.in_flight >= self._concurrency.cap:
            return True
        return self._is_probing(now) and now < self._last_admission + PROBE_PATIENCE  # rule 1

    def _is_probing(self, now: float) -> bool:
        return self._window.in_flight > 0 and self._window.is_cold(now)

    def _dispatch(self, now: float) -> None:
        """Admit what fits, fail what cannot be admitted in time, and set the timer for the next dispatch."""
        queue = self._queue
        if not queue.size and self._timer is None:
            return
        while queue.size and (permit := self._take(now)):
            waiter = queue.pop()
            if waiter.done():  # cancelled, and its task has not run yet
                self._window.release(permit)
            else:
                waiter.set_result(permit)
        if self._deadlines:
            self._fail_late_waiters(now)
        if self._window.failure is not None:
            self._fail_all(BudgetError, *self._window.failure.args)
        if not queue.size:
            self._window.release_idle()
        due = self._next_dispatch(now) if queue.size else None
        # Rounding may let a timer fire slightly early; without the tick it would then fire over and over.
        self._set_timer(None if due is None else max(due, now + TICK))

    def _fail_late_waiters(self, now: float) -> None:
        while self._deadlines:
            deadline, _, waiter, max_wait = self._deadlines[0]
            if not waiter.done():
                if deadline > now and deadline >= self._paused_until:
                    break
                waiter.set_exception(WaitTooLongError(self.name, self._eta(0), max_wait))
            heappop(self._deadlines)

    def _next_dispatch(self, now: float) -> float | None:
        """Return when to dispatch again; None when an answer has to arrive first."""
        moments = [self._deadlines[0][0]] if self._deadlines else []
        if now < self._paused_until:
            moments.append(self._paused_until)
        elif self._window.in_flight >= self._concurrency.cap:
            pass
        elif self._is_probing(now) and now < self._last_admission + PROBE_PATIENCE:
            moments.append(self._last_admission + PROBE_PATIENCE)
        elif self._bucket is not None and self._window.has_room(now):
            moments.append(now + max(TICK, self._bucket.delay()))
        elif (permit_returns := self._window.next_return(now)) is not None:
            moments.append(permit_returns)
        return min(moments, default=None)

    def _set_timer(self, when: float | None) -> None:
        if self._timer is not None:
            if when is not None and when >= self._timer_at:
                return  # one early dispatch is cheaper than a new timer with every answer
            self._timer.cancel()
            self._timer = None
        if when is not None:
            self._timer_at = when
            self._timer = self._clock.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._dispatch(self._clock.now())

    def _fail_all(self, error: type[FathomError], *facts: object) -> None:
        while self._queue.size:
            waiter = self._queue.pop()
            if not waiter.done():
                waiter.set_exception(error(*facts))

    # Called by a shared window.

    def _demand(self) -> int:
        """Return how many permits could be used now."""
        if self._clock.now() < self._paused_until:
            return 0
        usable = min(self._queue.size, self._concurrency.cap - self._window.in_flight)
        return min(usable, 1) if self._bucket else usable

    def _on_news(self) -> None:
        if self._queue.size and not self._closed:
            self._dispatch(self._clock.now())


@define(eq=False, repr=False)
class Admission:
    """One request's passage through a lane: ``async with lane.permit() as admission``.

    The permit is accounted for however the block is left: it is free at once if nothing was sent, and after the
    window if the server may have counted the request.

    Attributes:
        waited: Seconds spent waiting for admission.
        is_sent: Whether the request's bytes have left.
    """

    _lane: Lane
    _priority: Priority
    _max_wait: float | None
    _first: bool
    _permit: Permit | None = field(default=None, init=False)
    is_sent: bool = field(default=False, init=False)
    waited: float = field(default=0.0, init=False)

    async def __aenter__(self) -> Self:
        self._permit = self._lane.admit_at_once()
        if self._permit is None:
            start = self._lane.now()
            self._permit = await self._lane.admit_later(self._priority, self._max_wait, self._first)
            self.waited = self._lane.now() - start
        return self

    def sent(self) -> None:
        """Note that the request's bytes have left."""
        self.is_sent = True
        if self._permit is not None:
            self._lane.sent(self._permit)

    def answered(self, feedback: Feedback) -> None:
        """Note the answer and its rate-limit headers."""
        if self._permit is not None:
            self._lane.answered(self._permit, feedback)
            self._permit = None

    def refused(self, feedback: Feedback) -> None:
        """Note a refusal, which the server does not count."""
        if self._permit is not None:
            self._lane.refused(self._permit, feedback)
            self._permit = None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._permit is not None:
            self._lane.abandoned(self._permit)
            self._permit = None
