"""What an answer's headers say about the rate limit."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from fathom_async._util.values import fast_frozen


@fast_frozen
class Feedback:
    """The rate-limit headers of one answer, None where absent or unreadable.

    Attributes:
        limit: ``X-RateLimit-Limit``: requests the server admits in one window.
        remaining: ``X-RateLimit-Remaining``: how many of them it would still admit.
        retry_after: ``Retry-After`` in seconds.
    """

    limit: int | None = None
    remaining: int | None = None
    retry_after: float | None = None


_LONGEST_WAIT_DIGITS = 5
"""A server that says to wait a day or more is not to be taken at its word."""

SILENT = Feedback()


def read_feedback(headers: Mapping[str, str]) -> Feedback:
    """Read the rate-limit headers out of a case-insensitive mapping."""
    limit = headers.get("X-RateLimit-Limit")
    retry_after = headers.get("Retry-After")
    if limit is None and retry_after is None:
        return SILENT
    return Feedback(
        _whole(limit),
        _whole(headers.get("X-RateLimit-Remaining")),
        None if retry_after is None else _seconds(retry_after, headers.get("Date")),
    )


def _whole(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def _seconds(text: str, date: str | None) -> float | None:
    """Read ``Retry-After``: whole seconds, or a date, which the server's own ``Date`` is subtracted from."""
    if text.isdecimal():
        return float(text) if len(text) <= _LONGEST_WAIT_DIGITS else None
    if date is None:
        return None
    try:
        return max(0.0, (parsedate_to_datetime(text) - parsedate_to_datetime(date)).total_seconds())
    except (TypeError, ValueError):
        return None
