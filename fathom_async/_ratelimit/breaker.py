"""The breaker: a server that is away is asked by one request at a time, and the others wait.

1. It **trips** when requests to `DIFFERENT` different targets failed without a success between them; one report that
   always fails is no outage. Only requests count that were sent after the last trip.
2. Tripped, the lane admits nothing for `FIRST` seconds, and twice as long each time in a row, `LONGEST` at the most,
   give or take a quarter, so that many clients do not come back together.
3. Then it admits one request, the **probe**, preferably one that has not failed. A failure of the probe trips again;
   any other answer ends the outage.
4. A server that says itself when it is back, by ``Retry-After`` on a 5xx, is believed: that trips at once.
5. A request that has waited for longer than the patience through one outage fails, with the outage's words.

A pure state machine: time and chance are arguments.
"""

import math
from collections.abc import Callable

DIFFERENT = 3
FIRST, LONGEST = 0.5, 30.0

_MOST_TRIPS = 16


class Breaker:
    """Tells an outage from requests that fail by themselves.

    Args:
        rng: Gives random numbers in [0, 1).

    Attributes:
        away_since: When the first request of the present outage failed; None while there is none.
        retry_at: When the next probe may go.
        reason: What failed last.
        has_failed: Whether anything failed since the last success; if not, the breaker need not be asked.
    """

    __slots__ = (
        "_failed",
        "_probe",
        "_rng",
        "_tripped_at",
        "_trips",
        "away_since",
        "has_failed",
        "reason",
        "retry_at",
    )

    def __init__(self, rng: Callable[[], float]) -> None:
        self.away_since: float | None = None
        self.retry_at = -math.inf
        self.reason = ""
        self.has_failed = False
        self._rng = rng
        self._failed: dict[str, float] = {}
        self._tripped_at = -math.inf
        self._trips = 0
        self._probe: object = None

    @property
    def is_away(self) -> bool:
        """Whether the breaker has tripped."""
        return self._trips > 0

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

    def failed(  # noqa: PLR0917 - all of them facts of one failure
        self, request: object, target: str, reason: str, sent_at: float, now: float, retry_after: float = 0.0
    ) -> float | None:
        """A request failed as it would in an outage.

        Args:
            request: The request.
            target: What was asked for.
            reason: How it failed.
            sent_at: When it was sent, or admitted if it was not.
            now: The moment.
            retry_after: Seconds after which the server says that it is back; 0 when it did not.

        Returns:
            The seconds until the next probe, if this trips the breaker.
        """
        self.ended(request)
        if sent_at < self._tripped_at:
            return None  # rule 1
        self.reason = reason
        self._failed.setdefault(target, now)
        self.has_failed = True
        if not retry_after and not self._trips and len(self._failed) < DIFFERENT:
            return None
        if self.away_since is None:
            self.away_since = min(self._failed.values())
        pause = min(FIRST * 2.0 ** min(self._trips, _MOST_TRIPS), LONGEST) * (
            0.75 + self._rng() / 2
        )  # rule 2
        pause = max(pause, retry_after)  # rule 4
        self._trips += 1
        self._tripped_at = now
        self.retry_at = now + pause
        self._probe = None
        return pause
