"""What every endpoint works with."""

from json import JSONDecodeError
from typing import TYPE_CHECKING, cast

from aiohttp import web
from attrs import frozen

from fathom_async.testing._account import Account, EventShape
from fathom_async.testing._clock import ServerClock
from fathom_async.testing._problems import unauthenticated
from fathom_async.testing._tokens import Token, Tokens
from fathom_async.testing._validation import Form

if TYPE_CHECKING:
    from collections.abc import Mapping


@frozen
class Context:
    """The state behind the endpoints."""

    account: Account
    clock: ServerClock
    tokens: Tokens
    event_shape: EventShape

    def token(self, request: web.Request) -> Token:
        """The token of a request, or a 401."""
        token = self.tokens.find(request.headers)
        if token is None:
            raise unauthenticated()
        return token


async def read_form(request: web.Request) -> Form:
    """The fields of a body in JSON or form encoding; an unreadable body has none, as in Laravel."""
    if request.content_type == "application/json":
        try:
            body: object = await request.json()
        except (JSONDecodeError, UnicodeDecodeError):
            return Form({})
        return Form(cast("Mapping[str, object]", body) if isinstance(body, dict) else {})
    return Form(dict(await request.post()))
