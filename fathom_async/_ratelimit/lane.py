"""A lane: the one gate through which all requests that share a rate limit must pass.

A request is admitted when five things allow it: the **window** (`fathom_async._ratelimit.window`), which guarantees
the limit and keeps the promise between classes; the **bucket** (`fathom_async._ratelimit.bucket`); the **cap** on
requests in flight (`fathom_async._ratelimit.concurrency`); the **breaker** (`fathom_async._ratelimit.breaker`), while
the server is away; and no **pause**. Waiting requests stand in one queue (`fathom_async._ratelimit.queue`) with one
dispatcher and one timer, so that an admission costs the same with a hundred thousand waiting as with ten.

1. A *cold* lane probes. It knows nothing of a window that others may have half used, so its first request goes
   alone, and its answer opens the lane. A slow probe holds up the next request for `PROBE_PATIENCE` at most.
2. A ``429`` pauses the lane, not just its request. Then the lane probes again.
3. `fathom_async._ratelimit.restraint` carries out what else a refusal teaches, or an answer that names another limit.
4. While the server is away, a request with a `max_wait` fails at once, unless it can be the probe.

A lane knows its window by `fathom_async._ratelimit.protocol.Window` only, be it shared with other processes or not.
"""

import itertools
import random
from collections.abc import Callable, Collection
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from aiolimiter import AsyncLimiter

from fathom_async._ratelimit.admission import Admission, Asked, Feedback
from fathom_async._ratelimit.breaker import MEMORY, Breaker, FailedRequest
from fathom_async._ratelimit.bucket import delay
from fathom_async._ratelimit.concurrency import Concurrency
from fathom_async._ratelimit.plan import MAX_IN_FLIGHT, LaneStatus, Priority, RateLimit
from fathom_async._ratelimit.protocol import Demand, Permit, Wanted, Window
from fathom_async._ratelimit.queue import Place, PriorityQueue
from fathom_async._ratelimit.restraint import Restraint
from fathom_async._ratelimit.window import LocalWindow
from fathom_async._util.clock import Clock
from fathom_async.errors import ClosedError, FathomError, OutageError, WaitTooLongError
from fathom_async.telemetry import Adapted, Paused, Recovered, Telemetry

if TYPE_CHECKING:
    from fathom_async._util.clock import Timer

PROBE_PATIENCE = 5.0
"""Seconds after which a cold lane sends another request, though the last one has no answer yet (rule 1)."""

TICK = 0.001
"""The shortest time between two dispatches by timer, in seconds."""

OUTAGE = 600.0
"""Seconds that a request waits for a server that is away."""

_ONE = {(each, is_due): Demand(each, is_due) for each in Priority for is_due in (False, True)}


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
        outage: Seconds that a request waits for a server that is away.
        on_moved: Called with an account's hourly limit when other processes found that it has one; see `move`.
        rng: Source of random numbers in [0, 1).
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
        outage: float = OUTAGE,
        on_moved: Callable[[int], None] | None = None,
        rng: Callable[[], float] = random.random,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.name = name
        self._clock = clock
        self._outage = outage
        self._on_moved = on_moved
        self._telemetry = telemetry = telemetry or Telemetry()
        self._window: Window = share or LocalWindow(limit, reserve=reserve, count_delay=count_delay)
        self.untaken: int = 0  # admitted, and the bucket's token not taken yet
        self._concurrency = cap = Concurrency(concurrency or MAX_IN_FLIGHT)
        self._shared_cap = cap.at_most
        self._restraint = Restraint(
            name, limit, self._window, cap, clock, telemetry, is_adaptive=adaptive, elsewhere=elsewhere
        )
        self._breaker = Breaker(rng)
        self._queue: PriorityQueue[Admission] = PriorityQueue()
        self._deadlines: list[tuple[float, int, Admission]] = []
        self._sequence = itertools.count()
        self._timer: Timer | None = None
        self._timer_at = 0.0
        self._last_admission = self._answered_at = float("-inf")
        self._closed = False
        self._window.bind(self)

    def permit(
        self,
        priority: Priority = Priority.NORMAL,
        *,
        flow: str = "",
        max_wait: float | None = None,
        place: Place = "turn",
        asks: Asked | None = None,
        kind: str = "",
    ) -> Admission:
        """Return a context manager that waits for admission and is held around the whole attempt.

        Args:
            priority: Order among waiting requests.
            flow: Requests of one priority take turns by flow.
            max_wait: Longest wait in seconds; None for no bound.
            place: ``first`` before all others of the same priority, as a refused request does; ``last`` at the end
                of its flow, as a failed one does.
            asks: What the request asks for; an outage is several different ones failing.
            kind: The name by which the request knows the lane.

        Raises:
            WaitTooLongError: On entering, at once, when `max_wait` cannot be met; later, when an answer of the
                server made the wait longer than estimated.
            OutageError: The server was away for longer than a request waits for it.
            ClosedError: The lane was closed.
        """
        return Admission(self, priority, flow, max_wait, place, asks, kind)

    def expect(self, priority: Priority) -> None:
        """Note that somebody is there who will make requests of this priority."""
        self._window.expect(priority, self._clock.now(), 0)

    def eta(self, requests: int = 1, priority: Priority = Priority.BULK, flow: str = "") -> float:
        """Estimate the seconds until the last of this many new requests would be admitted."""
        return self._eta(self._queue.ahead_of(priority, flow, requests - 1), priority)

    def status(self) -> LaneStatus:
        """Return a snapshot of the lane."""
        now = self._clock.now()
        window = self._window.status(now)
        return LaneStatus(
            limit=self.limit.requests,
            per=self.limit.per,
            used=window.used,
            in_flight=self._window.in_flight,
            queued=self._queue.size,
            next_slot_in=self.eta(),
            paused_for=max(0.0, self._restraint.paused_until - now, window.blocked_for),
            budget=window.budget,
            waiting=window.waiting,
            away_for=None if self._breaker.away_since is None else now - self._breaker.away_since,
            retry_in=max(0.0, self._breaker.retry_at - now),
        )

    async def refresh(self) -> None:
        """Fetch the state of a shared window without taking a permit.

        Raises:
            BudgetError: The shared budget is out of reach.
        ConfigurationError: It cannot be used as it was named.
            ClosedError: The lane was closed.
        """
        self._check_open()
        await self._window.refresh()
        self._check_open()

    def __repr__(self) -> str:
        try:
            used = f"{self._window.status(self._clock.now()).used:,}"
        except RuntimeError:  # no event loop runs here
            used = "?"
        limit = f"{used}/{self.limit.requests:,} used"
        return f"<Lane {self.name} {limit}, {self._window.in_flight} in flight, {self._queue.size} queued>"

    @property
    def is_given_up(self) -> bool:
        """Whether the server has been away for longer than a request waits for it."""
        since = self._breaker.away_since
        return since is not None and self._clock.now() - since >= self._outage

    @property
    def limit(self) -> RateLimit:
        """The limit that the lane keeps to."""
        return self._restraint.limit

    @property
    def retries(self) -> AsyncLimiter:
        """The bucket that retries pass besides."""
        return self._restraint.retries

    def now(self) -> float:
        """Return the time on the lane's clock."""
        return self._clock.now()

    def pause(self, seconds: float) -> None:
        """Admit nothing for this long; waiting requests whose `max_wait` is shorter fail at once."""
        now = self._clock.now()
        self._restraint.paused_until = max(self._restraint.paused_until, now + seconds)
        self._telemetry.paused(Paused(self.name, now, seconds, "asked"))
        self._dispatch(now)

    def resume(self) -> None:
        """End a pause."""
        self._restraint.paused_until = 0.0
        self._dispatch(self._clock.now())

    def hand_over(self, to: Callable[[str], "Lane"]) -> None:
        """Let other lanes admit all who wait here; requests under way are settled here.

        Args:
            to: Returns the lane for requests of a kind.
        """
        now = self._clock.now()
        deadlines = {waiter: deadline for deadline, _, waiter in self._deadlines}
        waiters: list[Admission] = []
        while self._queue.size:
            waiters.append(self._queue.pop())
        self._deadlines.clear()
        self._set_timer(None)
        self._window.release_idle()
        for waiter in waiters:
            if not waiter.is_over:
                waiter.lane = to(waiter.kind)
                waiter.lane.follow_pause(self)
                if waiter in deadlines:
                    waiter.max_wait = max(0.0, deadlines[waiter] - now)
                try:
                    waiter.lane.enqueue(waiter)
                except FathomError as error:
                    waiter.fail(error)

    def follow_pause(self, other: "Lane") -> None:
        """Be paused for as long as another lane, whose requests come here."""
        restraint, until = self._restraint, other._restraint.paused_until  # noqa: SLF001 - the same class
        restraint.paused_until = max(restraint.paused_until, until)

    def keep_to(self, at_once: int) -> None:
        """Have no more requests in flight, until the server is found to let in more."""
        self._restraint.keep_to(at_once, self._clock.now())

    def distrust(self) -> None:
        """Ask with one request before anything else: others have spent what the lane did not see."""
        self._window.on_rate_limited(self._clock.now())

    def move(self, requests: int) -> None:
        """Tell the other processes of a shared budget that the account has one limit an hour for everything.

        Args:
            requests: The limit; 0 that it has none.
        """
        self._window.move(requests)

    def close(self) -> None:
        """Admit nothing any more, and fail all waiting requests."""
        self._closed = True
        self._fail_all(ClosedError("the client was closed while this request was waiting"))
        self._set_timer(None)

    async def aclose(self) -> None:
        """Close, and return a shared window's unused permits."""
        self.close()
        await self._window.aclose()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the client is closed")
        if self._window.failure is not None:
            raise type(self._window.failure)(*self._window.failure.args)

    def _eta(self, position: int, priority: Priority) -> float:
        now = self._clock.now()
        paced = delay(self._restraint.bucket, self._clock, position + 1) if self._restraint.is_spaced else 0.0
        capped = self._concurrency.delay(self._window.in_flight + position, now)
        usual_time = self._concurrency.usual_time
        probing = self._last_admission + usual_time - now if self._is_probing(now) else 0.0
        due = self._window.returns(position, priority, now) - now
        return max(
            due, self._restraint.paused_until - now, self._breaker.retry_at - now, paced, capped, probing, 0.0
        )

    # The admission itself; called by `Admission` only.

    def admit_at_once(self, waiter: Admission) -> bool:
        """Admit a request if no other is waiting and everything allows it."""
        self._check_open()
        if self._queue.size or self._window.is_shared:
            return False
        now = self._clock.now()
        if not self._has_room(_ONE[waiter.priority, False], now):
            return False
        self._window.expect(waiter.priority, now)
        self._admit(waiter, now)
        return True

    def enqueue(self, waiter: Admission) -> None:
        """Let a request wait for its turn.

        Raises:
            WaitTooLongError: Its `max_wait` cannot be met.
        """
        self._check_open()
        now = self._clock.now()
        if waiter.place == "turn":
            self._window.expect(waiter.priority, now)
        if self._breaker.is_away:
            self._breaker.probe_at_once(waiter.subject, now)
        if waiter.max_wait is not None:
            position = 0 if waiter.place == "first" else self._queue.ahead_of(waiter.priority, waiter.flow)
            eta = self._eta(position, waiter.priority)
            if eta > waiter.max_wait or (self._breaker.is_away and self._breaker.holds(now)):  # rule 4
                raise self._too_long(waiter, eta)
            deadline = now + max(waiter.max_wait, self._window.reply_time)
            heappush(self._deadlines, (deadline, next(self._sequence), waiter))
        waiter.queued_at = now
        self._queue.push(waiter, waiter.priority, waiter.flow, waiter.place)
        self._dispatch(now)

    def gave_up(self, waiter: Admission) -> None:
        """Forget a request that waited."""
        if waiter.permit is not None:  # admitted and cancelled in the same tick
            self.untaken -= 1
            self.abandoned(waiter)
        else:
            self._queue.discard(waiter, waiter.priority, waiter.flow)
            self._dispatch(self._clock.now())

    def sent(self, permit: Permit) -> None:
        """Note that the request's bytes have left."""
        self._window.sent(permit, self._clock.now())

    def answered(self, waiter: Admission, permit: Permit, feedback: Feedback | None) -> None:
        """Note an answer and its rate-limit headers; None when they are not about this lane."""
        now = self._clock.now()
        sent_at = now if permit.sent_at is None else permit.sent_at
        self._concurrency.usual_time += (now - sent_at - self._concurrency.usual_time) / 8
        if self._concurrency.is_lowered:
            self._concurrency.proved(permit.outstanding_before + 1, now)
        if feedback is None:
            self._window.settle(permit, now, failed=True)
        else:
            remaining = feedback.remaining
            restraint = self._restraint
            restraint.is_told, restraint.told, restraint.told_at = remaining is not None, remaining or 0, now
            if self._teaches(feedback, now):
                remaining = self._restraint.answered(permit, feedback, now)
            self._window.settle(permit, now, limit=feedback.limit, remaining=remaining)
        self._came_back(waiter, sent_at, now)
        self._dispatch(now)

    def refused(self, waiter: Admission, permit: Permit, feedback: Feedback) -> None:
        """Note that the server refused the request without counting it."""
        self._window.release(permit)
        now = self._clock.now()
        self._came_back(waiter, now if permit.sent_at is None else permit.sent_at, now)
        self._restraint.refused(permit, feedback, now)
        self._dispatch(now)

    def failed(
        self, waiter: Admission, permit: Permit, reason: str, *, answered: bool, retry_after: float
    ) -> None:
        """Note that the request failed as it would while the server is away.

        Args:
            waiter: The request.
            permit: Its permit.
            reason: How it failed.
            answered: Whether there was an answer, an error of the server's.
            retry_after: Seconds after which the server says to be back; 0 when it did not.
        """
        now = self._clock.now()
        sent_at = waiter.admitted_at if permit.sent_at is None else permit.sent_at
        if answered:
            self._window.settle(permit, now, failed=True)
        elif permit.sent_at is None:
            self._window.release(permit)
        else:
            self._window.abandon(permit)
        target = waiter.asks.target if waiter.asks else ""
        is_alive = now - self._answered_at < MEMORY
        failure = FailedRequest(target, waiter.subject, reason, retry_after, is_alive, self._others_wait)
        pause = self._breaker.failed(waiter, failure, sent_at, now)
        if pause is not None:
            self._telemetry.paused(Paused(self.name, now, pause, "away"), self._breaker.reason)
            self._fail_impatient(now)
        self._dispatch(now)

    def _came_back(self, waiter: Admission, sent_at: float, now: float) -> None:
        """Note that the server is there."""
        self._answered_at = now
        if self._breaker.has_failed and self._breaker.succeeded(waiter, sent_at):
            self._telemetry.recovered(Recovered(self.name, now))

    def _others_wait(self, subjects: set[str]) -> bool:
        return any(waiter.subject not in subjects for waiter in self._queue)

    def abandoned(self, waiter: Admission) -> None:
        """Note that the caller went away, or nothing was sent."""
        permit = waiter.permit
        if permit is not None:
            if permit.sent_at is None:
                self._window.release(permit)
            else:
                self._window.abandon(permit)
        if self._breaker.has_failed:
            self._breaker.ended(waiter)
        self._dispatch(self._clock.now())

    def _teaches(self, feedback: Feedback, now: float) -> bool:
        """Whether an answer says something new: another limit, or, to a probe, that others spend."""
        restraint = self._restraint
        if restraint.lessons.is_learning or feedback.limit not in (None, restraint.limit.requests):
            return True
        remaining = feedback.remaining
        return (
            remaining is not None and remaining < restraint.limit.requests - 1 and self._window.is_cold(now)
        )

    def _has_room(self, demand: Demand, now: float) -> bool:
        if self._held_back(now) or not self._window.has_room(demand, now):
            return False
        return self._restraint.bucket.has_capacity(1 + self.untaken)

    def _admit(self, waiter: Admission, now: float) -> None:
        waiter.permit = self._window.take()
        waiter.bucket = self._restraint.bucket
        waiter.admitted_at = self._last_admission = now
        self.untaken += 1
        if self._breaker.has_failed:
            self._breaker.admitted(waiter)

    def _most_in_flight(self, now: float) -> int:
        concurrency = self._concurrency
        return concurrency.cap(now) if concurrency.is_lowered else concurrency.at_most

    def _held_back(self, now: float) -> bool:
        if now < self._restraint.paused_until or self._window.in_flight >= self._most_in_flight(now):
            return True
        if self._breaker.has_failed and self._breaker.holds(now):
            return True
        return self._is_probing(now) and now < self._last_admission + PROBE_PATIENCE  # rule 1

    def _is_probing(self, now: float) -> bool:
        return self._window.in_flight > 0 and (self._restraint.lessons.is_asking or self._window.is_cold(now))

    def _dispatch(self, now: float) -> None:
        """Admit what fits, fail what cannot be admitted in time, and set the timer for the next dispatch."""
        queue = self._queue
        if not queue.size and self._timer is None:
            return
        while queue.size and self._has_room(_ONE[queue.next_class()], now):
            waiter = self._probe() if self._breaker.is_away else queue.pop(self._window.granted_from)
            if waiter.wake():
                self._admit(waiter, now)
        if self._deadlines:
            self._fail_late_waiters(now)
        if self._window.failure is not None:
            self._fail_all(self._window.failure)
        if not queue.size:
            self._window.release_idle()
        due = self._next_dispatch(now) if queue.size else None
        # Rounding may let a timer fire slightly early; without the tick it would then fire over and over.
        self._set_timer(None if due is None else max(due, now + TICK))

    def _probe(self) -> Admission:
        """Take out a request about what has not failed yet, or else the next one (rule 3 of the breaker)."""
        subjects = self._breaker.subjects()
        for waiter in self._queue:
            if waiter.subject not in subjects and not waiter.is_over:
                self._queue.discard(waiter, waiter.priority, waiter.flow)
                return waiter
        return self._queue.pop()

    def _next_dispatch(self, now: float) -> float | None:
        """Return when to dispatch again; None when an answer has to arrive first."""
        moments = [self._deadlines[0][0]] if self._deadlines else []
        demand = _ONE[self._queue.next_class()]
        if now < self._restraint.paused_until:
            moments.append(self._restraint.paused_until)
        elif self._breaker.has_failed and self._breaker.holds(now):
            moments += [self._breaker.retry_at] if now < self._breaker.retry_at else []
        elif self._window.in_flight >= self._most_in_flight(now):
            pass
        elif self._is_probing(now) and now < self._last_admission + PROBE_PATIENCE:
            moments.append(self._last_admission + PROBE_PATIENCE)
        elif self._window.has_room(demand, now):
            moments.append(now + delay(self._restraint.bucket, self._clock, 1 + self.untaken))
        elif (look := self._window.next_look(demand, now)) is not None:
            moments.append(look)
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

    # Whom the lane fails.

    def _too_long(self, waiter: Admission, eta: float) -> WaitTooLongError:
        away = self._breaker.reason if self._breaker.is_away else ""
        return WaitTooLongError(self.name, eta, waiter.max_wait or 0.0, away)

    def _fail_late_waiters(self, now: float) -> None:
        while self._deadlines:
            deadline, _, waiter = self._deadlines[0]
            if not waiter.is_over:
                if deadline > now and deadline >= self._restraint.paused_until:
                    break
                waiter.fail(self._too_long(waiter, self._eta(0, waiter.priority)))
            heappop(self._deadlines)

    def _fail_impatient(self, now: float) -> None:
        """Fail those who cannot wait through an outage (rule 4), and those who waited through it for too long."""
        failed = self._breaker.subjects() if self._breaker.is_narrow else None
        for _, _, waiter in self._deadlines:
            if failed is None or waiter.subject in failed:
                waiter.fail(self._too_long(waiter, self._eta(0, waiter.priority)))
        since = self._breaker.away_since
        if since is not None and self.is_given_up:
            words = f"the server has been away for {now - since:.0f} s: {self._breaker.reason}"
            for waiter in self._queue:
                has_waited = waiter.place == "last" or now - waiter.queued_at >= self._outage
                if has_waited and (failed is None or waiter.subject in failed):
                    waiter.fail(OutageError(words))

    def _fail_all(self, error: FathomError) -> None:
        while self._queue.size:
            self._queue.pop().fail(type(error)(*error.args))

    # Called by the window.

    def wanted(self) -> Wanted | None:
        """Return what could be used now of a shared window; None for nothing."""
        now = self._clock.now()
        if (
            not self._queue.size
            or now < self._restraint.paused_until
            or (self._breaker.has_failed and self._breaker.holds(now))
        ):
            return None
        usable = min(self._queue.size, self._most_in_flight(now) - self._window.in_flight)
        if usable < 1:
            return None
        return Wanted(
            self._queue.counts,
            min(usable, 1) if self._restraint.is_spaced or self._breaker.has_failed else usable,
        )

    def on_change(self) -> None:
        """Permits may be there that were not."""
        if self._queue.size and not self._closed:
            self._dispatch(self._clock.now())

    def on_cap(self, cap: int) -> None:
        """Note how many requests in flight the processes of a shared window found to be allowed; it keeps to them."""
        before, self._shared_cap = self._shared_cap, cap
        if cap < before:
            self._telemetry.adapted(Adapted(self.name, self._clock.now(), "concurrency", before, cap))

    def on_forgotten(self, seconds: float) -> None:
        """The shared budget lost its memory."""
        self._telemetry.paused(Paused(self.name, self._clock.now(), seconds, "forgotten"))

    def on_moved(self, requests: int) -> None:
        """Other processes found that the account has one limit an hour for all its endpoints."""
        if self._on_moved is not None and not self._closed:
            self._on_moved(requests)
