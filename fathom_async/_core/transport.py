"""HTTP over aiohttp; no other module of the client imports it.

Imported when a client is made, not with the package, because importing aiohttp takes a fifth of a second.
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import TYPE_CHECKING

import aiohttp
from attrs import define
from yarl import URL

from fathom_async import errors
from fathom_async._core.codec.objects import encode
from fathom_async._core.request import Request, Response
from fathom_async._util import checks

if TYPE_CHECKING:
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

CONNECT_TIMEOUT = 10.0
"""Seconds for name look-up, TCP and TLS."""


@define(eq=False)
class _Attempt:
    """One request on its way: reports when its bytes leave, and lets them leave only once."""

    _on_sent: Callable[[], None]
    is_sent: bool = False

    def check(self) -> None:
        if self.is_sent:
            raise _SecondSendingError

    def sent(self) -> None:
        self.is_sent = True
        self._on_sent()


class _SecondSendingError(Exception):
    """The connection broke, and aiohttp is about to send the same request again by itself.

    No lane has admitted that hit, and a DELETE would look like a failure, as its second answer is a 404.
    """


class _TooLargeError(Exception):
    """The answer is larger than `max_body`."""


_attempt: ContextVar[_Attempt] = ContextVar("fathom_async_attempt")


class _Connector(aiohttp.TCPConnector):
    # A request's bytes leave as soon as it has a connection. aiohttp's tracing reports the same moment, at four
    # times the cost of the rest of our stack.
    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: "list[Trace]",
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own signature
    ) -> "Connection":
        attempt = _attempt.get()
        attempt.check()
        connection = await super().connect(req, traces, timeout)
        attempt.sent()
        return connection


class HttpTransport:
    """The transport over aiohttp.

    It follows no redirects, so that the token never leaves the base URL, and keeps no cookies.

    Args:
        base_url: Root of the API; `https`, or `http` to this machine.
        headers: Sent with every request.
        max_body: The largest answer to read, in bytes after decompression.

    Raises:
        ConfigurationError: The base URL is not valid, or plain `http` to another machine.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str], *, max_body: int) -> None:
        self._base = checks.base_url(base_url)
        self._headers = dict(headers)
        self._max_body = max_body
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False

    def url(self, request: Request[object]) -> str:
        """Return the full URL of a request, for messages."""
        return self._base + request.target

    async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:
        """Send a request once; see `Transport.send`."""
        session = self._session or self._open()
        attempt = _Attempt(sent)
        token = _attempt.set(attempt)
        try:
            async with session.request(
                request.method,
                URL(self._base + request.target, encoded=True),
                data=body if isinstance(body := request.body, bytes | None) else encode(body),
                headers=None if body is None else {"Content-Type": request.content_type},
                allow_redirects=False,
                timeout=_timeout(within),
            ) as answer:
                return Response(answer.status, answer.headers, await self._read(answer), answer.reason or "")
        except (aiohttp.ClientError, OSError, _SecondSendingError, _TooLargeError) as error:
            failure = self._failure(error, request, within, attempt.is_sent)
        finally:
            _attempt.reset(token)
        # Raised outside the block above, so that aiohttp's error is not the context of ours: some hold the request's
        # headers, and so the token.
        raise failure

    def _failure(
        self, error: Exception, request: Request[object], within: float, is_sent: bool
    ) -> errors.TransportError | errors.DecodeError:
        url = self.url(request)
        if isinstance(error, _TooLargeError):
            words = (
                f"the answer is larger than max_body={self._max_body} bytes; request less, or raise the limit"
            )
            return errors.DecodeError(words, request.method, url)
        if isinstance(error, TimeoutError):
            return errors.TimeoutError(f"no answer within {within:g} s", request.method, url, is_sent)
        what = "the connection broke" if is_sent else "no connection"
        return errors.ConnectError(
            f"{what}: {type(error).__name__} {error}".rstrip(), request.method, url, is_sent
        )

    async def close(self) -> None:
        """Close all connections, and open no more."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._is_closed:
            raise errors.ClosedError("the client is closed")
        self._session = aiohttp.ClientSession(
            connector=_Connector(limit=0),  # lanes bound how many are in flight
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self._session

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        length = answer.content_length
        if length is not None and length <= self._max_body and "Content-Encoding" not in answer.headers:
            return await answer.read()
        body = bytearray()
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > self._max_body:
                raise _TooLargeError
        return bytes(body)


@lru_cache(maxsize=64)
def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds, sock_connect=min(seconds, CONNECT_TIMEOUT))
