"""Rate limits that Fathom does not have, but other servers do."""

import math

from attrs import define, field
from attrs.validators import gt, optional

from fathom_async.testing._throttle import Limit

# Unix time as a float is exact to a quarter of a microsecond; that must not cost a token that is due now.
_ROUNDING = 1e-5


@define
class AlignedWindow(Limit):
    """A fixed window on the clock's boundaries: it restarts at every multiple of `per`."""

    _index: int = field(default=-1, init=False)
    _used: int = field(default=0, init=False)

    def _count(self, now: float) -> float | None:
        if not self.remaining(now):
            return (self._index + 1) * self.per - now
        self._used += 1
        return None

    def remaining(self, now: float) -> int:
        index = math.floor(now / self.per)
        if index != self._index:
            self._index, self._used = index, 0
        return self.limit - self._used

    def optimum(self, n: int, start: float = 0.0) -> float:
        windows = self.full_windows(n)
        return (math.floor(start / self.per) + windows) * self.per - start if windows else 0.0


@define
class TokenBucket(Limit):
    """A bucket of `burst` tokens, refilled evenly with `limit` tokens per `per` seconds (GCRA).

    Attributes:
        burst: Capacity of the bucket; `limit` by default.
    """

    burst: int | None = field(default=None, validator=optional(gt(0)))
    _full_at: float = field(default=-math.inf, init=False)

    @property
    def capacity(self) -> int:
        """Requests that a full bucket allows at once."""
        return self.limit if self.burst is None else self.burst

    def _missing(self, now: float) -> float:
        return max(self._full_at - now, 0.0) * self.limit / self.per

    def _count(self, now: float) -> float | None:
        excess = self._missing(now) + 1 - self.capacity
        if excess > _ROUNDING:
            return excess * self.per / self.limit
        self._full_at = max(self._full_at, now) + self.per / self.limit
        return None

    def remaining(self, now: float) -> int:
        return max(0, math.floor(self.capacity - self._missing(now) + _ROUNDING))

    def optimum(self, n: int, start: float = 0.0) -> float:
        del start
        return max(0, n - self.capacity) * self.per / self.limit
