"""How far apart requests go, as refusals teach that no header explains.

1. **Evenly.** The server dislikes bursts, or its limit is smaller than ours. First space the requests evenly, by
   `fathom_async._ratelimit.bucket.pace`. After a calm of `CALM` two may go at once; then twice as many, each time
   that so many did go at once, until the plan's burst is allowed again. A refusal meanwhile spaces them anew, and
   makes the calm four times as long.
2. **Fewer.** Refused although spaced, after half of T, or twice in a row where T is `SHORT_WINDOW` at most: N is what
   the server let in within T. In a longer window too little is counted by then: a few refusals would cost an hour.
3. **More again.** After `CALM_SPANS` without a refusal N goes half of the way back to the plan's, and so on. Where
   the first step was too much, the next one waits for twice as many spans; where more than one held, for half.

A pure state machine: time is an argument.
"""

import math
from collections import deque

CALM, LONGEST_CALM = 120.0, 7680.0
"""Seconds without a refusal after which spaced requests may begin to go together: at first, and at the most."""

SHORT_WINDOW = 120.0
"""Seconds of the longest window of which two refusals in a row tell enough (rule 2)."""

CALM_SPANS, LONGEST_CALM_SPANS = 2, 16
"""Spans without a refusal after which a smaller N grows: at first, and at the most."""


class Pace:
    """How many requests a window is taken to have, and how many may go at once.

    Args:
        per: Length of the window.
        span: Seconds from a request's count to its permit's return.

    Attributes:
        fewer: N, as refusals taught; None where they did not.
        together: How many may go at once; None for as many as the plan allows.
    """

    __slots__ = (
        *("_calm", "_calm_spans", "_has_failed", "_calm_since", "_going_since", "_steps", "_hits", "_per"),
        *("_span", "_stepped_at", "fewer", "together"),
    )

    def __init__(self, per: float, span: float) -> None:
        self.fewer: int | None = None
        self.together: int | None = None
        self._per = per
        self._span = span
        self._hits: deque[float] = deque()
        self._calm = CALM
        self._calm_spans = CALM_SPANS
        self._going_since: float | None = None  # the first answer after the last refusal
        self._has_failed = False  # refused once since requests are spaced
        self._calm_since = self._stepped_at = -math.inf
        self._steps = 0  # taken since N was lowered

    def hits(self, now: float) -> int:
        """Return how many requests were answered within T."""
        while self._hits and self._hits[0] <= now - self._per:
            self._hits.popleft()
        return len(self._hits)

    def seed(self, hits: int, now: float) -> None:
        """Take so many requests for answered now, since nobody counted before."""
        self._hits.extend([now] * hits)

    def refused(self, limit: int, in_flight: int, now: float) -> None:
        """A request was refused for its rate, and nothing explains it."""
        is_proved = self._going_since is not None and now - self._going_since >= self._per / 2
        self._going_since = None
        self._calm_since = now
        if self.together != 1:  # rule 1
            if self.together is not None:
                self._calm = min(4 * self._calm, LONGEST_CALM)
            self.together = 1
            self._has_failed = False
            return
        if not (is_proved or (self._has_failed and self._per <= SHORT_WINDOW)):
            self._has_failed = True
            return
        self._has_failed = False
        let_in = max(1, min(self.hits(now) + in_flight, limit - is_proved))  # rule 2
        if self._steps == 1:  # rule 3
            self._calm_spans = min(2 * self._calm_spans, LONGEST_CALM_SPANS)
        elif self._steps:
            self._calm_spans = max(self._calm_spans // 2, CALM_SPANS)
        self.fewer, self._stepped_at, self._steps = let_in, now, 0

    def answered(self, plan: int, now: float) -> None:
        """A request was answered."""
        self.hits(now)
        self._hits.append(now)
        if self._going_since is None:
            self._going_since = now
        if self.fewer is not None:
            self._grow(plan, now)
        if self.together is not None:
            self._loosen(plan if self.fewer is None else self.fewer, now)

    def _grow(self, plan: int, now: float) -> None:
        """Carry out rule 3."""
        calm = (CALM_SPANS if self._steps else self._calm_spans) * self._span
        if self.fewer is not None and now - self._stepped_at >= calm:
            self._stepped_at = now
            self._steps += 1
            self.fewer = (self.fewer + plan + 1) // 2
            if self.fewer >= plan:
                self.fewer = None

    def _loosen(self, limit: int, now: float) -> None:
        """Carry out the second half of rule 1."""
        together = self.together or 1
        apart = self._per / limit
        went = together == 1 or (len(self._hits) >= together and self._hits[-together] > now - apart)
        if went and now - self._calm_since >= self._calm:
            self._calm_since = now
            self.together = None if 2 * together >= 2 * limit else 2 * together
