"""The decision whether to retry: a pure function of the policy and the error.

1. A failure that may be the request's own, such as 500, uses up one of its **attempts**.
2. One that says that the server is away, no connection or a status such as 502, uses up **time** instead, where the
   lane has found an outage, or the caller does not mind to wait: which request of a job fails first is chance.
3. An answer to a read that is no JSON is tried again **twice**: a proxy's page passes, a login page stays.
4. Only what may be sent twice is tried again, unless it certainly was not processed.
"""

import math
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from attrs import field, frozen

from fathom_async._ratelimit.breaker import LONGEST
from fathom_async._util import checks
from fathom_async.errors import (
    APIError,
    ArgumentError,
    DecodeError,
    FathomError,
    NetworkSettingsError,
    OutageError,
    RateLimitError,
    TransportError,
)

TRANSIENT: Final = frozenset({408, 425, 500, 502, 503, 504, *range(520, 525), 529, 530})
"""The default of `RetryPolicy.statuses`."""
_AWAY = frozenset({502, 503, 521, 522, 523, 529, 530})
_ERRORS = range(400, 600)


def _statuses(given: Iterable[int]) -> frozenset[int]:
    try:
        statuses = frozenset(given)  # of an iterator, once
    except TypeError:
        raise ArgumentError(f"statuses must be a set of numbers from 400 to 599, not {given!r}") from None
    for status in statuses:
        if status not in _ERRORS:
            raise ArgumentError(f"statuses must be numbers from 400 to 599, not {status!r}")
    return statuses


def _in_order(statuses: frozenset[int]) -> str:
    return f"{{{', '.join(map(str, sorted(statuses)))}}}"


@frozen
class RetryPolicy:
    """How often a request is retried, and after how long.

    Reads and deletions are retried. Other writes are, only if they certainly were not processed: when they were
    refused, or found no connection.

    Args:
        attempts: Total attempts when the network or the server fails; 1 for no retries. Where the lane found an
            outage, and for requests of `Priority.BULK` while the server answers nothing, `outage` bounds the attempts
            that find no connection, or are answered by 502, 503, 521 to 523, 529 or 530, unless this is 1.
        refusals: How often a request may be refused for exceeding a limit. The lane avoids refusals, but other
            clients of the account may cause some.
        base: Longest first back-off, in seconds; it doubles with every attempt.
        cap: Longest back-off, in seconds.
        outage: Seconds that a request gives a server, from its first failure on; there is no further attempt after
            that, nor if ``Retry-After`` is longer. One that waited until then, because the server is away, fails with
            `OutageError`. Ten minutes outlast most restarts and deployments.
        longest_pause: Longest ``Retry-After`` that is believed, in seconds; that of a 429 is believed for a whole
            window in any case. Five minutes, since some proxies send an hour whatever the fault.
        statuses: HTTP statuses that are tried again. By default those by which a server or a proxy before it says
            that it cannot answer now: 408, 425, 500, 502 to 504, 520 to 524, 529 and 530. 429 always is.
        garbled: How often a read is tried again when its answer is no JSON, such as a web page or half an answer.
    """

    attempts: int = 4
    refusals: int = 20
    base: float = 0.5
    cap: float = 8.0
    outage: float = 600.0
    longest_pause: float = 300.0
    statuses: frozenset[int] = field(default=TRANSIENT, converter=_statuses, repr=_in_order)
    garbled: int = 2

    def __attrs_post_init__(self) -> None:
        for name, least in (("attempts", 1), ("refusals", 0), ("garbled", 0)):
            checks.count(name, getattr(self, name), least=least)
        for name in ("base", "cap", "outage", "longest_pause"):
            checks.seconds(name, getattr(self, name), least=0)


def believed(policy: RetryPolicy, retry_after: float | None, window: float = 0.0) -> float | None:
    """Return how many of the seconds of ``Retry-After`` to stay away; None if there are none.

    `window` is that of the limit for which the server refused the request, in seconds.
    """
    return None if retry_after is None else min(retry_after, max(policy.longest_pause, window))


def next_delay(
    policy: RetryPolicy,
    error: FathomError,
    *,
    idempotent: bool,
    failures: int,
    refusals: int,
    jitter: float,
    failing_for: float = 0.0,
    away_for: float | None = None,
) -> float | None:
    """Return the seconds to wait before the next attempt, or None to give up; 0 after a refusal: the lane waits.

    The counts include this attempt, and refusals are no failures. `jitter` is a random number in [0, 1), which
    spreads out retries of requests that failed together. `failing_for` counts seconds since the first failure, and
    `away_for` those that the server has been away, if rule 2 applies.
    """
    if isinstance(error, RateLimitError):
        return 0.0 if refusals <= policy.refusals else None
    if not _is_transient(policy, error, idempotent, failures) or policy.attempts == 1:
        return None
    is_away = away_for is not None and says_away(error)
    if not is_away and failures >= policy.attempts:
        return None
    asked = (error.retry_after or 0.0) if isinstance(error, APIError) else 0.0
    asked = min(asked, policy.longest_pause)
    since = max(failing_for, (away_for or 0.0) if is_away else 0.0)
    if asked > policy.outage or (since and since + asked >= policy.outage):
        return None  # the server stays away for longer than the caller waits
    if failures < policy.attempts:
        return asked + jitter * min(policy.cap, math.ldexp(policy.base, failures - 1))
    pause = (0.75 + jitter / 2) * max(policy.cap, LONGEST)  # as rarely as a breaker probes
    return min(asked + pause, policy.outage - since)


def says_away(error: FathomError) -> bool:
    """Whether the error is about the server, rather than about the request."""
    if isinstance(error, TransportError):
        return not error.sent
    return isinstance(error, APIError) and error.status in _AWAY


def was_perhaps_done(error: FathomError) -> bool:
    """Whether the server may have carried out the request in spite of the error."""
    if isinstance(error, TransportError):
        return error.sent
    return isinstance(error, APIError) and (
        error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.status == HTTPStatus.REQUEST_TIMEOUT
    )


def _is_transient(policy: RetryPolicy, error: FathomError, idempotent: bool, failures: int) -> bool:
    if isinstance(error, TransportError):  # rule 4
        return (idempotent or not error.sent) and not isinstance(error, OutageError | NetworkSettingsError)
    if isinstance(error, DecodeError):  # rule 3
        return error.is_garbled and failures <= policy.garbled
    return idempotent and isinstance(error, APIError) and error.status in policy.statuses
