"""The token buckets (aiolimiter) that stand in front of a lane's window.

All have the plan's rate, N requests in T seconds, and differ in how many tokens they hold:

1. **2N** in front of every lane. A server of N per T lets in ``N * (t / T + 2)`` requests at most in any t, so that
   this bucket never holds back what an honest one admits, and bounds what wrong headers or a wrong state can do.
2. **burst** where the plan asks for smaller bursts.
3. **1**, and a rate a little lower, after refusals that no header explains: the requests are spaced evenly.
4. **N / 10**, at least 5, for retries alone, so that an outage does not eat the window.

The lane asks `AsyncLimiter.has_capacity`, and takes the token of a request as it admits it: `AsyncLimiter.acquire`
does not wait for one that is there.
"""

from aiolimiter import AsyncLimiter

from fathom_async._ratelimit.plan import RateLimit
from fathom_async._util.clock import Clock

STRETCH = 1.02
"""How much farther apart than evenly requests are spaced (rule 3)."""

_GRAIN = 1e-6
_LEAST_RETRIES = 5


def guard(limit: RateLimit, clock: Clock) -> AsyncLimiter:
    return _bucket(limit, limit.burst or 2 * limit.requests, clock)


def pace(limit: RateLimit, together: int, clock: Clock) -> AsyncLimiter:
    """Return the bucket that spaces requests evenly, or lets a few go together (rule 3)."""
    slower = RateLimit(limit.requests, STRETCH * (limit.per + limit.pad))
    return _bucket(slower, together, clock)


def for_retries(limit: RateLimit, clock: Clock) -> AsyncLimiter:
    return _bucket(limit, max(_LEAST_RETRIES, limit.requests // 10), clock)


def delay(bucket: AsyncLimiter, clock: Clock, tokens: int = 1) -> float:
    """Return the seconds of the clock until so many tokens have been there, taken by nobody else."""
    missing = tokens - _tokens(bucket)
    return 0.0 if missing <= _GRAIN else missing * bucket.time_period / bucket.max_rate * clock.speed


def _bucket(limit: RateLimit, capacity: int, clock: Clock) -> AsyncLimiter:
    return AsyncLimiter(capacity, capacity * limit.per / limit.requests / clock.speed)


def _tokens(bucket: AsyncLimiter) -> float:
    """Return how many tokens there are; the limiter can be asked only whether it has so many."""
    low, high = 0.0, float(bucket.max_rate)
    if bucket.has_capacity(high):
        return high
    while high - low > _GRAIN:
        middle = (low + high) / 2
        low, high = (middle, high) if bucket.has_capacity(middle) else (low, middle)
    return low
