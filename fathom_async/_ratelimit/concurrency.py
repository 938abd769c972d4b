"""How many requests may be in flight at once, as learned from a server that caps it without saying how."""

from collections import deque

PATIENCE = 600.0
"""Seconds without a refusal after which one more request at once is tried than was last refused."""

_REMEMBERED = 100


class Concurrency:
    """The cap on requests in flight, and how long they usually are.

    Args:
        at_most: The cap that is known; it is never gone beyond.

    Attributes:
        cap: Requests in flight at once now.
        usual_time: Seconds from sending to the answer, as a moving average.
    """

    __slots__ = ("_at_most", "_refused_at", "_turned_away", "cap", "usual_time")

    def __init__(self, at_most: int) -> None:
        self.cap = self._at_most = at_most
        self.usual_time = 0.0
        self._refused_at = 0.0
        self._turned_away: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)

    def refused(self, sent_at: float, beside: int, in_flight: int, now: float) -> None:
        """The server refused a request for the crowd that it met.

        Args:
            sent_at: When it was sent.
            beside: How many were in flight then: some of them may have been turned away too, and been no part of the
                crowd.
            in_flight: How many are in flight now: the crowd may have gone home before the refusal arrived.
            now: When that was heard.
        """
        turned_away = sum(sent <= sent_at < heard for sent, heard in self._turned_away)
        self._turned_away.append((sent_at, now))
        self.cap = min(self.cap, max(in_flight, beside - turned_away))
        self._refused_at = now

    def answered(self, sent_at: float | None, now: float) -> None:
        """An answer arrived, to a request sent then."""
        if sent_at is not None:
            self.usual_time += (now - sent_at - self.usual_time) / 8
        if self.cap < self._at_most and now - self._refused_at >= PATIENCE:
            self.cap += 1
            self._refused_at = now

    def delay(self, in_flight: int) -> float:
        """Return the seconds until so many in flight have become fewer than the cap, about."""
        return max(0.0, (in_flight + 1 - self.cap) / self.cap * self.usual_time)
