"""The server's rate limits, as pure state machines.

Every method takes the time as an argument, in the server's unix seconds. So tests run an hour of traffic in
microseconds, and the whole-second behaviour of real servers stays exact.

`optimum` returns how long a perfect client needs: the benchmarks measure against it.
"""

import math
from abc import ABC, abstractmethod
from collections import deque
from typing import Literal, Protocol

from attrs import define, field, frozen
from attrs.validators import gt, optional


@frozen
class Verdict:
    """A throttle's answer to one request.

    Attributes:
        allowed: Whether the request was allowed, and counted.
        limit: The value of `X-RateLimit-Limit`.
        remaining: Requests left after this one.
        retry_after: The value of `Retry-After`, in whole seconds; 0 if allowed.
    """

    allowed: bool
    limit: int
    remaining: int
    retry_after: int = 0


class Throttle(Protocol):
    """A rate limit of `limit` requests per `per` seconds."""

    @property
    def limit(self) -> int:
        """Requests per window."""
        ...

    @property
    def per(self) -> float:
        """Length of the window in seconds."""
        ...

    def hit(self, now: float) -> Verdict:
        """Count one request, or refuse it."""
        ...

    def remaining(self, now: float) -> int:
        """Return the number of requests that would be allowed now."""
        ...

    def optimum(self, n: int, start: float = 0.0) -> float:
        """Return the seconds from the first to the last of `n` requests of a perfect client.

        Args:
            n: Number of requests.
            start: Server time of the first one; it matters for windows that follow the calendar.
        """
        ...


@define
class _Limit(ABC):
    """A throttle whose subclasses say how they count, how many are left, and what a perfect client takes."""

    limit: int = field(validator=gt(0))
    per: float = field(validator=gt(0))

    def hit(self, now: float) -> Verdict:
        wait = self._count(now)
        if wait is None:
            return Verdict(allowed=True, limit=self.limit, remaining=self.remaining(now))
        return Verdict(allowed=False, limit=self.limit, remaining=0, retry_after=math.ceil(wait))

    @abstractmethod
    def remaining(self, now: float) -> int:
        """Return the number of requests that would be allowed now."""

    def optimum(self, n: int, start: float = 0.0) -> float:
        del start
        return self._full_windows(n) * self.per

    @abstractmethod
    def _count(self, now: float) -> float | None:
        """Count one request, or return the seconds until one more is allowed."""

    def _full_windows(self, n: int) -> int:
        return max(0, n - 1) // self.limit


@define
class LaravelWindow(_Limit):
    """Laravel's own throttle: a fixed window that opens with its first hit.

    Refused hits are not counted and do not prolong the window. `Retry-After` is computed from whole seconds, so with
    an exact store a client that sleeps exactly that long may be refused once more, with `Retry-After: 0`.

    Attributes:
        store: `exact` expires to the millisecond, like Redis; `floor` at a whole second, like the file and database
            stores.
    """

    store: Literal["exact", "floor"] = "exact"
    _used: int = field(default=0, init=False)
    _expires: float = field(default=-math.inf, init=False)
    _reset: float = field(default=-math.inf, init=False)

    def _is_open(self, now: float) -> bool:
        return (math.floor(now) if self.store == "floor" else now) < self._expires

    def _count(self, now: float) -> float | None:
        if not self._is_open(now):
            self._used = 0
            self._reset = math.floor(now) + self.per
            self._expires = self._reset if self.store == "floor" else now + self.per
        if self._used >= self.limit:
            return max(0, math.floor(self._reset - math.floor(now)))
        self._used += 1
        return None

    def remaining(self, now: float) -> int:
        return self.limit - self._used if self._is_open(now) else self.limit

    def optimum(self, n: int, start: float = 0.0) -> float:
        windows = self._full_windows(n)
        early = start - math.floor(start) if self.store == "floor" and windows else 0.0
        return windows * self.per - early


@define
class AlignedWindow(_Limit):
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
        windows = self._full_windows(n)
        return (math.floor(start / self.per) + windows) * self.per - start if windows else 0.0


@define
class SlidingLog(_Limit):
    """At most `limit` requests in any window of `per` seconds, wherever it starts."""

    _times: deque[float] = field(factory=deque[float], init=False)

    def _count(self, now: float) -> float | None:
        if not self.remaining(now):
            return self._times[0] + self.per - now
        self._times.append(now)
        return None

    def remaining(self, now: float) -> int:
        while self._times and self._times[0] + self.per <= now:
            self._times.popleft()
        return self.limit - len(self._times)


@define
class TokenBucket(_Limit):
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


@define
class ConcurrencyCap:
    """At most `limit` requests in flight."""

    limit: int = field(validator=gt(0))
    in_flight: int = field(default=0, init=False)

    def enter(self) -> bool:
        if self.in_flight >= self.limit:
            return False
        self.in_flight += 1
        return True

    def leave(self) -> None:
        self.in_flight -= 1


# Unix time as a float is exact to a quarter of a microsecond; that must not cost a token that is due now.
_ROUNDING = 1e-5
