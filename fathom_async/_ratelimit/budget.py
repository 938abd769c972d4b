"""Where the budget lives: in this process, in a file, or in Redis."""

import math
import sys
from hashlib import blake2b
from typing import Literal
from urllib.parse import unquote, urlsplit

from attrs import field, frozen

from fathom_async._ratelimit.plan import RateLimit
from fathom_async._ratelimit.shared.commands import QuotaConfig
from fathom_async._ratelimit.shared.failover import FailoverWindow
from fathom_async._ratelimit.shared.protocol import Store
from fathom_async._ratelimit.shared.window import SharedWindow
from fathom_async._util.clock import Clock
from fathom_async.errors import ConfigurationError

COUNT_DELAY = 5.0
"""Seconds after which a request that was sent has been counted by the server for certain."""

_ADVICE = (
    "write file:///path/to/budget for the processes of one machine, or redis://host:6379/0 for those of many"
)
_TICKET_TTL = 1.0


@frozen
class Budget:
    """A budget that several processes share.

    Args:
        url: ``file:///path`` or ``redis://host:port/db`` (``rediss://`` over TLS).
        key: Which budget it is of those that live there. Only a hash of it is written down.
        on_lost: What to do when the place is out of reach for some seconds: ``"fail"`` with `BudgetError`, or
            carry on with this share of the limit, such as 0.25 when four processes share it.

    Raises:
        ConfigurationError: The URL is none of these, or the share is not within 0 and 1.
    """

    url: str = field(repr=False)
    key: str = field(repr=False)
    on_lost: Literal["fail"] | float = "fail"

    def __attrs_post_init__(self) -> None:
        _scheme(self.url)
        if self.on_lost != "fail" and not (
            isinstance(self.on_lost, (int, float)) and math.isfinite(self.on_lost) and 0 < self.on_lost <= 1
        ):
            raise ConfigurationError(
                f'on_budget_lost must be "fail" or a share of the limit such as 0.25, not {self.on_lost!r}'
            )

    def window(
        self,
        lane: str,
        limit: RateLimit,
        *,
        clock: Clock,
        timeout: float,
        reserve: int = 0,
        concurrency: int | None = None,
    ) -> SharedWindow | FailoverWindow:
        """Return the window of one lane.

        Args:
            lane: The lane's name, a part of the key.
            limit: What the server admits.
            clock: Where time comes from.
            timeout: Real seconds from a request's admission to its whole answer.
            reserve: Requests of every window left to the account's other clients.
            concurrency: Requests in flight at once, of all processes together; None for any number.

        Raises:
            ConfigurationError: The place cannot be used.
        """
        span = limit.per + limit.pad
        terms = QuotaConfig(
            requests=limit.requests,
            per=limit.per,
            span=span,
            settle=min(span / 4, COUNT_DELAY),
            ticket_ttl=_TICKET_TTL * clock.speed,
        )
        store = self._store(_digest(self.key, lane), terms, clock)
        shared = SharedWindow(
            limit,
            store,
            clock=clock,
            lease=max(timeout * clock.speed, COUNT_DELAY) + span,
            reserve=reserve,
            count_delay=COUNT_DELAY,
            concurrency=concurrency,
        )
        if self.on_lost == "fail":
            return shared
        share = max(1, int(limit.requests * self.on_lost))
        return FailoverWindow(
            shared, limit, share, store=store, clock=clock, reserve=reserve, count_delay=COUNT_DELAY
        )

    def _store(self, key: str, terms: QuotaConfig, clock: Clock) -> Store:
        if _scheme(self.url) != "file":
            from fathom_async._ratelimit.shared.redis import RedisStore  # noqa: PLC0415 - an optional dependency

            return RedisStore(self.url, key, terms, speed=clock.speed)
        if sys.platform == "win32":
            raise ConfigurationError("a budget in a file needs a POSIX system: write redis://host:6379/0")
        from fathom_async._ratelimit.shared.file import FileStore  # noqa: PLC0415 - it needs fcntl

        return FileStore(unquote(urlsplit(self.url).path), key, terms, clock=clock)


def _digest(*parts: str) -> str:
    return blake2b("\n".join(parts).encode(), digest_size=16, person=b"fathom budget").hexdigest()


def _scheme(url: str) -> str:
    """Return the scheme of a budget's URL.

    Raises:
        ConfigurationError: It is none that can be used. The message does not show the URL, which may hold a password.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except (ValueError, AttributeError, TypeError):
        raise ConfigurationError(f"the budget is not a URL: {_ADVICE}") from None
    if parts.scheme == "file":
        if parts.netloc not in {"", "localhost"} or not parts.path.strip("/") or parts.path.endswith("/"):
            raise ConfigurationError(f"the budget's URL names no file of this machine: {_ADVICE}")
        if not parts.path.startswith("/") or "\0" in unquote(parts.path):
            raise ConfigurationError(f"the budget's URL must have the file's whole path: {_ADVICE}")
        if parts.query or parts.fragment:
            raise ConfigurationError(f"the budget's URL must have no query or fragment: {_ADVICE}")
    elif parts.scheme in {"redis", "rediss"}:
        if not parts.hostname:
            raise ConfigurationError(f"the budget's URL names no host: {_ADVICE}")
    else:
        raise ConfigurationError(f"the budget is not a URL of a kind known here: {_ADVICE}")
    return str(parts.scheme)
