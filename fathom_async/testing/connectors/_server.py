"""Common parts of the other services' servers: settings, and answers in each service's own words."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from json import JSONDecodeError
from typing import cast

from aiohttp import web
from attrs import define

from fathom_async.testing._http_errors import HttpError
from fathom_async.testing._listening import CommonOptions, ListeningServer
from fathom_async.testing._middleware import Conditions, Middleware
from fathom_async.testing._throttle import Throttle
from fathom_async.testing._tokens import Tokens
from fathom_async.testing._traffic import Hit

# As nginx logs it: the client closed the connection before the answer.
_CLIENT_LEFT = 499


@define(kw_only=True)
class ServiceMiddleware(Middleware):
    """Fathom's middleware in front of another service.

    Attributes:
        reword: Turns one of Fathom's answers into the service's own.
    """

    reword: Callable[[web.StreamResponse], web.StreamResponse]

    def _unauthenticated(self, request: web.Request) -> web.Response:
        del request
        return web.json_response({}, status=HTTPStatus.UNAUTHORIZED)

    async def _answer(self, hit: Hit, response: web.StreamResponse) -> web.StreamResponse:
        if not response.prepared:
            for name in ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"):
                response.headers.popall(name, None)
            response = self.reword(response)
        return await super()._answer(hit, response)


class ServiceServer(ListeningServer):
    """A local server of one service; it listens while its `async with` block runs.

    Args:
        throttles: The rate limit of each lane; None for none.
        credentials: The credentials to accept.
        options: See `CommonOptions`.
    """

    def __init__(
        self, throttles: Mapping[str, Throttle | None], credentials: Tokens, options: CommonOptions
    ) -> None:
        conditions = Conditions(throttles=throttles, lane_of=self._lane_of)
        super().__init__(conditions, credentials, options, partial(ServiceMiddleware, reword=self._reword))

    @abstractmethod
    def _lane_of(self, method: str, path: str) -> str:
        """Return the lane of a request."""

    @abstractmethod
    def _reword(self, response: web.StreamResponse) -> web.StreamResponse:
        """Turn one of Laravel's answers into the service's own."""


async def read_object(request: web.Request, otherwise: HttpError) -> Mapping[str, object]:
    """Return a request's body; empty if it is JSON but not an object.

    Args:
        request: The request.
        otherwise: The error to raise if the body is not JSON.
    """
    try:
        body: object = await request.json()
    except (JSONDecodeError, UnicodeDecodeError, RecursionError):
        raise otherwise from None
    except ConnectionResetError:
        raise HttpError(_CLIENT_LEFT, {}) from None
    return cast("Mapping[str, object]", body) if isinstance(body, dict) else {}
