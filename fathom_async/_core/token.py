"""Credentials that change: a function is asked for them.

1. It is asked when the first request needs them, and what it returns is kept.
2. It is asked again when the server has answered 401 to what is kept, once for all requests that met this, and each
   of them is tried once more, unless it returned the same. That is all for a request that was sent with former
   credentials.
3. Old and new credentials are taken out of all answers.
4. A caller waits for it as long as for an answer. It ends with the client.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from inspect import isawaitable
from typing import TypeVar

from attrs import define, field

from fathom_async._core.request import MaskingTransport, Request, Response
from fathom_async._core.scope import Scope
from fathom_async._util import checks
from fathom_async._util.checks import credential
from fathom_async._util.clock import Clock
from fathom_async._util.secrets import Secrets, of_header
from fathom_async.errors import (
    AuthenticationError,
    ClosedError,
    ConfigurationError,
    TimeoutError,  # noqa: A004 - ours is one
)

T = TypeVar("T")

Credentials = Callable[[], str | Awaitable[str]]
"""Returns what the header with the credentials says."""

_REMEMBERED = 4


def bearer(what: str, token: str | Credentials) -> str | Credentials:
    """Return the ``Authorization`` header of a token, or a function that asks for the token.

    Args:
        what: Begins the message of the error.
        token: The token, or a function, which may be a coroutine function, that returns it.

    Raises:
        ArgumentError: The token cannot be one; the function that is returned raises it, too.
    """
    if not callable(token):
        return f"Bearer {credential(what, token)}"

    async def ask() -> str:
        made = token()
        return f"Bearer {credential(what, await made if isawaitable(made) else made)}"

    return ask


@define(eq=False, repr=False)
class AskingTransport(MaskingTransport):
    """Sends requests with the credentials that a function returns.

    `secrets` are what has to be taken out besides; `use` lets the transport send the header from now on. `changes`
    counts how often the function returned something new.
    """

    secrets: Secrets
    ask: Credentials
    use: Callable[[str], None]
    is_wanting: bool = field(init=False, default=True)
    changes: int = field(init=False, default=0)
    _asking: "asyncio.Task[object] | None" = field(init=False, default=None)
    _number: int = field(init=False, default=0)
    _others: Secrets = field(init=False)
    _headers: deque[str] = field(init=False, factory=lambda: deque[str](maxlen=_REMEMBERED))

    def __attrs_post_init__(self) -> None:
        self._others = self.secrets

    async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:
        number = self._number
        response = await super().send(request, within, sent)
        if response.status == HTTPStatus.UNAUTHORIZED and number == self._number:
            self.is_wanting = True  # rule 2
        return response

    def conceal(self, *secrets: str) -> None:
        super().conceal(*secrets)
        self._others = self._others.and_also(*secrets)

    async def ensure(self, scope: Scope, clock: Clock, within: float) -> None:
        """Ask for the header if it is wanted, once for all who want it, and wait for so many seconds (rule 4)."""
        if not self.is_wanting:
            return
        if scope.is_shut:
            raise ClosedError("the client is closed")
        words = f"the function that returns the credentials did not do so within {within:g} s"
        leaving = asyncio.get_running_loop().create_future()
        timer = clock.call_at(
            clock.now() + within, partial(leaving.set_result, TimeoutError(words, sent=False))
        )
        try:
            await scope.share(self, self._renew, leaving)
        finally:
            timer.cancel()

    async def carry(self, send: Callable[[], Awaitable[T]], scope: Scope, clock: Clock, within: float) -> T:
        """Send a request, and once more if the credentials are refused and others are there (rule 2)."""
        await self.ensure(scope, clock, within)
        before = self.changes
        try:
            return await send()
        except AuthenticationError:
            await self.ensure(scope, clock, within)
            if self.changes == before:
                raise
        return await send()

    async def _renew(self) -> None:
        """Ask for the header, and use it."""
        self._asking = task = asyncio.current_task()
        try:
            made = self.ask()
            header = await made if isawaitable(made) else made
        except asyncio.CancelledError:
            if task is None or task.cancelling():
                raise
            raise ConfigurationError("the function that returns the credentials was cancelled") from None
        self.use(checks.authorization(header))
        self.changes += header not in tuple(self._headers)[-1:]
        self._headers.append(header)
        secrets = (secret for each in self._headers for secret in of_header(each))
        self.secrets = self._others.and_also(*secrets)  # rule 3
        self._number += 1
        self.is_wanting = False

    async def close(self) -> None:
        """Close all connections, and end the function if it is being asked."""
        if self._asking is not None:
            self._asking.cancel()  # rule 4
        await super().close()
