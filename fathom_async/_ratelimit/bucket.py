"""A token bucket (aiolimiter), for plans whose burst is smaller than the limit."""

from aiolimiter import AsyncLimiter
from attrs import define

from fathom_async._ratelimit.plan import RateLimit
from fathom_async._util.clock import Clock

_GRAIN = 1e-6


@define(eq=False)
class Bucket:
    """Tokens that return evenly; each request takes one.

    Attributes:
        limiter: Counts the tokens, in seconds of the event loop.
        interval: Seconds of the lane's clock until a token returns.
    """

    _limiter: AsyncLimiter
    _interval: float

    @classmethod
    def of(cls, limit: RateLimit, clock: Clock) -> "Bucket | None":
        """Return the bucket of a limit; None if a burst may be as large as the limit."""
        if limit.burst is None:
            return None
        interval = limit.per / limit.requests
        return cls(AsyncLimiter(limit.burst, limit.burst * interval / clock.speed), interval)

    def delay(self, tokens: int = 1) -> float:
        """Return the seconds until this many tokens are available, if nothing else takes any."""
        missing = tokens - self._left()
        return 0.0 if missing <= _GRAIN else missing * self._interval

    def take(self) -> bool:
        """Take a token if one is available."""
        if not self._limiter.has_capacity():
            return False
        taking = self._limiter.acquire()
        try:
            taking.send(None)  # with capacity, it ends without waiting
        except StopIteration:
            return True
        taking.close()
        return False

    def _left(self) -> float:
        """Return the number of tokens by bisection: the limiter only tells whether it has this many."""
        low, high = 0.0, float(self._limiter.max_rate)
        while high - low > _GRAIN:
            middle = (low + high) / 2
            low, high = (middle, high) if self._limiter.has_capacity(middle) else (low, middle)
        return low
