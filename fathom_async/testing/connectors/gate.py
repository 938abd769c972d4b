"""Fathom's gate in front of another service: other credentials, another split of the limits, other words."""

from collections.abc import Callable

from aiohttp import web
from attrs import define, evolve

from fathom_async.testing.gate import Gate, Handler
from fathom_async.testing.traffic import Hit, Lane

# Fathom's gate has two lanes, by Fathom's names. Here, one of them is limited and the other one is free.
LIMITED: Lane = "crud"
FREE: Lane = "reports"


@define(kw_only=True)
class ServiceGate(Gate):
    """The middleware of a service's server.

    Attributes:
        is_limited: Tells by its method whether a request spends budget.
        reword: Makes the service's own answer out of one of Fathom's.
    """

    is_limited: Callable[[str], bool]
    reword: Callable[[web.StreamResponse], web.StreamResponse]

    async def _admit(self, hit: Hit, request: web.Request, endpoint: Handler) -> web.StreamResponse:
        lane = LIMITED if self.is_limited(hit.method) else FREE
        return await super()._admit(evolve(hit, lane=lane), request, endpoint)

    async def _answer(self, hit: Hit, response: web.StreamResponse) -> web.StreamResponse:
        if not response.prepared:
            for name in ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"):
                response.headers.popall(name, None)
            response = self.reword(response)
        return await super()._answer(hit, response)
