"""Answers that are errors, in the words and shapes of the API."""

from collections.abc import Mapping, Sequence

ErrorBody = Mapping[str, object]


class Problem(Exception):  # noqa: N818 - the name of the HTTP notion
    """An error answer, raised anywhere below an endpoint.

    Args:
        status: The HTTP status.
        body: The JSON body.
    """

    def __init__(self, status: int, body: ErrorBody) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


def invalid(errors: Mapping[str, Sequence[str]]) -> Problem:
    """400: fields that break a rule."""
    return Problem(400, {"errors": {name: list(messages) for name, messages in errors.items()}})


def incompatible(field: str, message: str) -> Problem:
    """422: fields that are right each by itself but do not go together."""
    return Problem(422, {"errors": {field: [message]}})


def permission_denied() -> Problem:
    """400: the token is good but not for this."""
    return Problem(400, {"error": "This token doesn't have permission to access this endpoint"})


def unauthenticated() -> Problem:
    """401: no token, or one that nobody knows."""
    return Problem(401, {"message": "Unauthenticated."})


def not_found(what: str) -> Problem:
    """404: no such object."""
    return Problem(404, {"error": f"{what} not found"})


def gone(instead: str) -> Problem:
    """410: a retired endpoint."""
    return Problem(410, {"error": f"This endpoint has been retired. {instead}"})
