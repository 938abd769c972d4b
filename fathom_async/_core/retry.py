"""The decision after a failed attempt: a pure function, and the policy that it reads."""

import math
from http import HTTPStatus

from attrs import field, frozen, validators

from fathom_async.errors import APIError, FathomError, RateLimitError, TransportError

_PASSING = frozenset(
    {
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)


@frozen
class RetryPolicy:
    """How often and how patiently a request is tried again.

    Args:
        attempts: Attempts in all when the network or the server fails; 1 for never again.
        refusals: How often a request may be refused for going over a limit. The lane keeps refusals from
            happening; others who spend the same budget may cause some.
        base: Seconds of the longest first back-off; it doubles with every attempt.
        cap: Seconds of the longest back-off.
    """

    attempts: int = field(default=4, validator=validators.ge(1))
    refusals: int = field(default=20, validator=validators.ge(0))
    base: float = field(default=0.5, validator=validators.ge(0))
    cap: float = field(default=8.0, validator=validators.ge(0))


def next_delay(
    policy: RetryPolicy, error: FathomError, *, idempotent: bool, failures: int, refusals: int, jitter: float
) -> float | None:
    """Decide whether to try again.

    Args:
        policy: The policy.
        error: What the last attempt ended with.
        idempotent: Whether sending the request twice does the same as sending it once.
        failures: Failed attempts so far, this one included, refusals not.
        refusals: Refused attempts so far, this one included.
        jitter: A random number in [0, 1), which spreads out those who failed together.

    Returns:
        Seconds to wait before the next attempt, or None to give up. After a refusal it is 0: the lane does the
        waiting.
    """
    if isinstance(error, RateLimitError):
        return 0.0 if refusals <= policy.refusals else None
    if not _may_pass(error, idempotent) or failures >= policy.attempts:
        return None
    backoff = jitter * min(policy.cap, math.ldexp(policy.base, failures - 1))
    asked = (error.retry_after or 0.0) if isinstance(error, APIError) else 0.0
    return asked + backoff


def was_perhaps_done(error: FathomError) -> bool:
    """Whether the server may have carried out the request, though it did not say so."""
    if isinstance(error, TransportError):
        return error.sent
    return isinstance(error, APIError) and (
        error.status >= HTTPStatus.INTERNAL_SERVER_ERROR or error.status == HTTPStatus.REQUEST_TIMEOUT
    )


def _may_pass(error: FathomError, idempotent: bool) -> bool:
    if isinstance(error, TransportError):
        return idempotent or not error.sent
    return idempotent and isinstance(error, APIError) and error.status in _PASSING
