"""From error answers to typed errors. The status decides, since the body's words may change at any time."""

from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import cast

import msgspec

from fathom_async._core.codec.objects import read_mapping
from fathom_async._core.request import Response
from fathom_async._util.text import one_line
from fathom_async.errors import (
    APIError,
    AuthenticationError,
    DecodeError,
    GoneError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    ValidationError,
)

_BY_STATUS: Mapping[int, type[APIError]] = {
    HTTPStatus.BAD_REQUEST: ValidationError,
    HTTPStatus.UNAUTHORIZED: AuthenticationError,
    HTTPStatus.FORBIDDEN: PermissionDeniedError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.GONE: GoneError,
    HTTPStatus.UNPROCESSABLE_ENTITY: ValidationError,
    HTTPStatus.TOO_MANY_REQUESTS: RateLimitError,
}
_MESSAGE_KEYS = ("errors", "error", "message", "detail")
"""Keys under which servers put their error messages."""

_SHOWN = 200
"""The most characters of a body without such keys that a message shows."""


def read_error(
    response: Response, method: str, url: str, hint: str = "", retry_after: float | None = None
) -> APIError:
    """Return the typed error for an answer that is not a success.

    `hint` ends the message of a 404, and of a 410 (see `Request.retired_hint`); `retry_after` is in seconds.
    """
    raw = read_mapping(response.body)
    try:
        fields, message = _field_errors(raw), _words(raw) or _plain_words(response)
    except RecursionError:
        fields, message = dict[str, tuple[str, ...]](), ""
    kind = _BY_STATUS.get(response.status, APIError)
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = ServerError
    elif response.status == HTTPStatus.BAD_REQUEST and not fields and "permission" in message.lower():
        kind = PermissionDeniedError
    elif response.status in {HTTPStatus.GONE, HTTPStatus.NOT_FOUND} and hint:
        message = f"{message.rstrip('.')}. {hint}" if message else hint
    elif response.status == HTTPStatus.NOT_MODIFIED:
        message = (
            "the answer refers to a stored one that nobody asked to compare: is there a cache on the way?"
        )
    elif HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST:
        message = "the server redirects, which is not followed: are the credentials and the base URL right?"
    return kind(response.status, message, fields, method, url, retry_after)


def partial_answer() -> DecodeError:
    """Return the error of a part of an answer, which may be JSON, as the beginning of a number is."""
    return DecodeError("the server sent only a part of the answer (206), which was not asked for")


def _words(raw: Mapping[str, object]) -> str:
    """Return the server's own message, which is a string or a list of strings."""
    said = [raw[key] for key in _MESSAGE_KEYS if raw.get(key)]
    texts = [each for each in said if isinstance(each, str)]
    lists = ["; ".join(_texts(each)) for each in said if _is_list(each)]
    return next(iter(texts + lists), "")


def _plain_words(response: Response) -> str:
    """Return the beginning of a body that is a text, a JSON string or a list of them; nothing of a web page."""
    text = response.body.decode("utf-8", "replace").strip()
    if text.startswith(('"', "[")):
        with suppress(msgspec.DecodeError):
            said = msgspec.json.decode(response.body, type=str | list[str])
            text = (said if isinstance(said, str) else "; ".join(said)).strip()
    is_text = text[:1] not in "<{[" and "<html" not in text.lower()
    return one_line(text[: 2 * _SHOWN])[:_SHOWN].strip() if is_text else ""


def _field_errors(raw: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """Return messages by field: an object in place of a message, or the whole body if it has no message."""
    for key in _MESSAGE_KEYS:
        if isinstance(found := raw.get(key), dict):
            return {name: _texts(texts) for name, texts in cast("dict[str, object]", found).items()}
    if raw.keys().isdisjoint(_MESSAGE_KEYS):
        return {name: _texts(found) for name, found in raw.items() if _is_list(found)}
    return {}


def _is_list(found: object) -> bool:
    return isinstance(found, list)


def _texts(found: object) -> tuple[str, ...]:
    return tuple(map(str, cast("list[object]", found))) if isinstance(found, list) else (str(found),)
