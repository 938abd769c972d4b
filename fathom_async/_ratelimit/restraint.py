"""What holds the requests of a lane back besides its window, and how answers and refusals change it.

A lane comes here when it was refused or told something new; in between it only reads the attributes. What to make of
a refusal is decided by `fathom_async._ratelimit.lessons`, and carried out here: on the limit, the buckets, the cap on
requests in flight, the window and the pause.
"""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from aiolimiter import AsyncLimiter
from attrs import define, field

from fathom_async._ratelimit.admission import SILENT, Feedback
from fathom_async._ratelimit.bucket import for_retries, guard, pace
from fathom_async._ratelimit.lessons import Circumstances, Lessons
from fathom_async._ratelimit.plan import RateLimit
from fathom_async._ratelimit.protocol import Permit
from fathom_async.telemetry import Adapted, Paused, PauseReason

if TYPE_CHECKING:
    from fathom_async._ratelimit.lane import Lane

RETRY_PAD = 1.0
"""Seconds added to ``Retry-After``, which servers round down: half of the clients that sleep exactly that long are
refused again."""


@define(eq=False)
class Restraint:
    """What a lane's requests have to wait for: the buckets, for retries one besides, a pause, and what was learned.

    An answer that names a limit from `elsewhere` is about another lane. `untold_cap` is the last cap on requests in
    flight that was found and not told to anybody yet, else 0.
    """

    lane: "Lane"
    limit: RateLimit
    is_adaptive: bool
    elsewhere: Callable[[], Collection[int]]
    bucket: AsyncLimiter = field(init=False)
    retries: AsyncLimiter = field(init=False)
    lessons: Lessons = field(init=False)
    paused_until: float = field(init=False, default=float("-inf"))
    heard: Feedback = field(init=False, default=SILENT)
    untold_cap: int = field(init=False, default=0)
    _told_cap: int = field(init=False)
    _together: int | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self.bucket = guard(self.limit, self.lane.clock)
        self.retries = for_retries(self.limit, self.lane.clock)
        self.lessons = Lessons(self.limit, self.lane.window.span, is_shared=self.lane.window.is_shared)
        self._told_cap = self.lane.concurrency.at_most

    @property
    def is_spaced(self) -> bool:
        """Whether fewer requests may go at once than in a window."""
        return self.bucket.max_rate < self.limit.requests

    def pause(self, seconds: float, reason: PauseReason) -> None:
        now = self.lane.clock.now()
        if now + seconds > self.paused_until:
            self.paused_until = now + seconds
            self.lane.telemetry.paused(Paused(self.lane.name, now, seconds, reason))

    def answered(self, permit: Permit, feedback: Feedback, now: float) -> Feedback:
        """An answer says something new; return what to believe of it."""
        named = feedback.limit
        if (
            named is not None
            and named != self.limit.requests
            and named >= 1
            and named not in self.elsewhere()
        ):
            # The processes of a shared window have agreed on its size.
            self.lessons.named(
                named, now, is_larger_adopted=self.is_adaptive and not self.lane.window.is_shared
            )
        remaining = self.lessons.answered(permit, feedback, self.lane.window.status(now).used, now)
        self._follow(now)
        return Feedback(named, remaining)

    def refused(self, permit: Permit, feedback: Feedback, now: float) -> None:
        """Back off after a refusal."""
        in_flight, cap = self.lane.window.in_flight, self.lane.concurrency.cap(now)
        circumstances = Circumstances(
            in_flight=in_flight,
            cap=cap if self.lane.concurrency.is_lowered else 0,
            used=self.lane.window.status(now).used,
            is_told=self.heard.remaining is not None,
            is_lie=self._is_lie(),
        )
        wait = self.lessons.refused(permit, feedback, circumstances, now)
        if self.lessons.is_crowd:
            sent_at = now if permit.sent_at is None else permit.sent_at
            self.keep_to(
                self.lane.concurrency.let_in(sent_at, permit.outstanding_before, in_flight, now), now
            )
        else:
            self.lane.window.on_rate_limited(now)
            self._follow(now)
            self.lane.window.pause(now + wait + RETRY_PAD)
        self.pause(wait + RETRY_PAD, "refused")

    def keep_to(self, at_once: int, now: float) -> None:
        """Have no more requests in flight, until the server is found to let in more."""
        cap = self.lane.concurrency.cap(now)
        if self.lane.window.is_shared:  # it knows what the other processes have in flight
            self.lane.window.on_crowd(at_once)
        elif at_once < cap:
            self.lane.concurrency.lower(at_once, now)
            self.untold_cap = at_once

    def tell_cap(self, now: float) -> None:
        """Tell the cap on requests in flight once for all who were refused together: after the next answer."""
        before, self._told_cap = self._told_cap, self.untold_cap
        self.untold_cap = 0
        if self._told_cap != before:
            self.lane.telemetry.adapted(Adapted(self.lane.name, now, "concurrency", before, self._told_cap))

    def _follow(self, now: float) -> None:
        limit, together = self.lessons.limit, self.lessons.together
        if limit is self.limit and together == self._together:
            return
        if limit.requests != self.limit.requests:
            self.lane.telemetry.adapted(
                Adapted(self.lane.name, now, "limit", self.limit.requests, limit.requests)
            )
            self.lane.window.resize(limit.requests)
            self.retries = for_retries(limit, self.lane.clock)
        if together == 1 and self._together is None:  # spaced from the request on that taught it
            self.paused_until = max(self.paused_until, now + limit.per / limit.requests)
        self.limit, self._together = limit, together
        self.bucket = (
            guard(limit, self.lane.clock) if together is None else pace(limit, together, self.lane.clock)
        )

    def _is_lie(self) -> bool:
        """Whether more than N requests went in a short time, as only headers can have allowed."""
        requests = self.limit.requests
        return self.bucket.max_rate >= 2 * requests and not self.bucket.has_capacity(requests)
