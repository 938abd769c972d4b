"""Fathom's gate in front of another service, whose refusals have other words."""

from collections.abc import Callable
from http import HTTPStatus

from aiohttp import web
from attrs import define

from fathom_async.testing._gate import Gate
from fathom_async.testing._traffic import Hit


@define(kw_only=True)
class ServiceGate(Gate):
    """The middleware of a service's server.

    Attributes:
        reword: Makes the service's own answer out of one of Fathom's.
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
