"""Replies to visitors when the client fails: a status and a message without secrets.

The reply to a `BulkError` or an exception group is that of its worst error; temporary errors rank lowest, and the
longest wait ranks first among them. A WebSocket closes with 1013 (try again later) or 1011 (internal error), and the
same message as the reason. Replies contain neither the server's message nor the token; the log has the message only,
and counts as errors what the operator has to fix.
"""

import logging
import math
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final, cast

from attrs import frozen
from fastapi import FastAPI, WebSocket
from fastapi.requests import HTTPConnection
from fastapi.responses import JSONResponse

from fathom_async import errors
from fathom_async._bulk.complete import InconsistentError
from fathom_async._bulk.results import BulkError

_log = logging.getLogger("fathom_async")

_RATE_WINDOW: Final = 60
"""Seconds until a retry if the server gives none."""
_REPAIR: Final = 5
_RESTART: Final = 1

_INTERNAL_ERROR: Final = 1011
_TRY_AGAIN_LATER: Final = 1013
_LONGEST_REASON: Final = 120
"""Most characters to send of a WebSocket's close reason, which is limited to 123 bytes."""


@frozen
class Reply:
    """The reply to a visitor.

    Attributes:
        status: The HTTP status.
        detail: The message to the visitor.
        retry_after: Whole seconds of the ``Retry-After`` header; None for no header.
        is_ours: Whether the operator of the application has to fix it.
    """

    status: HTTPStatus
    detail: str
    retry_after: int | None = None
    is_ours: bool = False


_BUSY = "Waiting for Fathom's rate limit."
_UNAVAILABLE = "Analytics are temporarily unavailable."
_UPSTREAM = "The analytics service returned an error."
_MISCONFIGURED = "Analytics are misconfigured."


def reply_to(error: errors.FathomError) -> Reply:
    """Return the reply to an error."""
    if isinstance(error, BulkError):
        failures = [outcome.error for outcome in error.outcomes if outcome.error is not None]
        return _worst([reply_to(failure) for failure in failures])
    return _reply(error)


def install_error_handlers(app: FastAPI) -> None:
    """Handle errors of this package that a route raises, and groups of them, with `reply_to`.

    The body has the form of FastAPI's own errors: ``{"detail": "..."}``.
    """

    async def answer(connection: HTTPConnection, error: Exception) -> JSONResponse | None:
        reply = reply_to(cast("errors.FathomError", error))
        _note(connection, error, reply)
        return await _tell(connection, reply)

    async def answer_group(connection: HTTPConnection, group: Exception) -> JSONResponse | None:
        failures = [*_leaves(cast("ExceptionGroup[Exception]", group))]
        ours = [failure for failure in failures if isinstance(failure, errors.FathomError)]
        if len(ours) < len(failures):
            raise group
        reply = _worst([reply_to(failure) for failure in ours])
        for failure in ours:
            _note(connection, failure, reply)
        return await _tell(connection, reply)

    # For a WebSocket route, Starlette calls the handler with the WebSocket and expects no response.
    app.add_exception_handler(errors.FathomError, answer)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    app.add_exception_handler(ExceptionGroup, answer_group)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def _reply(error: errors.FathomError) -> Reply:  # noqa: PLR0911 - one return a kind
    match error:
        case errors.WaitTooLongError():
            wait = error.eta if error.eta > error.max_wait else _REPAIR
            return Reply(HTTPStatus.SERVICE_UNAVAILABLE, _BUSY, _whole(wait))
        case errors.RateLimitError():
            return Reply(HTTPStatus.SERVICE_UNAVAILABLE, _BUSY, _whole(error.retry_after or _RATE_WINDOW))
        case errors.BudgetError() | errors.StoreError():
            return Reply(HTTPStatus.SERVICE_UNAVAILABLE, _UNAVAILABLE, _REPAIR, is_ours=True)
        case errors.ClosedError():
            return Reply(HTTPStatus.SERVICE_UNAVAILABLE, _UNAVAILABLE, _RESTART)
        case errors.ArgumentError() if not isinstance(error, errors.ConfigurationError):
            return Reply(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        case errors.NotFoundError():
            return Reply(HTTPStatus.NOT_FOUND, "There is no such site or object.")
        case errors.TimeoutError():
            return Reply(HTTPStatus.GATEWAY_TIMEOUT, _UPSTREAM)
        case (
            errors.AuthenticationError()
            | errors.PermissionDeniedError()
            | errors.GoneError()
            | errors.ValidationError()
        ):
            return Reply(HTTPStatus.BAD_GATEWAY, _MISCONFIGURED, is_ours=True)
        case (
            errors.TransportError()
            | errors.ServerError()
            | errors.DecodeError()
            | errors.PagingError()
            | InconsistentError()
        ):
            return Reply(HTTPStatus.BAD_GATEWAY, _UPSTREAM)
        case _:
            return Reply(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal Server Error", is_ours=True)


def _worst(replies: list[Reply]) -> Reply:
    return max(replies, key=lambda reply: (reply.retry_after is None, reply.retry_after or 0, reply.status))


def _whole(seconds: float) -> int:
    """Round up to whole seconds for ``Retry-After``, at least 1."""
    return max(1, math.ceil(seconds)) if math.isfinite(seconds) else _RATE_WINDOW


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(cast("BaseExceptionGroup[BaseException]", error))
        else:
            yield error


def _note(connection: HTTPConnection, error: Exception, reply: Reply) -> None:
    if reply.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return
    _log.log(
        logging.ERROR if reply.is_ours else logging.WARNING,
        "replied to %s %s with %d: %s: %s",
        connection.scope.get("method", "WebSocket"),
        connection.url.path,
        reply.status,
        type(error).__name__,
        error,
    )


async def _tell(connection: HTTPConnection, reply: Reply) -> JSONResponse | None:
    if isinstance(connection, WebSocket):
        code = _INTERNAL_ERROR if reply.retry_after is None else _TRY_AGAIN_LATER
        await connection.close(code, reply.detail[:_LONGEST_REASON])
        return None
    headers = None if reply.retry_after is None else {"Retry-After": str(reply.retry_after)}
    return JSONResponse({"detail": reply.detail}, reply.status, headers)
