"""Bytes out, bytes in: the one module on the client side that knows aiohttp.

It is imported when a client is made, not with the package, because aiohttp takes a fifth of a second to import.
"""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

import aiohttp
from yarl import URL

from fathom_async import errors
from fathom_async._core.codec.objects import encode
from fathom_async._core.request import Request, Response

if TYPE_CHECKING:
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

CONNECT_TIMEOUT = 10.0
"""Seconds for name look-up, TCP and TLS."""


class _Attempt:
    """Notes when one request's bytes leave, and that they leave once only."""

    __slots__ = ("_tell", "is_sent")

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        self.is_sent = False

    def check(self) -> None:
        if self.is_sent:
            raise _SecondSendingError

    def sent(self) -> None:
        self.is_sent = True
        self._tell()


class _SecondSendingError(Exception):
    """The connection broke, and aiohttp is about to send the same request again on its own account.

    That would be a hit which no lane has admitted, and a DELETE whose second answer, 404, looks like a failure.
    """


class _TooLargeError(Exception):
    """The answer is larger than the bound."""


_attempt: ContextVar[_Attempt] = ContextVar("fathom_async_attempt")


class _Connector(aiohttp.TCPConnector):
    # A request's bytes leave as soon as it has a connection. aiohttp's tracing would tell the same moment, at
    # four times the price of all the rest of our stack.
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

    Redirects are not followed, so that the token never leaves the base URL; cookies are not kept.

    Args:
        base_url: Where the API lives; `https`, or `http` to this machine.
        headers: Sent with every request.
        max_body: The largest answer to read, in bytes after decompression.

    Raises:
        ConfigurationError: The base URL is none, or plain `http` to another machine.
    """

    def __init__(self, base_url: str, headers: Mapping[str, str], *, max_body: int) -> None:
        self._base = check_base_url(base_url)
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
                data=None if request.body is None else encode(request.body),
                headers=None if request.body is None else {"Content-Type": "application/json"},
                allow_redirects=False,
                timeout=_timeout(within),
            ) as answer:
                return Response(answer.status, answer.headers, await self._read(answer), answer.reason or "")
        except (aiohttp.ClientError, OSError, _SecondSendingError, _TooLargeError) as error:
            failure = self._failure(error, request, within, attempt.is_sent)
        finally:
            _attempt.reset(token)
        # Outside of the block above, so that aiohttp's error is not even the context of ours: some hold the
        # request's headers, and so the token.
        raise failure

    def _failure(
        self, error: Exception, request: Request[object], within: float, is_sent: bool
    ) -> errors.TransportError | errors.DecodeError:
        url = self.url(request)
        if isinstance(error, _TooLargeError):
            words = (
                f"the answer is larger than max_body={self._max_body} bytes; ask for less, or raise the bound"
            )
            return errors.DecodeError(words, request.method, url)
        if isinstance(error, TimeoutError):
            return errors.TimeoutError(f"no answer within {within:g} s", request.method, url, is_sent)
        what = "the connection broke" if is_sent else "no connection"
        return errors.ConnectError(
            f"{what}: {type(error).__name__} {error}".rstrip(), request.method, url, is_sent
        )

    async def close(self) -> None:
        """Break all connections, and make no more."""
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


def check_base_url(base_url: str) -> str:
    """Return the base URL without a trailing slash.

    Raises:
        ConfigurationError: It is no URL, or would send the token in the clear to another machine.
    """
    parts = _split(base_url)
    host = parts.hostname
    if not host or parts.scheme not in ("http", "https") or not base_url.isprintable() or " " in base_url:
        raise _no_url(base_url)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise errors.ConfigurationError("the base URL must have no user, query or fragment")
    if parts.scheme == "http" and not _is_loopback(host):
        raise errors.ConfigurationError(
            f"plain http to {host} would show the credentials to the network: write https://"
        )
    return base_url.rstrip("/")


def _split(base_url: str) -> SplitResult:
    try:
        parts = urlsplit(base_url)
        _ = parts.port  # is read from the text only now, and may be none
    except ValueError:
        raise _no_url(base_url) from None
    return parts


def _no_url(base_url: str) -> errors.ConfigurationError:
    return errors.ConfigurationError(f"{base_url!r} is not a URL: write e.g. https://host/path")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
