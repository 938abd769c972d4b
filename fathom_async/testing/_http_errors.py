"""Error answers, in the words and shapes of the API."""

from collections.abc import Mapping, Sequence


class HttpError(Exception):
    """An error answer, for any code below an endpoint to raise."""

    def __init__(self, status: int, body: Mapping[str, object]) -> None:
        super().__init__(status, body)
        self.status = status
        self.body = body


def invalid(errors: Mapping[str, Sequence[str]]) -> HttpError:
    """Return a 400: some fields are invalid."""
    return HttpError(400, {"errors": {name: list(messages) for name, messages in errors.items()}})


def incompatible(field: str, message: str) -> HttpError:
    """Return a 422: the fields are valid, but not together."""
    return HttpError(422, {"errors": {field: [message]}})


def permission_denied() -> HttpError:
    """Return a 400: the token lacks an ability."""
    return HttpError(400, {"error": "This token doesn't have permission to access this endpoint"})


def not_found(what: str) -> HttpError:
    return HttpError(404, {"error": f"{what} not found"})


def gone(instead: str) -> HttpError:
    """Return a 410: the endpoint was retired."""
    return HttpError(410, {"error": f"This endpoint has been retired. {instead}"})
