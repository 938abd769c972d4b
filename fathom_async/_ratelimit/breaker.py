"""The breaker: a server that is away is asked by one request at a time, and the others wait.

1. It **trips** when requests about `DIFFERENT` different subjects failed within `MEMORY` seconds, without a success
   between them: a site whose reports always fail is no outage. As many different requests about fewer subjects are
   enough where nobody asks about anything else. Only requests count that were sent after the last trip.
2. Tripped, the lane admits nothing for `FIRST` seconds, and twice as long each time in a row, `LONGEST` at the most,
   give or take a quarter, so that many clients do not come back together.
3. Then it admits one request, the **probe**, about a subject that has not failed if there is one. If the probe fails,
   the breaker trips again; any other answer ends the outage. While fewer subjects than in rule 1 have failed, a
   request about another one is a probe at once.
4. A server that says itself when it is back, by ``Retry-After`` on a 5xx, is believed: that trips at once, unless it
   answered other requests within `MEMORY` seconds.
5. A request that has waited for longer than the patience through one outage fails, with the outage's words; where few
   subjects failed, only requests about them do.

A pure state machine: time and chance are arguments.
"""

import math
from collections.abc import Callable

from attrs import define, field, frozen

DIFFERENT = 3
FIRST, LONGEST = 0.5, 30.0
MEMORY = 60.0

_MOST_TRIPS = 16


@frozen
class FailedRequest:
    """How a request failed, and about what; `retry_after` is 0 when the server did not say when it is back.

    `is_alive` tells whether it answered other requests within `MEMORY` seconds, and `others_wait` whether requests
    wait that are about none of these subjects.
    """

    target: str
    subject: str
    reason: str
    retry_after: float
    is_alive: bool
    others_wait: Callable[[set[str]], bool]


@define(eq=False)
class Breaker:
    """Tells an outage from requests that fail by themselves.

    While nothing has failed since the last success (`has_failed`), the breaker need not be asked.
    """

    _rng: Callable[[], float]
    away_since: float | None = field(default=None, init=False)
    retry_at: float = field(default=-math.inf, init=False)
    reason: str = field(default="", init=False)
    has_failed: bool = field(default=False, init=False)
    _failed: dict[str, tuple[str, float]] = field(
        factory=dict[str, tuple[str, float]], init=False
    )  # by target
    _tripped_at: float = field(default=-math.inf, init=False)
    _trips: int = field(default=0, init=False)
    _probe: object = field(default=None, init=False)

    @property
    def is_away(self) -> bool:
        return self._trips > 0

    @property
    def is_narrow(self) -> bool:
        """Whether too few subjects failed to tell of all others."""
        return len(self.subjects()) < DIFFERENT

    def is_given_up(self, patience: float, now: float) -> bool:
        """Whether the server has been away for longer than a request waits for it."""
        return self.away_since is not None and now - self.away_since >= patience

    def subjects(self) -> set[str]:
        """Return what the failed requests were about."""
        return {subject for subject, _ in self._failed.values()}

    def probe_at_once(self, subject: str, now: float) -> None:
        """A request about this subject came; it may be the probe (rule 3)."""
        if self._trips and self.is_narrow and subject not in self.subjects():
            self.retry_at = min(self.retry_at, now)
            self._probe = None  # one about a subject that failed says less

    def holds(self, now: float) -> bool:
        """Whether nothing may be admitted now: until the next probe, and while one is under way."""
        return self._trips > 0 and (now < self.retry_at or self._probe is not None)

    def admitted(self, request: object) -> None:
        """A request was admitted; through a breaker that has tripped, it is the probe."""
        if self._trips:
            self._probe = request

    def ended(self, request: object) -> None:
        """A request ended, in whatever way."""
        if request is self._probe:
            self._probe = None

    def succeeded(self, request: object, sent_at: float) -> bool:
        """The server answered, other than by failing; return whether that ends an outage."""
        self.ended(request)
        if self._trips and sent_at < self._tripped_at:
            return False
        was_away = self.is_away
        self._failed.clear()
        self.has_failed = False
        self._trips = 0
        self._probe = None
        self.away_since = None
        self.retry_at = -math.inf
        return was_away

    def failed(self, request: object, failure: "FailedRequest", sent_at: float, now: float) -> float | None:
        """A request failed as in an outage; return the seconds until the next probe, if this trips the breaker.

        One that was not sent counts as sent when it was admitted.
        """
        self.ended(request)
        if sent_at < self._tripped_at:
            return None  # rule 1
        self.reason = failure.reason
        self.has_failed = True
        if not self._trips:
            self._failed = {key: each for key, each in self._failed.items() if now - each[1] < MEMORY}
        self._failed.setdefault(failure.target, (failure.subject, now))
        if not self._trips and not self._is_outage(failure):
            return None
        if self.away_since is None:
            self.away_since = min(moment for _, moment in self._failed.values())
        doubled = min(FIRST * 2.0 ** min(self._trips, _MOST_TRIPS), LONGEST)
        pause = max(doubled * (0.75 + self._rng() / 2), failure.retry_after)  # rules 2 and 4
        self._trips += 1
        self._tripped_at = now
        self.retry_at = now + pause
        self._probe = None
        return pause

    def _is_outage(self, failure: "FailedRequest") -> bool:
        if not self.is_narrow or (failure.retry_after and not failure.is_alive):
            return True
        return len(self._failed) >= DIFFERENT and not failure.others_wait(self.subjects())
