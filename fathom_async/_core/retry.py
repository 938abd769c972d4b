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
        outage: Seconds that a waiting request gives a server that is away before it fails with `OutageError`.
        longest_pause: Seconds for which a ``Retry-After`` of a 5xx is believed at the most; that of a 429 is believed
            for a whole window besides.
    """

    attempts: int = field(default=4, validator=validators.ge(1))
    refusals: int = field(default=20, validator=validators.ge(0))
    base: float = field(default=0.5, validator=validators.ge(0))
    cap: float = field(default=8.0, validator=validators.ge(0))
    outage: float = field(default=600.0, validator=validators.ge(0))
    longest_pause: float = field(default=300.0, validator=validators.ge(0))


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
    return jitter * min(policy.cap, math.ldexp(policy.base, failures - 1))


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
