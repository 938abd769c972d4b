"""Common parts of all endpoints."""

from json import JSONDecodeError
from typing import TYPE_CHECKING, cast

from aiohttp import web
from attrs import frozen

from fathom_async.testing._account_state import AccountState, EventShape
from fathom_async.testing._clock import ServerClock
from fathom_async.testing._tokens import Tokens
from fathom_async.testing._validation import Form

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fathom_async.testing._tokens import Grant


@frozen
class Context:
    """The state behind the endpoints."""

    account: AccountState
    clock: ServerClock
    tokens: Tokens
    event_shape: EventShape

    def grant(self, request: web.Request) -> "Grant":
        """Return the abilities of the request's token, which the middleware has let in."""
        return cast("Grant", self.tokens.find(request.headers))

    def readable(self, request: web.Request) -> str:
        """Return the id of the request's site, if its token may read it."""
        site_id = request.match_info["site_id"]
        self.grant(request).require_read(site_id)
        return site_id

    def manageable(self, request: web.Request) -> str:
        """Return the id of the request's site, if its token may manage it."""
        site_id = request.match_info["site_id"]
        self.grant(request).require_manage(site_id)
        return site_id


async def read_form(request: web.Request) -> Form:
    """Return the fields of a JSON or form body; as in Laravel, an unreadable body has none."""
    if request.content_type == "application/json":
        try:
            body: object = await request.json()
        except (JSONDecodeError, UnicodeDecodeError):
            return Form({})
        return Form(cast("Mapping[str, object]", body) if isinstance(body, dict) else {})
    return Form(dict(await request.post()))


def deleted(kind: str, name: str) -> web.Response:
    """Return the answer to a deletion."""
    return web.json_response({"id": name, "object": kind, "deleted": True})
