"""The decision whether to retry: a pure function of the policy and the error.

1. A failure that may be the request's own, such as 500, uses up one of its **attempts**.
2. One that says that the server is away, no connection or 502 or 503, uses up **time** instead, where the lane has
   found an outage, or the caller does not mind to wait: which request of a job fails first is chance.
"""

import math
from http import HTTPStatus

from attrs import field, frozen, validators

from fathom_async._ratelimit.breaker import LONGEST
from fathom_async.errors import (
    APIError,
    FathomError,
    NetworkSettingsError,
    OutageError,
    RateLimitError,
    TransportError,
)

_TRANSIENT = frozenset(
    {
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_AWAY = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE})


@frozen
class RetryPolicy:
    """How often a request is retried, and after how long.

    Args:
        attempts: Total attempts when the network or the server fails; 1 for no retries. Where the lane found an
            outage, and for requests of `Priority.BULK` while the server answers nothing, `outage` bounds the attempts
            that find no connection, or are answered by 502 or 503, unless this is 1.
        refusals: How often a request may be refused for exceeding a limit. The lane avoids refusals, but other
            clients of the account may cause some.
        base: Longest first back-off, in seconds; it doubles with every attempt.
        cap: Longest back-off, in seconds.
        outage: Seconds that a request gives a server that is away. One that waited until then fails with
            `OutageError`, one that was tried with its last error. After a failure with a longer ``Retry-After``,
            there is no further attempt.
        longest_pause: Longest ``Retry-After`` that is believed, in seconds; that of a 429 is believed for a whole
            window in any case.
    """

    attempts: int = field(default=4, validator=validators.ge(1))
    refusals: int = field(default=20, validator=validators.ge(0))
    base: float = field(default=0.5, validator=validators.ge(0))
    cap: float = field(default=8.0, validator=validators.ge(0))
    outage: float = field(default=600.0, validator=validators.ge(0))
    longest_pause: float = field(default=300.0, validator=validators.ge(0))


def believed(policy: RetryPolicy, retry_after: float | None, window: float = 0.0) -> float | None:
    """Return for how long to stay away of what ``Retry-After`` says.

    Args:
        policy: The policy.
        retry_after: Seconds; None when it says nothing.
        window: Seconds of the window, where the server refused the request.
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
    away_for: float | None = None,
) -> float | None:
    """Decide whether to try again.

    Args:
        policy: The policy.
        error: The error of the last attempt.
        idempotent: See `Request.idempotent`.
        failures: Failed attempts so far, including this one but no refusals.
        refusals: Refused attempts so far, including this one.
        jitter: A random number in [0, 1), which spreads out retries of requests that failed together.
        away_for: Seconds that the server has been away, if rule 2 applies.

    Returns:
        Seconds to wait before the next attempt, or None to give up. 0 after a refusal, because the lane waits.
    """
    if isinstance(error, RateLimitError):
        return 0.0 if refusals <= policy.refusals else None
    if not _is_transient(error, idempotent) or policy.attempts == 1:
        return None
    is_away = away_for is not None and says_away(error)
    if not is_away and failures >= policy.attempts:
        return None
    asked = (error.retry_after or 0.0) if isinstance(error, APIError) else 0.0
    asked = min(asked, policy.longest_pause)
    if asked > policy.outage or (is_away and (away_for or 0.0) + asked >= policy.outage):
        return None  # the server stays away for longer than the caller waits
    if failures < policy.attempts:
        return asked + jitter * min(policy.cap, math.ldexp(policy.base, failures - 1))
    return asked + (0.75 + jitter / 2) * max(policy.cap, LONGEST)  # as rarely as a breaker probes


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


def _is_transient(error: FathomError, idempotent: bool) -> bool:
    if isinstance(error, TransportError):
        return (idempotent or not error.sent) and not isinstance(error, OutageError | NetworkSettingsError)
    return idempotent and isinstance(error, APIError) and error.status in _TRANSIENT
