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
from collections.abc import Callable, Collection

from aiolimiter import AsyncLimiter

from fathom_async._ratelimit.admission import Admission, Again, Asked
from fathom_async._ratelimit.breaker import Breaker
from fathom_async._ratelimit.bucket import delay
from fathom_async._ratelimit.concurrency import Concurrency
from fathom_async._ratelimit.plan import MAX_IN_FLIGHT, LaneStatus, Priority, RateLimit
from fathom_async._ratelimit.protocol import Demand, Wanted, Window
from fathom_async._ratelimit.queue import PASSES
from fathom_async._ratelimit.restraint import Restraint
from fathom_async._ratelimit.waiting import TICK, Waiting
from fathom_async._ratelimit.window import LocalWindow
from fathom_async._util.clock import Clock
from fathom_async.errors import ClosedError
from fathom_async.telemetry import Paused, Telemetry

PROBE_PATIENCE = 5.0
"""Seconds after which a cold lane sends another request, though the last one has no answer yet (rule 1)."""

OUTAGE = 600.0
"""Seconds that a request waits for a server that is away."""

_ONE = {(each, is_due): Demand(each, is_due) for each in Priority for is_due in (False, True)}


class Lane:
    """Admission for one rate limit; used from one event loop.

    The reserve is left to the account's other clients. `share` is a window shared with other processes, instead of
    one of the lane's own. An adaptive lane adopts larger limits too; answers that name a limit of `elsewhere` are
    about other lanes. `on_moved` is called with an account's hourly limit when other processes found that it has
    one, 0 for none.
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
        self.clock: Clock = clock
        self.outage = outage
        self._on_moved = on_moved
        self.telemetry: Telemetry = telemetry or Telemetry()
        self.window: Window = share or LocalWindow(limit, reserve=reserve, count_delay=count_delay)
        self.concurrency: Concurrency = Concurrency(concurrency or MAX_IN_FLIGHT)
        self.restraint: Restraint = Restraint(self, limit, adaptive, elsewhere)
        self.breaker: Breaker = Breaker(rng)
        self.waiting: Waiting = Waiting(self)
        self._queue = self.waiting.queue
        self._last_admission = float("-inf")
        self.answered_at: float = float("-inf")
        self._closed = self._is_held = False
        self.window.bind(self)

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

        Requests of one priority take turns by flow. If a request is made `again`, a refused one goes before all
        others of its priority, a failed one to the end of its flow. What it asks for tells an outage: several
        different ones fail. `kind` is the name by which it knows the lane.

        Entering raises `WaitTooLongError` when `max_wait` cannot be met: at once, or when an answer of the server
        made the wait longer; `OutageError` when the server was away for too long, and `ClosedError`.
        """
        return Admission(self, priority, flow, max_wait, again, asks, kind)

    def expect(self, priority: Priority) -> None:
        self.window.expect(priority, self.now(), 0)

    def eta(self, requests: int = 1, priority: Priority = Priority.BULK, flow: str = "") -> float:
        """Estimate the seconds until the last of this many new requests would be admitted."""
        return self.eta_behind(self._queue.ahead_of(priority, flow, requests - 1), priority)

    def status(self) -> LaneStatus:
        now = self.now()
        window, breaker = self.window.status(now), self.breaker
        return LaneStatus(
            limit=self.limit.requests,
            per=self.limit.per,
            used=window.used,
            in_flight=self.window.in_flight,
            queued=self._queue.size,
            next_slot_in=self.eta(),
            paused_for=max(0.0, self.restraint.paused_until - now, window.blocked_for),
            budget=window.budget,
            waiting=window.waiting,
            away_for=None if breaker.away_since is None else now - breaker.away_since,
            retry_in=max(0.0, breaker.retry_at - now),
        )

    async def refresh(self) -> None:
        """Fetch the state of a shared window without taking a permit."""
        self._check_open()
        await self.window.refresh()
        self._check_open()

    def __repr__(self) -> str:
        try:
            used = f"{self.window.status(self.now()).used:,}"
        except RuntimeError:  # no event loop runs here
            used = "?"
        limit = f"{used}/{self.limit.requests:,} used"
        return f"<Lane {self.name} {limit}, {self.window.in_flight} in flight, {self._queue.size} queued>"

    @property
    def is_given_up(self) -> bool:
        return self.breaker.is_given_up(self.outage, self.now())

    def away_for(self, failing_since: float | None, priority: Priority) -> float | None:
        """Return for how many seconds the server has been away; None if a request may fail by itself.

        Args:
            failing_since: When the request failed first; nothing answered since tells a bulk job, which waits anyway,
                that the server is away, even if it has too few requests to trip the breaker.
            priority: The request's class.
        """
        since = self.breaker.away_since
        if since is None and failing_since is not None and priority is Priority.BULK:
            since = failing_since if self.answered_at < failing_since else None
        return None if since is None else self.now() - since

    @property
    def limit(self) -> RateLimit:
        return self.restraint.limit

    @property
    def retries(self) -> AsyncLimiter:
        return self.restraint.retries

    def pause(self, seconds: float) -> None:
        """Admit nothing for this long; waiting requests whose `max_wait` is shorter fail at once."""
        now = self.now()
        self.restraint.paused_until = max(self.restraint.paused_until, now + seconds)
        self.telemetry.paused(Paused(self.name, now, seconds, "asked"))
        self.dispatch(now)

    def resume(self) -> None:
        self.restraint.paused_until = 0.0
        self.dispatch(self.now())

    def hold(self) -> bool:
        """Admit nothing any more; return whether an answer is still to come."""
        if not self._is_held:
            self._is_held = True
            self.waiting.stop()
            self.window.release_idle()
        return self.window.in_flight > 0

    def close(self) -> None:
        """Admit nothing any more, and fail all waiting requests."""
        self._closed = True
        self.hold()
        self.waiting.fail_all(ClosedError("the client was closed while this request was waiting"))

    async def aclose(self) -> None:
        """Close, and return a shared window's unused permits."""
        self.close()
        await self.window.aclose()

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError("the client is closed")
        if self.window.failure is not None:
            raise type(self.window.failure)(*self.window.failure.args)

    def eta_behind(self, ahead: tuple[int, int, int], priority: Priority) -> float:
        """Estimate the seconds until a request is admitted behind what `PriorityQueue.ahead_of` returns."""
        now = self.now()
        position, at_most, urgent = ahead
        due = self.window.returns(position, priority, now, at_most - position, urgent)
        return max(due - now, self._held_for(position, now))

    def _held_for(self, position: int, now: float) -> float:
        """Estimate the seconds until nothing but the window holds back a request behind so many others."""
        window, restraint = self.window, self.restraint
        paced = delay(restraint.bucket, self.clock, position + 1) if restraint.is_spaced else 0.0
        capped = self.concurrency.delay(window.in_flight + position, now, window.cap(now))
        answer = self._last_admission + self.concurrency.usual_time if self.is_probing(now) else now
        return max(max(restraint.paused_until, self.breaker.retry_at, answer) - now, paced, capped, 0.0)

    # The admission itself; called by `Admission` only.

    def admit_at_once(self, waiter: Admission) -> bool:
        """Admit a request if no other is waiting and everything allows it."""
        self._check_open()
        if self._queue.size or self.window.is_shared:
            return False
        now = self.now()
        if self.opens_at(now, _ONE[waiter.priority, False]) > now:
            return False
        self.window.expect(waiter.priority, now)
        self.admit(waiter, now)
        return True

    def enqueue(self, waiter: Admission) -> None:
        """Let a request wait for its turn, or raise `WaitTooLongError` at once."""
        waiter.queued_at = now = self.now()
        self.line_up(waiter, now)
        self.dispatch(now)

    def line_up(self, waiter: Admission, now: float) -> None:
        self._check_open()
        if waiter.again is None:
            self.window.expect(waiter.priority, now)
        if self.breaker.is_away:
            self.breaker.probe_at_once(waiter.subject, now)
        if waiter.max_wait is not None:
            is_first = waiter.again == "refused"
            ahead = (0, PASSES, 0) if is_first else self._queue.ahead_of(waiter.priority, waiter.flow)
            self.check_wait(ahead, waiter.priority, waiter.max_wait)
            waiter.deadline = now + max(waiter.max_wait, self.window.reply_time)
        self.waiting.add(waiter)

    def check_wait(self, ahead: tuple[int, int, int], priority: Priority, max_wait: float) -> None:
        """Raise `WaitTooLongError` if a request must not wait for as long as it would have to.

        A shared window that will be asked, since what it told is outdated, is waited for: its answer tells.
        """
        now = self.now()
        is_held = self.breaker.is_away and self.breaker.holds(now)  # rule 4
        is_told = not self.window.is_outdated(_ONE[priority, False], now)
        eta = self.eta_behind(ahead, priority) if is_told else self._held_for(ahead[0], now)
        if eta > max_wait or is_held:
            raise self.waiting.too_long(eta, max_wait)

    def join(self, waiter: Admission, priority: Priority, flow: str, max_wait: float | None) -> None:
        """Let one more caller wait for a request that is in the queue.

        Args:
            waiter: The request; it goes to where the caller's own would go, if that is admitted earlier.
            priority: The caller's.
            flow: The caller's.
            max_wait: The caller's; the request is failed after the longest of all.

        Raises:
            WaitTooLongError: The caller's `max_wait` cannot be met; nothing is changed.
        """
        now = self.now()
        present = self._queue.ahead_of(waiter.priority, waiter.flow, before=waiter)
        offered = self._queue.ahead_of(priority, flow)
        is_better = (priority, offered) < (waiter.priority, present)
        place, chosen = (offered, priority) if is_better else (present, waiter.priority)
        if max_wait is not None:
            self.check_wait(place, chosen, max_wait)
        deadline = math.inf if max_wait is None else now + max(max_wait, self.window.reply_time)
        if deadline > waiter.deadline:
            waiter.deadline, waiter.max_wait = deadline, max_wait
            self.waiting.watch(waiter)
        if is_better:
            self.waiting.move(waiter, priority, flow)
            self.window.expect(priority, now)
            self.dispatch(now)

    def admit(self, waiter: Admission, now: float) -> None:
        """Give a request its permit; everything must allow it."""
        waiter.permit = self.window.take(waiter.priority)
        for _ in self.restraint.bucket.acquire().__await__():
            raise AssertionError("a request was admitted without a token")
        waiter.admitted_at = self._last_admission = now
        if self.breaker.has_failed:
            self.breaker.admitted(waiter)

    def _most_in_flight(self, now: float) -> int:
        concurrency = self.concurrency
        return concurrency.cap(now) if concurrency.is_lowered else concurrency.at_most

    def is_probing(self, now: float) -> bool:
        return self.window.in_flight > 0 and (self.restraint.lessons.is_asking or self.window.is_cold(now))

    def opens_at(self, now: float, demand: Demand | None = None) -> float:
        """Return when to admit the next request, or to look again; infinity when an answer has to arrive first."""
        restraint, breaker, window = self.restraint, self.breaker, self.window
        demand = demand or _ONE[self._queue.next_class()]
        if now < restraint.paused_until:
            return restraint.paused_until
        if breaker.has_failed and breaker.holds(now):
            return breaker.retry_at if now < breaker.retry_at else math.inf
        if self._is_held or window.in_flight >= self._most_in_flight(now):
            return math.inf
        if self.is_probing(now) and now < self._last_admission + PROBE_PATIENCE:  # rule 1
            return self._last_admission + PROBE_PATIENCE
        # Rounding may let a timer fire slightly early; without the tick it would then fire over and over.
        if not window.has_room(demand, now):
            look = window.next_look(demand, now)
            return math.inf if look is None else max(look, now + TICK)
        has_token = restraint.bucket.has_capacity()
        return now if has_token else now + max(delay(restraint.bucket, self.clock), TICK)

    def dispatch(self, now: float) -> None:
        if (self._queue.size or self.waiting.timer is not None) and not self._is_held:
            self.waiting.dispatch(now)

    # Called by the window.

    def wanted(self) -> Wanted | None:
        now = self.now()
        is_held = self._is_held or (self.breaker.has_failed and self.breaker.holds(now))
        if not self._queue.size or now < self.restraint.paused_until or is_held:
            return None
        usable = min(self._queue.size, self._most_in_flight(now) - self.window.in_flight)
        if usable < 1:
            return None
        return Wanted(
            self._queue.counts,
            min(usable, 1) if self.restraint.is_spaced or self.breaker.has_failed else usable,
        )

    def on_change(self) -> None:
        if self._queue.size:
            self.dispatch(self.now())

    def on_cap(self, cap: int) -> None:
        """Note how many requests in flight the processes of a shared window found to be allowed; it keeps to them."""
        self.restraint.untold_cap = cap

    def on_forgotten(self, seconds: float) -> None:
        self.telemetry.paused(Paused(self.name, self.now(), seconds, "forgotten"))

    def on_moved(self, requests: int) -> None:
        if self._on_moved is not None and not self._closed:
            self._on_moved(requests)
