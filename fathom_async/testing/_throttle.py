"""The server's rate limiters, as pure state machines.

A throttle never looks at a clock: every method is told the time, in the server's unix seconds. That makes an
hour of traffic testable in microseconds, and keeps the whole-second behaviour of real servers exact.

`optimum` answers how long a perfect client would need: the benchmarks measure against it.
"""

import math
from collections import deque
from typing import Literal, Protocol

from attrs import define, field, frozen
from attrs.validators import gt, optional


@frozen
class Verdict:
    """What a throttle said about one request.

    Attributes:
        allowed: Whether the request was let in (and counted).
        limit: The value of `X-RateLimit-Limit`.
        remaining: Requests left right after this one.
        retry_after: Whole seconds that a refused client is told to wait; 0 when allowed.
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
        """Requests that would still be let in at this moment."""
        ...

    def optimum(self, n: int, start: float = 0.0) -> float:
        """Seconds from the first to the last of `n` requests, if the client were perfect.

        Args:
            n: Number of requests.
            start: Server time of the first one. It matters where windows follow the calendar.
        """
        ...


@define
class LaravelWindow:
    """The stock Laravel throttle: a fixed window that opens with its first hit.

    Refused hits are not counted and do not prolong the window. `Retry-After` is computed from whole seconds,
    so with an exact store a client that sleeps exactly that long may be refused once more, with `Retry-After:
    0`.

    Attributes:
        limit: Requests per window.
        per: Length of the window in seconds.
        store: `exact` expires like Redis, to the millisecond; `floor` like the file and database stores, at a
            whole second.
    """

    limit: int = field(validator=gt(0))
    per: float = field(validator=gt(0))
    store: Literal["exact", "floor"] = "exact"
    _count: int = field(default=0, init=False)
    _expires: float = field(default=-math.inf, init=False)
    _reset: float = field(default=-math.inf, init=False)

    def _is_open(self, now: float) -> bool:
        return (math.floor(now) if self.store == "floor" else now) < self._expires

    def hit(self, now: float) -> Verdict:
        """Count one request, or refuse it."""
        if not self._is_open(now):
            self._count = 0
            self._reset = math.floor(now) + self.per
            self._expires = self._reset if self.store == "floor" else now + self.per
        if self._count >= self.limit:
            wait = max(0, math.floor(self._reset - math.floor(now)))
            return Verdict(allowed=False, limit=self.limit, remaining=0, retry_after=wait)
        self._count += 1
        return Verdict(allowed=True, limit=self.limit, remaining=self.limit - self._count)

    def remaining(self, now: float) -> int:
        """Requests that would still be let in at this moment."""
        return self.limit - self._count if self._is_open(now) else self.limit

    def optimum(self, n: int, start: float = 0.0) -> float:
        """Seconds from the first to the last of `n` requests, if the client were perfect."""
        windows = _full_windows(n, self.limit)
        early = start - math.floor(start) if self.store == "floor" and windows else 0.0
        return windows * self.per - early


@define
class AlignedWindow:
    """A fixed window on the clock's own boundaries: it starts anew at every multiple of `per`.

    Attributes:
        limit: Requests per window.
        per: Length of the window in seconds.
    """

    limit: int = field(validator=gt(0))
    per: float = field(validator=gt(0))
    _index: int = field(default=-1, init=False)
    _count: int = field(default=0, init=False)

    def _roll(self, now: float) -> None:
        index = math.floor(now / self.per)
        if index != self._index:
            self._index, self._count = index, 0

    def hit(self, now: float) -> Verdict:
        """Count one request, or refuse it."""
        self._roll(now)
        if self._count >= self.limit:
            wait = math.ceil((self._index + 1) * self.per - now)
            return Verdict(allowed=False, limit=self.limit, remaining=0, retry_after=wait)
        self._count += 1
        return Verdict(allowed=True, limit=self.limit, remaining=self.limit - self._count)

    def remaining(self, now: float) -> int:
        """Requests that would still be let in at this moment."""
        self._roll(now)
        return self.limit - self._count

    def optimum(self, n: int, start: float = 0.0) -> float:
        """Seconds from the first to the last of `n` requests, if the client were perfect."""
        windows = _full_windows(n, self.limit)
        return (math.floor(start / self.per) + windows) * self.per - start if windows else 0.0


@define
class SlidingLog:
    """At most `limit` requests in any window of `per` seconds, wherever it starts.

    Attributes:
        limit: Requests per window.
        per: Length of the window in seconds.
    """

    limit: int = field(validator=gt(0))
    per: float = field(validator=gt(0))
    _times: deque[float] = field(factory=deque[float], init=False)

    def _forget(self, now: float) -> None:
        while self._times and self._times[0] + self.per <= now:
            self._times.popleft()

    def hit(self, now: float) -> Verdict:
        """Count one request, or refuse it."""
        self._forget(now)
        if len(self._times) >= self.limit:
            wait = math.ceil(self._times[0] + self.per - now)
            return Verdict(allowed=False, limit=self.limit, remaining=0, retry_after=wait)
        self._times.append(now)
        return Verdict(allowed=True, limit=self.limit, remaining=self.limit - len(self._times))

    def remaining(self, now: float) -> int:
        """Requests that would still be let in at this moment."""
        self._forget(now)
        return self.limit - len(self._times)

    def optimum(self, n: int, start: float = 0.0) -> float:
        """Seconds from the first to the last of `n` requests, if the client were perfect."""
        del start
        return _full_windows(n, self.limit) * self.per


@define
class TokenBucket:
    """A bucket of `burst` tokens, refilled evenly with `limit` tokens per `per` seconds (GCRA).

    Attributes:
        limit: Tokens that flow in per `per` seconds.
        per: Seconds for `limit` tokens.
        burst: Capacity of the bucket; `limit` unless told.
    """

    limit: int = field(validator=gt(0))
    per: float = field(validator=gt(0))
    burst: int | None = field(default=None, validator=optional(gt(0)))
    _full_at: float = field(default=-math.inf, init=False)

    @property
    def capacity(self) -> int:
        """Requests that a full bucket lets in at once."""
        return self.limit if self.burst is None else self.burst

    def _missing(self, now: float) -> float:
        return max(self._full_at - now, 0.0) * self.limit / self.per

    def hit(self, now: float) -> Verdict:
        """Count one request, or refuse it."""
        excess = self._missing(now) + 1 - self.capacity
        if excess > _ROUNDING:
            wait = math.ceil(excess * self.per / self.limit)
            return Verdict(allowed=False, limit=self.limit, remaining=0, retry_after=wait)
        self._full_at = max(self._full_at, now) + self.per / self.limit
        return Verdict(allowed=True, limit=self.limit, remaining=self.remaining(now))

    def remaining(self, now: float) -> int:
        """Requests that would still be let in at this moment."""
        return max(0, math.floor(self.capacity - self._missing(now) + _ROUNDING))

    def optimum(self, n: int, start: float = 0.0) -> float:
        """Seconds from the first to the last of `n` requests, if the client were perfect."""
        del start
        return max(0, n - self.capacity) * self.per / self.limit


@define
class ConcurrencyCap:
    """At most `limit` requests in flight.

    Attributes:
        limit: Requests at once.
        in_flight: Requests being handled now.
    """

    limit: int = field(validator=gt(0))
    in_flight: int = field(default=0, init=False)

    def enter(self) -> bool:
        """Take a place; `False` when there is none."""
        if self.in_flight >= self.limit:
            return False
        self.in_flight += 1
        return True

    def leave(self) -> None:
        """Give the place back."""
        self.in_flight -= 1


# Unix time as a float is exact to a quarter of a microsecond; a token that is due now must not be lost to
# that.
_ROUNDING = 1e-5


def _full_windows(n: int, limit: int) -> int:
    return max(0, n - 1) // limit
