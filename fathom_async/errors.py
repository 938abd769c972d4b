"""Every error this package raises, from the broadest to the narrowest, and its warning.

Errors keep their facts in ``args``, in the order of their parameters, so that they can be pickled and sent
to another process. None of them ever holds a header, and a server's words are kept without the API token, so that
none can show it.
"""

import builtins
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final, Self

SHORTEST_SECRET: Final = 8
"""Characters: what is shorter keeps nothing secret, and is a part of many words."""


class FathomError(Exception):
    """Base of all errors of this package."""


class ArgumentError(FathomError, ValueError):
    """An argument that the API would refuse, caught before a request is spent. Also a `ValueError`."""


class ConfigurationError(ArgumentError):
    """A base URL, budget or store that cannot be what it was named as: the operator's to mend, not the caller's."""


class QueryError(ArgumentError):
    """A report query that the server would refuse or silently get wrong. Also a `ValueError`."""


class UnsortedLimitWarning(UserWarning):
    """A report query whose ``limit`` keeps arbitrary rows of its groups, because nothing sorts them."""


class ClosedError(FathomError, RuntimeError):
    """The client was closed before, or while, this request was waiting."""


class WaitTooLongError(FathomError):
    """The lane cannot admit the request within ``max_wait``; raised at once, no request was spent.

    Args:
        lane: Name of the lane.
        eta: Seconds until the request could have been admitted, as far as is known now.
        max_wait: Seconds the caller was ready to wait.
        away: How the last request failed, where the server is away; else empty.
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
                "and when it will is not known; wait longer, or ask again"
            )
        return (
            f"the {self.lane} lane is free in {self.eta:.1f} s, later than max_wait={self.max_wait:g} s; "
            "wait longer, or ask again then"
        )


class BudgetError(FathomError):
    """The budget that is shared with other processes is out of reach, so no request can be admitted.

    `FathomClient(on_budget_lost=0.25)` carries on with a share of the limit instead.
    """


class DecodeError(FathomError):
    """The server answered with a success status and something else than the JSON that was expected.

    Args:
        message: What was wrong.
        method: HTTP method of the request.
        url: URL of the request.
        body: The first bytes of the answer.
    """

    def __init__(self, message: str, method: str = "", url: str = "", body: bytes = b"") -> None:
        super().__init__(message, method, url, body)
        self.message = message
        self.method = method
        self.url = url
        self.body = body

    def __str__(self) -> str:
        return f"{self.message} ({self.method} {self.url})" if self.url else self.message


class PagingError(FathomError):
    """The server's pages lead nowhere: going on would never end, or leave out objects."""


class APIError(FathomError):
    """The server answered with an error status.

    Args:
        status: HTTP status.
        message: The server's own words, or ours where it had none.
        errors: Messages keyed by field, of a validation error.
        method: HTTP method of the request.
        url: URL of the request.
        retry_after: Seconds to wait, where the server said so.
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

    def without(self, secret: str) -> Self:
        """Return the error with a secret replaced by ``***`` where the server's words repeat it."""
        if len(secret) < SHORTEST_SECRET:
            return self

        def hidden(text: str) -> str:
            return text.replace(secret, "***")

        fields = {field: tuple(map(hidden, texts)) for field, texts in self.errors.items()}
        return type(self)(self.status, hidden(self.message), fields, self.method, self.url, self.retry_after)

    def __str__(self) -> str:
        try:
            status = f"{self.status} {HTTPStatus(self.status).phrase}"
        except ValueError:
            status = str(self.status)
        fields = "; ".join(f"{field}: {' '.join(texts)}" for field, texts in self.errors.items())
        words = " ".join(part for part in (self.message, f"[{fields}]" if fields else "") if part)
        return f"{status} on {self.method} {self.url}{': ' if words else ''}{words}"


class AuthenticationError(APIError):
    """401: the token is missing, wrong or expired."""


class PermissionDeniedError(APIError):
    """403, or the 400 that says so: the token lacks the permission."""


class ValidationError(APIError):
    """400 or 422: the server refused the request's content; `errors` is keyed by field."""


class NotFoundError(APIError):
    """404: there is no such thing, or the token cannot see it."""


class GoneError(APIError):
    """410: the endpoint was retired; the message names what to use instead."""


class RateLimitError(APIError):
    """429: over the rate limit, and the lane gave up waiting."""


class ServerError(APIError):
    """5xx: the server failed, more often than we retry."""


class TransportError(FathomError):
    """No complete answer arrived.

    Args:
        message: What happened.
        method: HTTP method of the request.
        url: URL of the request.
        sent: Whether any of the request may have reached the server. False means that it certainly was not
            processed, so that even a ``POST`` may be tried again.
    """

    def __init__(self, message: str, method: str = "", url: str = "", sent: bool = True) -> None:
        super().__init__(message, method, url, sent)
        self.message = message
        self.method = method
        self.url = url
        self.sent = sent

    def __str__(self) -> str:
        return f"{self.message} ({self.method} {self.url})" if self.url else self.message


class ConnectError(TransportError, ConnectionError):
    """The connection could not be made, or broke. Also a `ConnectionError`."""


class TimeoutError(TransportError, builtins.TimeoutError):  # noqa: A001 - the builtin is one of its bases
    """The server did not answer in time. Also the builtin `TimeoutError`."""


class OutageError(TransportError):
    """The server was away for longer than a request waits for it; this one was not sent."""

    def __init__(self, message: str, method: str = "", url: str = "", sent: bool = False) -> None:
        super().__init__(message, method, url, sent)


class StoreError(FathomError):
    """A store of answers cannot be used: its disk is full, its server out of reach, its file damaged."""
