"""What answers teach about the server's limits: their headers, and a cap on requests in flight that none names."""

from collections import deque
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from attrs import Factory, define, field

from fathom_async._util.values import fast_frozen

PATIENCE = 600.0
"""Seconds without a refusal after which the cap on requests in flight rises by one."""

_REMEMBERED = 100
_LONGEST_WAIT_DIGITS = 5  # a wait of a day or more is not believed


@fast_frozen
class Feedback:
    """The rate-limit headers of one answer, None where absent or unreadable.

    Attributes:
        limit: ``X-RateLimit-Limit``: requests the server admits in one window.
        remaining: ``X-RateLimit-Remaining``: how many of them it would still admit.
        retry_after: ``Retry-After`` in seconds.
    """

    limit: int | None = None
    remaining: int | None = None
    retry_after: float | None = None


SILENT = Feedback()


def read_feedback(headers: Mapping[str, str]) -> Feedback:
    """Read the rate-limit headers out of a case-insensitive mapping."""
    limit = headers.get("X-RateLimit-Limit")
    retry_after = headers.get("Retry-After")
    if limit is None and retry_after is None:
        return SILENT
    return Feedback(
        _whole(limit),
        _whole(headers.get("X-RateLimit-Remaining")),
        None if retry_after is None else _seconds(retry_after, headers.get("Date")),
    )


def _whole(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def _seconds(text: str, date: str | None) -> float | None:
    """Read ``Retry-After``: whole seconds, or a date, which the server's own ``Date`` is subtracted from."""
    if text.isdecimal():
        return float(text) if len(text) <= _LONGEST_WAIT_DIGITS else None
    if date is None:
        return None
    try:
        return max(0.0, (parsedate_to_datetime(text) - parsedate_to_datetime(date)).total_seconds())
    except (TypeError, ValueError):
        return None


@define(eq=False)
class Concurrency:
    """The cap on requests in flight, as learned from refusals, and how long a request usually takes.

    Attributes:
        cap: Requests in flight at once now; it never exceeds its first value, the known cap.
        usual_time: Seconds from sending to the answer, as a moving average.
    """

    cap: int
    usual_time: float = 0.0
    _known_cap: int = field(init=False, default=Factory(lambda self: self.cap, takes_self=True))
    _refused_at: float = field(init=False, default=0.0)
    _rejected: deque[tuple[float, float]] = field(init=False, factory=lambda: deque(maxlen=_REMEMBERED))

    def refused(self, sent_at: float, beside: int, in_flight: int, now: float) -> None:
        """Lower the cap: the server rejected a request because too many were in flight.

        Args:
            sent_at: When it was sent.
            beside: How many were in flight then. Those of them that were rejected too are subtracted.
            in_flight: How many are in flight now. Some may have been answered before the refusal arrived.
            now: When the refusal arrived.
        """
        rejected = sum(sent <= sent_at < heard for sent, heard in self._rejected)
        self._rejected.append((sent_at, now))
        self.cap = min(self.cap, max(in_flight, beside - rejected))
        self._refused_at = now

    def answered(self, sent_at: float | None, now: float) -> None:
        """Note an answer, and when its request was sent; raise the cap by one after `PATIENCE` without a refusal."""
        if sent_at is not None:
            self.usual_time += (now - sent_at - self.usual_time) / 8
        if self.cap < self._known_cap and now - self._refused_at >= PATIENCE:
            self.cap += 1
            self._refused_at = now

    def delay(self, in_flight: int) -> float:
        """Estimate the seconds until fewer requests than the cap are in flight."""
        return max(0.0, (in_flight + 1 - self.cap) / self.cap * self.usual_time)
