"""How many requests may be in flight at once, as learned from a server that caps it without saying how."""

PATIENCE = 600.0
"""Seconds without a refusal after which one more request at once is tried than was last refused."""


class Concurrency:
    """The cap on requests in flight, and how long they usually are.

    Args:
        at_most: The cap that is known; it is never gone beyond.

    Attributes:
        cap: Requests in flight at once now.
        usual_time: Seconds from sending to the answer, as a moving average.
    """

    __slots__ = ("_at_most", "_refused_at", "cap", "usual_time")

    def __init__(self, at_most: int) -> None:
        self.cap = self._at_most = at_most
        self.usual_time = 0.0
        self._refused_at = 0.0

    def refused(self, in_flight: int, now: float) -> None:
        """The server refused one more beside so many."""
        self.cap = min(self.cap, in_flight)
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
