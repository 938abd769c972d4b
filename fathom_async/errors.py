"""All errors and warnings of this package, from the broadest to the narrowest.

Errors keep their parameters in ``args``, in order, so that they can be pickled and sent to another process. None
contains a header; credentials are removed from the server's words first.
"""

import builtins
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

_LONGEST_URL: Final = 300
_LONGEST_WORDS: Final = 1000
"""Characters of a URL, and of a server's words, that a message shows; attributes have all of them."""


class FathomError(Exception):
    """Base of all errors of this package."""


class ArgumentError(FathomError, ValueError):
    """The API would reject an argument; no request was sent. Also a `ValueError`."""


class ConfigurationError(ArgumentError):
    """A base URL, budget or store is invalid: for the operator to fix, not the caller."""


class QueryError(ArgumentError):
    """The server would reject a query, or answer it wrongly without saying so. Also a `ValueError`."""


class UnsortedLimitWarning(UserWarning):
    """A query has a ``limit`` but no ``sort_by``: the report has arbitrary groups."""


class ClosedError(FathomError, RuntimeError):
    """The client was closed before or while the request waited."""


class WaitTooLongError(FathomError):
    """The lane cannot admit the request within ``max_wait``; raised at once, without sending it.

    Args:
        lane: Name of the lane.
        eta: Estimated seconds until the request could have been admitted.
        max_wait: The longest wait allowed, in seconds.
        away: How the last request failed, if the server is away; otherwise empty.
    """

    def __init__(self, lane: str, eta: float, max_wait: float, away: str = "") -> None:
        super().__init__(lane, eta, max_wait, away)
        self.away = away
        self.lane = lane
        self.eta = eta
        self.max_wait = max_wait

    def __str__(self) -> str:
        if self.away:
            return f"the server is away, trying again in {self.eta:.0f} s ({self.away})"
        if self.eta <= self.max_wait:
            return (
                f"the {self.lane} lane did not admit the request within max_wait={self.max_wait:g} s, "
                "and it is not known when it will; wait longer, or try again"
            )
        return (
            f"the {self.lane} lane is free in {self.eta:.1f} s, later than max_wait={self.max_wait:g} s; "
            "wait longer, or try again then"
        )


class BudgetError(FathomError):
    """The shared budget is unreachable, and no request can be admitted.

    `FathomClient(on_budget_lost=0.25)` continues with a share of the limit instead.
    """


class _LocatedError(FathomError):
    """An error of one request: a message, a method, a URL, and one fact more."""

    def __init__(self, message: str, method: str, url: str, fact: object) -> None:
        super().__init__(message, method, url, fact)
        self.message = message
        self.method = method
        self.url = url

    def __str__(self) -> str:
        message = _cut(self.message, _LONGEST_WORDS)
        return f"{message} ({self.method} {_cut(self.url, _LONGEST_URL)})" if self.url else message


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


class DecodeError(_LocatedError):
    """The server answered with a success status, but not with the expected JSON.

    Args:
        message: What was wrong.
        method: HTTP method of the request.
        url: URL of the request.
        body: The first bytes of the answer.

    Attributes:
        is_garbled: Whether a read was answered by something else than JSON, or by a part of it; another attempt may
            help.
    """

    is_garbled: bool = False

    def __init__(self, message: str, method: str = "", url: str = "", body: bytes = b"") -> None:
        super().__init__(message, method, url, body)
        self.body = body


class PagingError(FathomError):
    """The pages of a list are inconsistent: following them would never end, or skip objects."""


class APIError(FathomError):
    """The server answered with an error status.

    Args:
        status: HTTP status.
        message: The server's words, or a default.
        errors: Messages of a validation error by field.
        method: HTTP method of the request.
        url: URL of the request.
        retry_after: Seconds to wait, if the server named them.
    """

    def __init__(  # noqa: PLR0917 - positional, so that `args` rebuilds it
        self,
        status: int,
        message: str,
        errors: Mapping[str, Sequence[str]] | None = None,
        method: str = "",
        url: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(status, message, errors, method, url, retry_after)
        self.status = status
        self.message = message
        self.errors: dict[str, tuple[str, ...]] = {k: tuple(v) for k, v in (errors or {}).items()}
        self.method = method
        self.url = url
        self.retry_after = retry_after

    def __str__(self) -> str:
        try:
            status = f"{self.status} {HTTPStatus(self.status).phrase}"
        except ValueError:
            status = str(self.status)
        fields = "; ".join(f"{field}: {' '.join(texts)}" for field, texts in self.errors.items())
        pause = "" if self.retry_after is None else f"(Retry-After: {self.retry_after:g} s)"
        words = " ".join(part for part in (self.message, f"[{fields}]" if fields else "") if part)
        place = f"{status} on {self.method} {_cut(self.url, _LONGEST_URL)}"
        words = " ".join(part for part in (_cut(words, _LONGEST_WORDS), pause) if part)
        return f"{place}: {words}" if words else place


class AuthenticationError(APIError):
    """401: the token is missing, wrong or expired."""


class PermissionDeniedError(APIError):
    """403, or a 400 with the same meaning: the token lacks the permission."""


class ValidationError(APIError):
    """400 or 422: the server rejected the request's content; `errors` has messages by field."""


class NotFoundError(APIError):
    """404: the object does not exist, or the token cannot see it."""


class GoneError(APIError):
    """410: the endpoint was retired; the message names a replacement."""


class RateLimitError(APIError):
    """429: the rate limit was exceeded more often than `RetryPolicy.refusals` allows."""


class ServerError(APIError):
    """5xx: the server failed more often than `RetryPolicy.attempts` allows."""


class TransportError(_LocatedError):
    """No complete answer arrived.

    Args:
        message: What happened.
        method: HTTP method of the request.
        url: URL of the request.
        sent: Whether any part of the request may have reached the server. If False, it certainly was not
            processed, and even a ``POST`` may be retried.
    """

    def __init__(self, message: str, method: str = "", url: str = "", sent: bool = True) -> None:
        super().__init__(message, method, url, sent)
        self.sent = sent


class ConnectError(TransportError, ConnectionError):
    """The connection could not be made, or broke. Also a `ConnectionError`."""


class NetworkSettingsError(ConnectError, ConfigurationError):
    """A proxy, a certificate or a host needs another setting, named in the message. Not retried."""


class TimeoutError(TransportError, builtins.TimeoutError):  # noqa: A001 - the builtin is one of its bases
    """The server did not answer in time. Also the builtin `TimeoutError`."""


class OutageError(TransportError):
    """The server was away longer than `RetryPolicy.outage`; this request was not sent."""

    def __init__(self, message: str, method: str = "", url: str = "", sent: bool = False) -> None:
        super().__init__(message, method, url, sent)


class WorkerTokenError(FathomError):
    """The server rejected a worker's token. The worker takes no tasks of the account for now; others may.

    Args:
        account: Name of the account, as the worker's `connect` takes it.
        host: The worker's machine.
        pid: Number of its process.
        reason: The server's message.
    """

    def __init__(self, account: str, host: str, pid: int, reason: str) -> None:
        super().__init__(account, host, pid, reason)
        self.account = account
        self.host = host
        self.pid = pid
        self.reason = reason

    def __str__(self) -> str:
        named = f"of the account {self.account!r} " if self.account else ""
        return (
            f"the server rejects the token {named}that the worker {self.host}:{self.pid} has: {self.reason}"
        )


class StoreError(FathomError):
    """A store of answers cannot be used: its disk is full, its server unreachable or its file damaged."""
