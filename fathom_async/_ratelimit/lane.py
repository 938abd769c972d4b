"""A lane: the one gate through which all requests that share a rate limit must pass.

A request is admitted when five things allow it: the **window** (`fathom_async._ratelimit.window`), which guarantees
the limit and keeps the promise between classes; the **bucket** (`fathom_async._ratelimit.bucket`); the **cap** on
requests in flight (`fathom_async._ratelimit.concurrency`); the **breaker** (`fathom_async._ratelimit.breaker`), while
the server is away; and no **pause**. Waiting requests (`fathom_async._ratelimit.waiting`) stand in one queue with one
dispatcher and one timer, so that an admission costs the same with a hundred thousand waiting as with ten.

1. A *cold* lane probes. It knows nothing of a window that others may have half used, so its first request goes
   alone, and its answer opens the lane. A slow probe holds up the next request for `PROBE_PATIENCE` at most.
2. A ``429`` pauses the lane, not just its request. Then the lane probes again.
3. `fathom_async._ratelimit.restraint` carries out what else a refusal teaches, or an answer that names another limit.
4. While the server is away, a request with a `max_wait` fails at once, unless it can be the probe.

A lane knows its window by `fathom_async._ratelimit.protocol.Window` only, be it shared with other processes or not.
"""

import math
import random
from collections.abc import Callable, Collection, Iterator
from functools import partial
from itertools import islice

from aiolimiter import AsyncLimiter

from fathom_async._ratelimit.admission import Admission, Again, Asked, Feedback
from fathom_async._ratelimit.breaker import MEMORY, Breaker, FailedRequest
from fathom_async._ratelimit.bucket import delay
from fathom_async._ratelimit.concurrency import Concurrency
from fathom_async._ratelimit.plan import MAX_IN_FLIGHT, LaneStatus, Priority, RateLimit
from fathom_async._ratelimit.protocol import Demand, Permit, Wanted, Window
from fathom_async._ratelimit.queue import PASSES
from fathom_async._ratelimit.restraint import Restraint
from fathom_async._ratelimit.waiting import TICK, Waiting
from fathom_async._ratelimit.window import LocalWindow
from fathom_async._util.clock import Clock
from fathom_async.errors import ClosedError, FathomError
from fathom_async.telemetry import Paused, Recovered, Telemetry

PROBE_PATIENCE = 5.0
"""Seconds after which a cold lane sends another request, though the last one has no answer yet (rule 1)."""

SLICE = 1000
"""How many waiting requests are handed over at once."""

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
        self.now: Callable[[], float] = clock.now
        self._clock = clock
        self._outage = outage
        self._on_moved = on_moved
        self._telemetry = telemetry = telemetry or Telemetry()
        self._window: Window = share or LocalWindow(limit, reserve=reserve, count_delay=count_delay)
        self.untaken: int = 0  # admitted, and the bucket's token not taken yet
        self._concurrency = Concurrency(concurrency or MAX_IN_FLIGHT)
        self._restraint = Restraint(
            name,
            limit,
            self._window,
            self._concurrency,
            clock,
            telemetry,
            is_adaptive=adaptive,
            elsewhere=elsewhere,
        )
        self._breaker = Breaker(rng)
        self._waiting = Waiting(self, self._window, self._restraint, self._breaker, clock)
        self._queue = self._waiting.queue
        self._last_admission = self._answered_at = float("-inf")
        self._closed = False
        self._window.bind(self)

    def permit(
        self,
        priority: Priority = Priority.NORMAL,
        *,
        flow: str = "",
        max_wait: float | None = None,
        again: Again | None = None,
        asks: Asked | None = None,
        kind: str = "",
    ) -> Admission:
        """Return a context manager that waits for admission and is held around the whole attempt.

        Args:
            priority: Order among waiting requests.
            flow: Requests of one priority take turns by flow.
            max_wait: Longest wait in seconds; None for no bound.
            again: Why the request is made again, if so. A refused one goes before all others of the same priority, a
                failed one to the end of its flow.
            asks: What the request asks for; an outage is several different ones failing.
            kind: The name by which the request knows the lane.

        Raises:
            WaitTooLongError: On entering, at once, when `max_wait` cannot be met; later, when an answer of the
                server made the wait longer than estimated.
            OutageError: The server was away for longer than a request waits for it.
            ClosedError: The lane was closed.
        """
        return Admission(self, priority, flow, max_wait, again, asks, kind)

    def expect(self, priority: Priority) -> None:
        """Note that somebody is there who will make requests of this priority."""
        self._window.expect(priority, self.now(), 0)

    def eta(self, requests: int = 1, priority: Priority = Priority.BULK, flow: str = "") -> float:
        """Estimate the seconds until the last of this many new requests would be admitted."""
        return self.eta_behind(self._queue.ahead_of(priority, flow, requests - 1), priority)

    def status(self) -> LaneStatus:
        """Return a snapshot of the lane."""
        now = self.now()
        window, breaker = self._window.status(now), self._breaker
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
            away_for=None if breaker.away_since is None else now - breaker.away_since,
            retry_in=max(0.0, breaker.retry_at - now),
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
            used = f"{self._window.status(self.now()).used:,}"
        except RuntimeError:  # no event loop runs here
            used = "?"
        limit = f"{used}/{self.limit.requests:,} used"
        return f"<Lane {self.name} {limit}, {self._window.in_flight} in flight, {self._queue.size} queued>"

    @property
    def is_given_up(self) -> bool:
        """Whether the server has been away for longer than a request waits for it."""
        return self._breaker.is_given_up(self._outage, self.now())

    @property
    def limit(self) -> RateLimit:
        """The limit that the lane keeps to."""
        return self._restraint.limit

    @property
    def retries(self) -> AsyncLimiter:
        """The bucket that retries pass besides."""
        return self._restraint.retries

    def pause(self, seconds: float) -> None:
        """Admit nothing for this long; waiting requests whose `max_wait` is shorter fail at once."""
        now = self.now()
        self._restraint.paused_until = max(self._restraint.paused_until, now + seconds)
        self._telemetry.paused(Paused(self.name, now, seconds, "asked"))
        self._dispatch(now)

    def resume(self) -> None:
        """End a pause."""
        self._restraint.paused_until = 0.0
        self._dispatch(self.now())

    def hand_over(self, to: Callable[[str], "Lane"]) -> None:
        """Let other lanes admit all who wait here; requests under way are settled here.

        Args:
            to: Returns the lane for requests of a kind.
        """
        self._waiting.stop()
        self._window.release_idle()
        self._pass_on(self._waiting.drain(), to)

    def _pass_on(
        self, waiting: Iterator[tuple[Admission, float | None]], to: Callable[[str], "Lane"]
    ) -> None:
        """Pass on some, and the others in a moment, so that the event loop is not blocked."""
        now = self.now()
        followers: set[Lane] = set()
        for waiter, deadline in islice(waiting, SLICE):
            waiter.lane = lane = to(waiter.kind)
            if lane not in followers:
                followers.add(lane)
                restraint = lane._restraint  # noqa: SLF001 - the same class
                restraint.paused_until = max(restraint.paused_until, self._restraint.paused_until)
            if deadline is not None:
                waiter.max_wait = max(0.0, deadline - now)
            try:
                lane._line_up(waiter, now)  # noqa: SLF001 - the same class
            except FathomError as error:
                waiter.fail(error)
        for lane in followers:
            lane._dispatch(now)  # noqa: SLF001 - the same class
        if followers:
            self._clock.call_at(now, partial(self._pass_on, waiting, to))

    def keep_to(self, at_once: int) -> None:
        """Have no more requests in flight, until the server is found to let in more."""
        self._restraint.keep_to(at_once, self.now())

    def distrust(self) -> None:
        """Ask with one request before anything else: others have spent what the lane did not see."""
        self._window.on_rate_limited(self.now())

    def move(self, requests: int) -> None:
        """Tell the other processes of a shared budget that the account has one limit an hour for everything.

        Args:
            requests: The limit; 0 that it has none.
        """
        self._window.move(requests)

    def close(self) -> None:
        """Admit nothing any more, and fail all waiting requests."""
        self._closed = True
        self._waiting.fail_all(ClosedError("the client was closed while this request was waiting"))
        self._waiting.stop()

    async def aclose(self) -> None:
        """Close, and return a shared window's unused permits."""
        self.close()
        await self._window.aclose()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the client is closed")
        if self._window.failure is not None:
            raise type(self._window.failure)(*self._window.failure.args)

    def eta_behind(self, ahead: tuple[int, int], priority: Priority) -> float:
        """Estimate the seconds until a request is admitted.

        Args:
            ahead: How many go before it, and how many at the most if others come.
            priority: Its class.
        """
        now = self.now()
        (position, at_most), window, restraint = ahead, self._window, self._restraint
        due = window.returns(position, priority, now)
        if not window.is_shared:
            due = max(
                window.returns(position, Priority.INTERACTIVE, now),
                min(due, window.returns(at_most, Priority.INTERACTIVE, now)),
            )
        paced = delay(restraint.bucket, self._clock, position + 1) if restraint.is_spaced else 0.0
        capped = self._concurrency.delay(window.in_flight + position, now)
        answer = self._last_admission + self._concurrency.usual_time if self.is_probing(now) else now
        return max(max(due, restraint.paused_until, self._breaker.retry_at, answer) - now, paced, capped, 0.0)

    # The admission itself; called by `Admission` only.

    def admit_at_once(self, waiter: Admission) -> bool:
        """Admit a request if no other is waiting and everything allows it."""
        self._check_open()
        if self._queue.size or self._window.is_shared:
            return False
        now = self.now()
        if self.opens_at(now, _ONE[waiter.priority, False]) > now:
            return False
        self._window.expect(waiter.priority, now)
        self.admit(waiter, now)
        return True

    def enqueue(self, waiter: Admission) -> None:
        """Let a request wait for its turn.

        Raises:
            WaitTooLongError: Its `max_wait` cannot be met.
        """
        waiter.queued_at = now = self.now()
        self._line_up(waiter, now)
        self._dispatch(now)

    def _line_up(self, waiter: Admission, now: float) -> None:
        self._check_open()
        deadline = None
        if waiter.again is None:
            self._window.expect(waiter.priority, now)
        if self._breaker.is_away:
            self._breaker.probe_at_once(waiter.subject, now)
        if waiter.max_wait is not None:
            is_first = waiter.again == "refused"
            ahead = (0, PASSES) if is_first else self._queue.ahead_of(waiter.priority, waiter.flow)
            eta = self.eta_behind(ahead, waiter.priority)
            if eta > waiter.max_wait or (self._breaker.is_away and self._breaker.holds(now)):  # rule 4
                raise self._waiting.too_long(waiter, eta)
            deadline = now + max(waiter.max_wait, self._window.reply_time)
        self._waiting.add(waiter, deadline)

    def gave_up(self, waiter: Admission) -> None:
        """Forget a request that waited."""
        if waiter.permit is not None:  # admitted and cancelled in the same tick
            self.untaken -= 1
            self.abandoned(waiter)
        else:
            self._waiting.discard(waiter)
            self._dispatch(self.now())

    def sent(self, permit: Permit) -> None:
        """Note that the request's bytes have left."""
        self._window.sent(permit, self.now())

    def answered(self, waiter: Admission, permit: Permit, feedback: Feedback | None) -> None:
        """Note an answer and its rate-limit headers; None when they are not about this lane."""
        now = self.now()
        sent_at = now if permit.sent_at is None else permit.sent_at
        concurrency, restraint = self._concurrency, self._restraint
        concurrency.usual_time += (now - sent_at - concurrency.usual_time) / 8
        if concurrency.is_lowered:
            concurrency.proved(permit.outstanding_before + 1, now)
        if restraint.untold_cap:
            restraint.tell_cap(now)
        if feedback is not None:
            restraint.heard, restraint.heard_at = feedback, now
            if self._teaches(feedback, now):
                feedback = restraint.answered(permit, feedback, now)
        is_more = self._window.settle(permit, now, feedback)
        self._came_back(waiter, sent_at, now)
        if is_more or self._waiting.awaits_answer:  # else the timer is set for when a permit comes back
            self._dispatch(now)

    def refused(self, waiter: Admission, permit: Permit, feedback: Feedback) -> None:
        """Note that the server refused the request without counting it."""
        self._window.release(permit)
        now = self.now()
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
        now = self.now()
        sent_at = waiter.admitted_at if permit.sent_at is None else permit.sent_at
        if answered:
            self._window.settle(permit, now, None)
        elif permit.sent_at is None:
            self._window.release(permit)
        else:
            self._window.abandon(permit)
        target = waiter.asks.target if waiter.asks else ""
        is_alive = now - self._answered_at < MEMORY
        failure = FailedRequest(
            target, waiter.subject, reason, retry_after, is_alive, self._waiting.are_others
        )
        pause = self._breaker.failed(waiter, failure, sent_at, now)
        if pause is not None:
            self._telemetry.paused(Paused(self.name, now, pause, "away"), self._breaker.reason)
            self._waiting.fail_impatient(self._outage, now)
        self._dispatch(now)

    def _came_back(self, waiter: Admission, sent_at: float, now: float) -> None:
        """Note that the server is there."""
        self._answered_at = now
        if self._breaker.has_failed and self._breaker.succeeded(waiter, sent_at):
            self._telemetry.recovered(Recovered(self.name, now))

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
        self._dispatch(self.now())

    def _teaches(self, feedback: Feedback, now: float) -> bool:
        """Whether an answer says something new: another limit, or, to a probe, that others spend."""
        restraint, remaining = self._restraint, feedback.remaining
        requests = restraint.limit.requests
        if restraint.lessons.is_learning or (feedback.limit is not None and feedback.limit != requests):
            return True
        return remaining is not None and remaining < requests - 1 and self._window.is_cold(now)

    def admit(self, waiter: Admission, now: float) -> None:
        """Give a request its permit; everything must allow it."""
        waiter.permit = self._window.take()
        waiter.bucket = self._restraint.bucket
        waiter.admitted_at = self._last_admission = now
        self.untaken += 1
        if self._breaker.has_failed:
            self._breaker.admitted(waiter)

    def _most_in_flight(self, now: float) -> int:
        concurrency = self._concurrency
        return concurrency.cap(now) if concurrency.is_lowered else concurrency.at_most

    def is_probing(self, now: float) -> bool:
        return self._window.in_flight > 0 and (self._restraint.lessons.is_asking or self._window.is_cold(now))

    def opens_at(self, now: float, demand: Demand | None = None) -> float:
        """Return when to admit the next request, or to look again; infinity when an answer has to arrive first."""
        restraint, breaker, window = self._restraint, self._breaker, self._window
        demand = demand or _ONE[self._queue.next_class()]
        if now < restraint.paused_until:
            return restraint.paused_until
        if breaker.has_failed and breaker.holds(now):
            return breaker.retry_at if now < breaker.retry_at else math.inf
        if window.in_flight >= self._most_in_flight(now):
            return math.inf
        if self.is_probing(now) and now < self._last_admission + PROBE_PATIENCE:  # rule 1
            return self._last_admission + PROBE_PATIENCE
        # Rounding may let a timer fire slightly early; without the tick it would then fire over and over.
        if not window.has_room(demand, now):
            look = window.next_look(demand, now)
            return math.inf if look is None else max(look, now + TICK)
        tokens = 1 + self.untaken
        has_tokens = restraint.bucket.has_capacity(tokens)
        return now if has_tokens else now + max(delay(restraint.bucket, self._clock, tokens), TICK)

    def _dispatch(self, now: float) -> None:
        if self._queue.size or self._waiting.timer is not None:
            self._waiting.dispatch(now)

    # Called by the window.

    def wanted(self) -> Wanted | None:
        """Return what could be used now of a shared window; None for nothing."""
        now = self.now()
        is_away = self._breaker.has_failed and self._breaker.holds(now)
        if not self._queue.size or now < self._restraint.paused_until or is_away:
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
            self._dispatch(self.now())

    def on_cap(self, cap: int) -> None:
        """Note how many requests in flight the processes of a shared window found to be allowed; it keeps to them."""
        self._restraint.untold_cap = cap

    def on_forgotten(self, seconds: float) -> None:
        """The shared budget lost its memory."""
        self._telemetry.paused(Paused(self.name, self.now(), seconds, "forgotten"))

    def on_moved(self, requests: int) -> None:
        """Other processes found that the account has one limit an hour for all its endpoints."""
        if self._on_moved is not None and not self._closed:
            self._on_moved(requests)
