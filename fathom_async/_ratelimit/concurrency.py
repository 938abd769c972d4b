"""How many requests may be in flight at once, as learned from a server that caps it without saying how.

1. A refusal lowers the cap to the crowd that the server did let in.
2. After `CALM` without one, one more at once is tried; once that many were in flight and answered, and after another
   `CALM`, one more again.
3. Where that was too early, the calm is twice as long from then on, `LONGEST_CALM` at the most.
4. A cap that is known, or that every plan includes, is never gone beyond: where it is the true one, each try would be
   refused. So an account that may have more at once than its learned plan includes has to name its plan.
"""

from collections import deque

CALM, LONGEST_CALM = 60.0, 960.0
"""Seconds without a refusal after which one more request in flight is tried: at first, and at the most."""

CAP_SIZE = 3
"""How many numbers a learned cap needs."""

_CAP, _SINCE, _CALM = range(CAP_SIZE)
_REMEMBERED = 100


class LearnedCap:
    """The cap that refusals taught, kept in `CAP_SIZE` numbers, all zeros when new."""

    __slots__ = ("_numbers",)

    def __init__(self, numbers: "list[float] | memoryview[float] | None" = None) -> None:
        self._numbers = [0.0] * CAP_SIZE if numbers is None else numbers

    def now(self, now: float) -> int:
        """Return the cap; 0 where nothing was learned."""
        cap, since, calm = self._numbers
        return int(cap) + (now - since >= calm) if cap else 0  # rule 2

    def proved(self, in_flight: int, now: float) -> None:
        """A request was answered beside which so many were in flight, itself included."""
        numbers = self._numbers
        if 0 < numbers[_CAP] < in_flight and now - numbers[_SINCE] >= numbers[_CALM]:
            numbers[_CAP] += 1
            numbers[_SINCE] = now

    def lower(self, let_in: int, now: float) -> None:
        """A server that had let so many in refused one more."""
        numbers, cap = self._numbers, self.now(now)
        if cap and let_in >= cap:
            return
        if cap > numbers[_CAP] > 0:
            numbers[_CALM] = min(2 * numbers[_CALM], LONGEST_CALM)  # rule 3
        numbers[_CALM] = numbers[_CALM] or CALM
        numbers[_CAP], numbers[_SINCE] = max(1, let_in), now  # rule 1


class Concurrency:
    """The cap on requests in flight, known or, if smaller, taught by refusals; and how long they usually are."""

    __slots__ = ("_learned", "_rejected", "at_most", "is_lowered", "usual_time")

    def __init__(self, at_most: int) -> None:
        self.at_most: int = at_most
        self.is_lowered: bool = False
        self.usual_time: float = 0.0
        self._learned = LearnedCap()
        self._rejected: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)

    def cap(self, now: float) -> int:
        """Return how many requests may be in flight at once."""
        cap = min(self.at_most, self._learned.now(now) or self.at_most)
        self.is_lowered = cap < self.at_most
        return cap

    def let_in(self, sent_at: float, beside: int, in_flight: int, now: float) -> int:
        """Return how many the server had let in when it rejected a request because too many were in flight.

        Of those that were in flight `beside` it when it was sent, some may have been rejected too; of those in
        flight now, some may have been answered before the refusal arrived.
        """
        rejected = sum(sent <= sent_at < heard for sent, heard in self._rejected)
        self._rejected.append((sent_at, now))
        return max(1, in_flight, beside - rejected)

    def lower(self, let_in: int, now: float) -> None:
        """Lower the cap to as many as the server had let in (rule 1)."""
        self._learned.lower(min(let_in, self.cap(now)), now)
        self.is_lowered = True

    def proved(self, in_flight: int, now: float) -> None:
        self._learned.proved(in_flight, now)

    def delay(self, in_flight: int, now: float, shared_cap: int = 0) -> float:
        """Estimate the seconds until fewer requests than the cap are in flight.

        The processes of a shared window learn a cap together; it is 0 where they learned none.
        """
        cap = min(self.cap(now), shared_cap or self.at_most)
        return max(0.0, (in_flight + 1 - cap) / cap * self.usual_time)
