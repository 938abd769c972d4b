"""Endpoints of the account and the token. Source: https://usefathom.com/api/v1#account."""

from attrs import frozen

from fathom_async import _endpoints as endpoints
from fathom_async._core.codec.objects import object_decoder
from fathom_async._core.request import Request
from fathom_async._core.session import Caller
from fathom_async.models import Account, Token

_TOKEN = object_decoder(Token)


@frozen(eq=False, repr=False)
class AccountResource:
    """The account that owns the token. Source: https://usefathom.com/api/v1#account."""

    _send: Caller

    async def get(self) -> Account:
        """Return the account. The token needs full access (``*``).

        Raises:
            PermissionDeniedError: The token does not have full access.
        """
        return await self._send(endpoints.account())


@frozen(eq=False, repr=False)
class TokenResource:
    """The API token in use. Source: https://usefathom.com/api/v1#account."""

    _send: Caller

    async def get(self) -> Token:
        """Return the token's name, abilities and times; the API never returns its secret value."""
        return await self._send(Request("GET", "/token", _TOKEN))
