"""Errors: base classes, messages and pickling."""

import builtins
import pickle

import pytest

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


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_an_error_survives_the_way_to_another_process(error: FathomError) -> None:
    there = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert type(there) is type(error)
    assert str(there) == str(error)
    assert vars(there) == vars(error)


def test_an_error_does_not_repeat_a_secret_that_the_server_repeats() -> None:
    fields = {"token": ["Bearer very-secret is odd"]}
    error = ValidationError(400, "denied: very-secret", fields, "GET", URL, 2.0).without("very-secret")
    assert (
        str(error)
        == f"400 Bad Request on GET {URL}: denied: *** [token: Bearer *** is odd] (Retry-After: 2 s)"
    )
    assert "very-secret" not in repr(error)
    assert error.retry_after == 2.0
    assert str(APIError(418, "any", None, "GET", URL).without("any")).endswith("any"), "a word is no secret"


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
