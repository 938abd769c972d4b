"""`/account` and `/token`."""

from aiohttp import web
from attrs import frozen

from fathom_async.testing._account import stamp
from fathom_async.testing._routes.context import Context


@frozen
class IdentityRoutes:
    """Who is asking."""

    context: Context

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        return [web.get("/v1/account", self.get_account), web.get("/v1/token", self.get_token)]

    async def get_account(self, request: web.Request) -> web.Response:
        """The account."""
        self.context.token(request).require_account()
        return web.json_response(
            {
                "id": 500302232,
                "object": "account",
                "name": "Homer Simpson",
                "email": "homer@simpsonsfamily.doh",
            }
        )

    async def get_token(self, request: web.Request) -> web.Response:
        """The token itself, without its secret."""
        now = stamp(self.context.clock.now())
        return web.json_response(
            {
                "name": "Production server",
                "version": 4,
                "abilities": list(self.context.token(request).abilities),
                "last_used_at": now,
                "expires_at": None,
                "created_at": "2024-01-01 12:00:00",
                "updated_at": now,
            }
        )
