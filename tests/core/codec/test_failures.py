"""Error answers to typed errors."""

import pytest

from fathom_async import (
    APIError,
    AuthenticationError,
    GoneError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
    ValidationError,
)
from fathom_async._core.codec.failures import read_error
from fathom_async._core.request import Response


def error_of(
    status: int, body: bytes = b"{}", retired_hint: str = "", retry_after: float | None = None
) -> APIError:
    return read_error(Response(status, {}, body), "GET", "https://host/x", retired_hint, retry_after)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"errors":{"name":["required"]}}', ValidationError),
        (
            400,
            b'{"error":"This token doesn\'t have permission to access this endpoint"}',
            PermissionDeniedError,
        ),
        (400, b'{"error":"something else"}', ValidationError),
        (400, b'{"errors":{"sharing":["no permission for that"]}}', ValidationError),
        (401, b"", AuthenticationError),
        (403, b"{}", PermissionDeniedError),
        (404, b"<html>", NotFoundError),
        (410, b"{}", GoneError),
        (422, b"{}", ValidationError),
        (429, b'{"message":"Too Many Attempts."}', RateLimitError),
        (500, b"", ServerError),
        (599, b"", ServerError),
        (418, b"", APIError),
        (302, b"", APIError),
    ],
)
def test_statuses_decide(status: int, body: bytes, kind: type[APIError]) -> None:
    error = error_of(status, body)
    assert type(error) is kind
    assert (error.status, error.method, error.url) == (status, "GET", "https://host/x")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":"a"}', "a"),
        (b'{"message":"b"}', "b"),
        (b'{"error":"a","message":"b"}', "a"),
        (b'{"error":{"nested":1}}', ""),
        (b'{"errors":["a","b"]}', "a; b"),
        (b'{"errors":["a"],"message":"b"}', "b"),
        (b'{"detail":["c"]}', "c"),
        (b'{"errors":"d"}', "d"),
        (b'{"error":"","detail":"e"}', "e"),
        (b"nonsense", "nonsense"),
    ],
)
def test_the_servers_words_are_passed_on(body: bytes, message: str) -> None:
    assert error_of(404, body).message == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"Rate Limit Exceeded\n", "Rate Limit Exceeded"),
        (b'"no such event type"', "no such event type"),
        ('"кот\\u200b"'.encode(), r"кот\u200b"),
        (b"\xff\x00 broken", "\ufffd\\x00 broken"),
        (b"word " * 100, ("word " * 40).strip()),
        (b"x" * 300, "x" * 200),
        (b" \n <!DOCTYPE html><p>words", ""),
        (b'"<b>words</b>"', ""),
        (b"oops <HTML>words", ""),
        (b'["a plan has ten", "no"]', "a plan has ten; no"),
        (b'["<b>words</b>"]', ""),
        (b"[1]", ""),
        (b"[]", ""),
        (b"", ""),
    ],
)
def test_words_outside_of_json_objects_are_passed_on(body: bytes, message: str) -> None:
    assert error_of(404, body).message == message


def test_field_errors_may_be_a_text_or_a_list() -> None:
    assert error_of(422, b'{"errors":{"a":["x","y"],"b":"z"}}').errors == {"a": ("x", "y"), "b": ("z",)}


@pytest.mark.parametrize(
    "body",
    [
        b'{"errors":{"title":["required"]}}',
        b'{"detail":{"title":["required"]}}',
        b'{"error":{"title":"required"}}',
        b'{"title":["required"],"status":400}',
    ],
)
def test_field_errors_are_found_wherever_the_service_puts_them(body: bytes) -> None:
    error = error_of(400, body)
    assert error.errors == {"title": ("required",)}
    assert "[title: required]" in str(error)


def test_a_list_beside_words_is_no_field() -> None:
    assert error_of(400, b'{"message":"no","trace":["a"]}').errors == {}


def test_a_redirect_blames_no_particular_kind_of_credentials() -> None:
    assert "are the credentials and the base URL right?" in error_of(302).message


def test_a_retired_endpoint_names_its_successor() -> None:
    gone = error_of(410, b'{"message":"Retired."}', retired_hint="Use the other.")
    assert gone.message == "Retired. Use the other."
    assert error_of(410, b"", retired_hint="Use the other.").message == "Use the other."


def test_retry_after_is_kept() -> None:
    assert error_of(503, retry_after=7).retry_after == 7
