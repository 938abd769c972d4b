"""Budgets that several processes share, in a file or in Redis."""

import sys
from hashlib import blake2b
from typing import Literal
from urllib.parse import unquote, urlsplit

from attrs import field, frozen

from fathom_async._ratelimit.plan import ACCOUNT, RateLimit, RatePlan
from fathom_async._ratelimit.shared.commands import CLASSIC, QuotaConfig, Sharing, hourly
from fathom_async._ratelimit.shared.failover import FailoverWindow
from fathom_async._ratelimit.shared.protocol import Store
from fathom_async._ratelimit.shared.window import SharedWindow
from fathom_async._util.clock import Clock
from fathom_async.errors import ConfigurationError

COUNT_DELAY = 5.0
"""Seconds after which the server has certainly counted a request that was sent."""

_TICKET_TTL = 1.0
_TOLD = ("crud", "reports")


@frozen
class Budget:
    """A budget that several processes share, at a URL as `FathomClient` takes it, under a hash of its key.

    When the store is out of reach for some seconds, requests ``"fail"`` with `BudgetError`, or carry on with a
    share of the limit.
    """

    url: str = field(repr=False)
    key: str = field(repr=False)
    on_lost: Literal["fail"] | float = "fail"

    def window(
        self,
        lane: str,
        limit: RateLimit,
        *,
        clock: Clock,
        timeout: float,
        reserve: int = 0,
        concurrency: int | None = None,
        is_given: bool = False,
    ) -> SharedWindow:
        """Return the window of one lane; the lane's name is a part of the key.

        The timeout is in real seconds, from a request's admission to its whole answer. A limit `is_given` if it is
        that of a plan that somebody named, which all processes must share.
        """
        span = limit.per + limit.pad
        lease = max(timeout * clock.speed, COUNT_DELAY) + span
        is_hourly = lane.partition(" ")[0] == ACCOUNT
        plan = (hourly(limit.requests, concurrency) if is_hourly else CLASSIC) if is_given else 0
        sharing = Sharing(limit, lease, reserve, COUNT_DELAY, concurrency, plan)
        classic = RatePlan.classic()
        others = (
            dict(zip(_TOLD, (classic.crud, classic.reports or classic.crud), strict=True)) if plan > 0 else {}
        )
        store, *tell = (self._store(*each, clock) for each in ((lane, limit), *others.items()))
        if self.on_lost == "fail":
            return SharedWindow(sharing, store, clock=clock, tell=tell)
        return FailoverWindow(
            sharing, store, max(1, int(limit.requests * self.on_lost)), clock=clock, tell=tell
        )

    def rekey(self, window: SharedWindow, lane: str) -> None:
        """Let the window of a lane, made by another budget, belong to this one."""
        window.rekey([_digest(self.key, each) for each in (lane, *_TOLD)])

    def _store(self, lane: str, limit: RateLimit, clock: Clock) -> Store:
        span, key = limit.per + limit.pad, _digest(self.key, lane)
        terms = QuotaConfig(
            requests=limit.requests,
            per=limit.per,
            span=span,
            settle=min(span / 4, COUNT_DELAY),
            ticket_ttl=_TICKET_TTL * clock.speed,
        )
        if not self.url.startswith("file:"):
            from fathom_async._ratelimit.shared.redis import RedisStore  # noqa: PLC0415 - an optional dependency

            return RedisStore(self.url, key, terms, speed=clock.speed)
        if sys.platform == "win32":
            raise ConfigurationError("a budget in a file needs a POSIX system: write redis://host:6379/0")
        from fathom_async._ratelimit.shared.file import FileStore  # noqa: PLC0415 - it needs fcntl

        return FileStore(unquote(urlsplit(self.url).path), key, terms, clock=clock)


def _digest(*parts: str) -> str:
    return blake2b("\n".join(parts).encode(), digest_size=16, person=b"fathom budget").hexdigest()
