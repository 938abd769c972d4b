"""What refusals, and headers that cannot be true, teach a lane: to wait, to space its requests, to expect less.

A lane whose plan is right and whose server tells the truth learns nothing here, and never comes here. Refusals of
requests that were sent before the last one was heard of are one refusal.

1. A refusal pauses the lane for ``Retry-After``; without one for 1 s. Each refusal in a row proves that the wait
   before was too short: it is doubled, up to a window, unless the server asks for more.
2. **A crowd.** Others of ours are in flight, as many as were ever let in; and ``Remaining`` is not 0, or nothing
   tells it and permits were left. ``Retry-After`` is at most `SHORT` of T. The server caps the requests in flight
   (`fathom_async._ratelimit.concurrency`). Else it was the rate:
3. **Explained.** Where the headers are believed, others spend, which the window knows how to live with. A refusal of
   our only request within T says nothing of our pace either.
4. **Unexplained.** Otherwise go evenly, and then expect less (`fathom_async._ratelimit.pace`).
5. **Limit.** One that is smaller than the plan's, or goes back up to it, is adopted when two answers in a row name
   it. Between the two, requests go one at a time. A larger one than the plan's is adopted by an adaptive lane only.
6. **Remaining** is believed as far as `fathom_async._ratelimit.belief` says.

Pure state machines: time is an argument.
"""

import math

from attrs import frozen

from fathom_async._ratelimit.admission import Feedback
from fathom_async._ratelimit.belief import Belief
from fathom_async._ratelimit.pace import Pace
from fathom_async._ratelimit.plan import RateLimit
from fathom_async._ratelimit.protocol import Permit

SHORT = 1 / 20
"""The part of T that the ``Retry-After`` of a crowd may have (rule 2)."""

_MOST_REFUSALS = 64  # two to this power is longer than any window


@frozen
class Circumstances:
    """What a lane knows when one of its requests is refused.

    Attributes:
        in_flight: How many others are in flight.
        cap: How many were found to be allowed in flight; 0 for any number.
        used: How many permits are out, without the refused one's.
        is_told: Whether the last answer told what remains.
        strikes: How much that speaks against what the headers said before: 1 if the answer just before had left room,
            2 if they had let more than N requests go in a short time.
    """

    in_flight: int
    cap: int
    used: int
    is_told: bool
    strikes: int


@frozen
class Lesson:
    """What to do after a refusal.

    Attributes:
        wait: Seconds for which nothing more should be sent.
        is_crowd: Whether too many were in flight.
    """

    wait: float
    is_crowd: bool


class Lessons:
    """What one lane learned.

    Args:
        limit: The plan's limit.
        span: Seconds from a request's count to its permit's return.

    Attributes:
        limit: The limit to keep to.
        together: How many requests may go at once; None for as many as the limit's burst allows.
        is_learning: Whether every answer has to be shown to `answered`.
        is_asking: Whether requests have to go one at a time (rule 5).
    """

    __slots__ = (
        *(
            "_belief",
            "_burst",
            "_candidate",
            "_in_a_row",
            "_is_counting",
            "_is_crowd",
            "_is_shared",
            "_named",
            "_pace",
        ),
        *("_plan", "_refused_at", "_span", "is_asking", "is_learning", "limit", "together"),
    )

    def __init__(self, limit: RateLimit, span: float, *, is_shared: bool = False) -> None:
        self.limit = limit
        self._is_shared = is_shared
        self._span = span
        self._is_counting = self._is_crowd = False
        self.together: int | None = None
        self.is_learning = self.is_asking = False
        self._plan: int = limit.requests
        self._named: int = limit.requests
        self._burst = limit.burst
        self._belief = Belief(span)
        self._pace = Pace(limit.per, span)
        self._candidate = 0
        self._in_a_row = 0
        self._refused_at = -math.inf

    def named(self, requests: int, now: float, *, is_larger_adopted: bool) -> None:
        """An answer named another limit (rule 5)."""
        if requests > self._plan and is_larger_adopted:
            self._plan = self._named = requests
        elif requests > self._plan or requests == self._named:
            return
        elif requests == self._candidate:
            self._named, self._candidate = requests, 0
        else:
            self._candidate = requests
        self._decide(now)

    def answered(self, permit: Permit, feedback: Feedback, used: int, now: float) -> int | None:
        """An answer arrived; return what to believe of ``Remaining``.

        Args:
            permit: The request's permit.
            feedback: The answer's headers.
            used: How many permits were out, this one included.
            now: The moment.
        """
        if feedback.limit != self._candidate:
            self._candidate = 0
        self._in_a_row = 0
        is_alone = not (permit.outstanding_before or self._pace.hits(now)) if self._is_counting else used <= 1
        self._pace.answered(self._named, now)
        remaining = feedback.remaining
        if remaining is not None and feedback.limit == self.limit.requests:
            is_alone = is_alone and (used <= 1 or not self._is_shared)
            remaining = self._belief.heard(remaining, self.limit.requests - 1, is_alone, now)
        self._decide(now)
        return remaining

    def refused(self, permit: Permit, feedback: Feedback, circumstances: Circumstances, now: float) -> Lesson:
        """A request was refused."""
        is_new = permit.sent_at is None or permit.sent_at > self._refused_at
        if not self._is_counting:
            self._pace.seed(max(0, circumstances.used - circumstances.in_flight), now)
        if is_new:
            self._in_a_row = min(self._in_a_row + 1, _MOST_REFUSALS)
            self._refused_at = now
            self._is_crowd = self._is_for_crowd(feedback, circumstances, permit.outstanding_before, now)
        if self._is_crowd:
            self._decide(now)
            return Lesson(feedback.retry_after or 0.0, is_crowd=True)
        if is_new:
            is_distrusted = self._belief.is_distrusted(now)
            is_absurd = bool(feedback.remaining) and not self._is_short(feedback.retry_after)
            self._belief.refused(0 if is_distrusted else circumstances.strikes, now, is_absurd=is_absurd)
            is_silent = is_distrusted or (feedback.remaining is None and not circumstances.is_told)
            if is_silent and (circumstances.used or self._pace.hits(now)):  # rules 3 and 4
                self._pace.refused(self.limit.requests, circumstances.in_flight, now)
        self._decide(now)
        return Lesson(self._wait(feedback.retry_after), is_crowd=False)

    def _is_for_crowd(
        self, feedback: Feedback, circumstances: Circumstances, beside: int, now: float
    ) -> bool:
        """Carry out rule 2."""
        is_believed = not self._belief.is_distrusted(now)
        if not circumstances.in_flight or max(beside, circumstances.in_flight) + 1 < circumstances.cap:
            return False
        if feedback.remaining is not None and is_believed:
            return feedback.remaining > 0 and (
                feedback.retry_after is None or self._is_short(feedback.retry_after)
            )
        if circumstances.used + 1 >= self.limit.requests:
            return False
        return self._is_short(feedback.retry_after)

    def _is_short(self, retry_after: float | None) -> bool:
        return retry_after is not None and retry_after <= SHORT * self.limit.per

    def _wait(self, retry_after: float | None) -> float:
        """Return how long to wait after a refusal (rule 1)."""
        longer = 2.0 ** max(0, self._in_a_row - 1)
        if retry_after is None:
            return min(longer, self.limit.per)
        if longer > 1:
            return max(retry_after, min(longer * max(1.0, retry_after), self.limit.per))
        return retry_after

    def _decide(self, now: float) -> None:
        """Put together what the parts have learned."""
        requests = self._named if self._pace.fewer is None else min(self._named, self._pace.fewer)
        if requests != self.limit.requests:
            self.limit = RateLimit(requests, self.limit.per, self._burst and min(self._burst, requests))
        self.together = self._pace.together if self._belief.doubted is None else 1
        self.is_asking = self._candidate > 0
        has_learned = self._pace.fewer is not None or self._pace.together is not None
        is_recent = now - self._refused_at < self._span
        self._is_counting = has_learned or is_recent or not self._belief.is_settled(now)
        self.is_learning = self.is_asking or self._is_counting
