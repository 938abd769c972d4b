"""Errors: base classes and messages."""

import builtins

from fathom_async import (
    APIError,
    ArgumentError,
    ClosedError,
    ConnectError,
    DecodeError,
    FathomError,
    NotFoundError,
    PagingError,
    QueryError,
    RateLimitError,
    TimeoutError,  # noqa: A004 - ours is one
    ValidationError,
    WaitTooLongError,
)

URL = "https://api.usefathom.com/v1/sites"

ERRORS: list[FathomError] = [
    APIError(418, "teapot", None, "GET", URL),
    ValidationError(400, "", {"name": ["is required", "is odd"]}, "POST", URL),
    NotFoundError(404, "Site not found", None, "GET", URL),
    RateLimitError(429, "Too Many Attempts.", None, "GET", URL, 59.0),
    APIError(799, "strange", None, "GET", URL),
    ConnectError("broke", "GET", URL, True),
    TimeoutError("no answer within 30 s", "GET", URL, False),
    DecodeError("not JSON", "GET", URL, b"<html>"),
    WaitTooLongError("reports", 42.5, 2.0),
    QueryError("no"),
    ClosedError("closed"),
    PagingError("again"),
]


def test_errors_are_also_what_the_language_calls_them() -> None:
    assert issubclass(ConnectError, ConnectionError)
    assert issubclass(TimeoutError, builtins.TimeoutError)
    assert issubclass(ArgumentError, ValueError)
    assert issubclass(QueryError, ArgumentError)


def test_what_an_error_says() -> None:
    said = [str(error) for error in ERRORS]
    assert said[1] == f"400 Bad Request on POST {URL}: [name: is required is odd]"
    assert said[2] == f"404 Not Found on GET {URL}: Site not found"
    assert said[4] == f"799 on GET {URL}: strange"
    assert said[5] == f"broke (GET {URL})"
    assert (
        said[8]
        == "the reports lane is free in 42.5 s, later than max_wait=2 s; wait longer, or try again then"
    )
    assert str(DecodeError("not JSON")) == "not JSON"


def test_what_is_long_is_cut_in_messages_only() -> None:
    long = f"{URL}?filters={'x' * 10_000}"
    for error in (APIError(400, "no", None, "GET", long), ConnectError("broke", "GET", long, True)):
        assert len(str(error)) < 400
        assert error.url == long
    for wordy in (APIError(400, long, {long: [long]}, "GET", URL), DecodeError(long, "GET", URL)):
        assert len(str(wordy)) < 1200
        assert wordy.message == long
