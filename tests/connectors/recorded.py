"""A transport that sends nothing: it records requests and answers with samples."""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus

from fathom_async._core.request import Request, Response


class Recorder:
    """Answers every request with the same sample.

    Args:
        sample: The answer's body, as JSON text or as an object.
        status: Its status.
    """

    def __init__(self, sample: object = None, status: int = HTTPStatus.OK) -> None:
        self.requests: list[Request[object]] = []
        self._body = sample if isinstance(sample, str) else json.dumps(sample)
        self._status = status

    @property
    def last(self) -> tuple[str, str, Mapping[str, object], object]:
        """Method, path, parameters and body of the last request."""
        request = self.requests[-1]
        return request.method, request.path, request.params, request.body

    async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:
        del within
        sent()
        self.requests.append(request)
        return Response(self._status, {}, self._body.encode())

    def url(self, request: Request[object]) -> str:
        return f"https://service.test{request.target}"

    async def close(self) -> None:
        pass
