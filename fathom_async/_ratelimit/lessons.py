"""What refusals, and headers that cannot be true, teach a lane: to wait, to space its requests, to expect less.

A lane whose plan is right and whose server tells the truth learns nothing here, and never comes here. Refusals of
requests that were sent before the last one was heard of are one refusal.

1. A refusal pauses the lane for ``Retry-After``; without one for 1 s. Each refusal in a row proves that the wait
   before was too short: it is doubled, up to a window, unless the server asks for more.
2. **A crowd.** Others of ours are in flight, as many as were ever let in; and ``Remaining`` is not 0, or nothing
   tells it and permits were left. ``Retry-After`` is at most `SHORT` of T. The server caps the requests in flight
   (`fathom_async._ratelimit.concurrency`). Else it was the rate:
3. **Explained.** Where the last answer told what remains, and that is believed, others spend, which the window knows
   how to live with. A refusal of our only request within T says nothing of our pace either.
4. **Evenly.** Otherwise the server dislikes bursts, or its limit is smaller than ours. First space the requests
   evenly (`fathom_async._ratelimit.bucket.pace`). After a calm of `CALM` two may go at once, then twice as many, and
   so on, until the plan's burst is allowed again. A refusal meanwhile spaces them anew, and makes the calm four times
   as long.
5. **Fewer.** Refused although spaced, after half of T, or twice in a row where T is `SHORT_WINDOW` at most: N is what
   the server let in within T. In a longer window too little is counted by then: a few refusals would cost an hour.
   Refused after N grew: N is one less than what the server let in, or what it was before.
   After each `CALM_SPANS` without a refusal N goes half of the way back to the plan's. Where the first step was too
   much, the next one waits for twice as many spans; where more than one held, for half.
6. **Limit.** One that is smaller than the plan's, or goes back up to it, is adopted when two answers in a row name
   it. Between the two, requests go one at a time. A larger one than the plan's is adopted by an adaptive lane only.
7. **Remaining is too small.** Requests of ours that were the only ones within T found the same number left, less than
   nobody else's spending would leave: `PROBES` in a row that found 0, or one more. Others spend exactly that, or the
   header counts something else, such as a small burst, or is a constant. It is *doubted*: requests are spaced evenly,
   which leaves such a number where it is, and a 0 is disregarded. Where it falls, others do spend: it is believed
   again, and twice as many such requests are needed from then on.
8. **Remaining is too large.** Two refusals in a row came though the headers had let more than N requests go in a
   short time. It is *distrusted* for `DISTRUST_SPANS`: the server is then one that tells nothing.

Pure state machines: time is an argument.
"""

import math
from collections import deque

from attrs import frozen

from fathom_async._ratelimit.admission import Feedback
from fathom_async._ratelimit.plan import RateLimit
from fathom_async._ratelimit.protocol import Permit

SHORT = 1 / 20
"""The part of T that the ``Retry-After`` of a crowd may have (rule 2)."""

CALM, LONGEST_CALM = 120.0, 7680.0
"""Seconds without a refusal after which spaced requests may begin to go together: at first, and at the most."""

SHORT_WINDOW = 120.0
"""Seconds of the longest window of which two refusals in a row tell enough (rule 5)."""

CALM_SPANS, LONGEST_CALM_SPANS = 2, 16
"""Spans without a refusal after which a smaller N grows: at first, and at the most (rule 5)."""

PROBES, MOST_PROBES = 2, 64
"""Requests in a row that have to find nothing left before that is doubted: at first, and at the most (rule 7)."""

DISTRUST_SPANS = 100
"""Spans for which ``Remaining`` is disregarded once it has promised too much (rule 8)."""

_LIES = 2
_MOST_REFUSALS = 64  # two to this power is longer than any window


class Pace:
    """How many requests a window is taken to have, N, and how many may go at once: rules 4 and 5.

    Both are None where refusals did not teach them.
    """

    def __init__(self, per: float, span: float) -> None:
        self.fewer: int | None = None
        self.together: int | None = None
        self._per = per
        self._span = span
        self._hits: deque[float] = deque()
        self._calm = CALM
        self._going_since: float | None = None  # the first answer after the last refusal
        self._has_failed = False  # refused once since requests are spaced
        self._calm_since = self._stepped_at = -math.inf
        self._calm_spans = CALM_SPANS
        self._steps = 0  # taken since N was lowered
        self._before = 1  # N before the last of them

    def hits(self, now: float) -> int:
        """Return how many requests were answered within T."""
        while self._hits and self._hits[0] <= now - self._per:
            self._hits.popleft()
        return len(self._hits)

    def seed(self, hits: int, now: float) -> None:
        """Take so many requests for answered now, since nobody counted before."""
        self._hits.extend([now] * hits)

    def refused(self, limit: int, now: float) -> None:
        """A request was refused for its rate, and nothing explains it."""
        is_proved = self._going_since is not None and now - self._going_since >= self._per / 2
        self._going_since = None
        self._calm_since = now
        if self.together != 1:
            if self.together is not None:
                self._calm = min(4 * self._calm, LONGEST_CALM)
            self.together = 1
            self._has_failed = False
        elif is_proved or self._steps or (self._has_failed and self._per <= SHORT_WINDOW):
            self._has_failed = False
            if self._steps == 1:
                self._calm_spans = min(2 * self._calm_spans, LONGEST_CALM_SPANS)
            elif self._steps:
                self._calm_spans = max(self._calm_spans // 2, CALM_SPANS)
            let_in = min(self.hits(now) - (self._steps > 0), limit - is_proved)
            self.fewer = max(1, self._before if self._steps else 1, let_in)
            self._stepped_at, self._steps = now, 0
        else:
            self._has_failed = True

    def answered(self, plan: int, now: float) -> None:
        self.hits(now)
        self._hits.append(now)
        if self._going_since is None:
            self._going_since = now
        calm = (CALM_SPANS if self._steps else self._calm_spans) * self._span
        if self.fewer is not None and now - self._stepped_at >= calm:
            self._stepped_at, self._before = now, self.fewer
            self._steps += 1
            more = (self.fewer + plan + 1) // 2
            self.fewer = more if more < plan else None
        if self.together is not None and now - self._calm_since >= self._calm:
            self._calm_since = now
            self.together *= 2
            if self.together >= 2 * (self.fewer or plan):
                self.together = None


class Belief:
    """How far ``Remaining`` is believed, and which number is taken for a constant: rules 7 and 8."""

    def __init__(self, span: float) -> None:
        self.doubted: int | None = None
        self._found: int | None = None  # what the last probe found
        self._probes = 0  # so many found it, in a row
        self._needed = PROBES
        self._lies = 0  # in a row
        self._span = span
        self._believed_from = -math.inf

    def is_settled(self, now: float) -> bool:
        """Whether there is nothing to watch for."""
        return not self._probes and not self.is_distrusted(now)

    def is_distrusted(self, now: float) -> bool:
        return now < self._believed_from

    def heard(self, remaining: int, full: int, is_alone: bool, now: float) -> int | None:
        """An answer said that so many remain, which are `full` where nobody else spends; return what to believe.

        A request is alone if it was the only one of ours within T.
        """
        if self.is_distrusted(now):
            return None
        has_fallen = self.doubted is not None and remaining < self.doubted
        if has_fallen or (is_alone and remaining >= full):
            self.doubted, self._found, self._probes = None, None, 0
            self._needed = min(2 * self._needed, MOST_PROBES) if has_fallen else PROBES
        elif is_alone and self.doubted is None:
            self._probes = self._probes + 1 if remaining == self._found else 1
            self._found = remaining
            if self._probes >= self._needed + (remaining > 0):
                self.doubted = remaining
        return None if self.doubted == remaining == 0 else remaining

    def refused(self, is_lie: bool, now: float) -> None:
        """A request was refused for its rate, though the headers had let more than N go in a short time, or not."""
        self._lies = self._lies + 1 if is_lie else 0
        if self._lies >= _LIES:
            self._lies = 0
            self._believed_from = now + DISTRUST_SPANS * self._span


@frozen
class Circumstances:
    """What a lane knows when one of its requests is refused: others in flight, and permits that are out.

    The cap is 0 where any number may be in flight. Whether it `is_told`: the last answer told what remains; whether
    that `is_lie`: headers had let more than N requests go in a short time.
    """

    in_flight: int
    cap: int
    used: int
    is_told: bool
    is_lie: bool


class Lessons:
    """What one lane learned: the limit to keep to, and how many may go at once, None for the limit's burst.

    While it `is_learning`, every answer has to be shown to `answered`; while it `is_asking`, requests have to go
    one at a time (rule 6); after a crowd was refused, `is_crowd` is set.
    """

    def __init__(self, limit: RateLimit, span: float, *, is_shared: bool = False) -> None:
        self.limit: RateLimit = limit
        self._is_shared = is_shared
        self.together: int | None = None
        self.is_learning: bool = False
        self.is_asking: bool = False
        self._plan: int = limit.requests
        self._named: int = limit.requests
        self._burst = limit.burst
        self._belief = Belief(span)
        self._pace = Pace(limit.per, span)
        self._candidate = 0
        self._in_a_row = 0
        self.is_crowd: bool = False
        self._refused_at = -math.inf

    def named(self, requests: int, now: float, *, is_larger_adopted: bool) -> None:
        """An answer named another limit (rule 6)."""
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
        """An answer arrived while so many permits were out, its own too; return what to believe of ``Remaining``."""
        if feedback.limit != self._candidate:
            self._candidate = 0
        self._in_a_row = 0
        is_alone = used <= 1
        if self.is_learning and not self._is_shared:
            is_alone = not (permit.outstanding_before or self._pace.hits(now))
        self._pace.answered(self._named, now)
        remaining = feedback.remaining
        if remaining is not None and feedback.limit == self.limit.requests:
            remaining = self._belief.heard(remaining, self.limit.requests - 1, is_alone, now)
        self._decide(now)
        return remaining

    def refused(self, permit: Permit, feedback: Feedback, known: Circumstances, now: float) -> float:
        """A request was refused; return the seconds for which nothing more should be sent."""
        is_new = permit.sent_at is None or permit.sent_at > self._refused_at
        if not self.is_learning:
            self._pace.seed(max(0, known.used - known.in_flight), now)
        if is_new:
            self._in_a_row = min(self._in_a_row + 1, _MOST_REFUSALS)
            self._refused_at = now
            self.is_crowd = self._is_for_crowd(feedback, known, permit.outstanding_before, now)
        if self.is_crowd:
            return feedback.retry_after or 0.0
        if is_new:
            is_told = known.is_told and not self._belief.is_distrusted(now)
            self._belief.refused(known.is_lie and is_told, now)
            if not is_told and (known.used or self._pace.hits(now)):  # rule 3
                self._pace.refused(self.limit.requests, now)
        self._decide(now)
        return self._wait(feedback.retry_after)

    def _is_for_crowd(self, feedback: Feedback, known: Circumstances, beside: int, now: float) -> bool:
        retry_after, remaining = feedback.retry_after, feedback.remaining
        is_short = retry_after is not None and retry_after <= SHORT * self.limit.per
        if not known.in_flight or max(beside, known.in_flight) + 1 < known.cap:
            return False
        if remaining is not None and not self._belief.is_distrusted(now):
            return remaining > 0 and (retry_after is None or is_short)
        return is_short and known.used + 1 < self.limit.requests

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
        pace, belief = self._pace, self._belief
        requests = self._named if pace.fewer is None else min(self._named, pace.fewer)
        if requests != self.limit.requests:
            self.limit = RateLimit(requests, self.limit.per, self._burst and min(self._burst, requests))
        self.together = pace.together if belief.doubted is None else 1
        self.is_asking = self._candidate > 0
        self.is_learning = (
            self.is_asking
            or pace.fewer is not None
            or pace.together is not None
            or not belief.is_settled(now)
        )
