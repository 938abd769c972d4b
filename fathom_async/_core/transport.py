"""HTTP over aiohttp; no other module of the client imports it.

Imported when a client is made, not with the package, because importing aiohttp takes a fifth of a second.

1. The bytes of a request leave as soon as it has a connection. aiohttp's tracing reports that moment at four times
   the cost of the rest of our stack, so our connector does, or a middleware where the caller lends us a session.
2. They leave once. When a kept connection breaks, aiohttp would send some requests again by itself: no lane has
   admitted that hit, and a DELETE would look like a failure, as its second answer is a 404.
3. A connection that the server closed while it was kept is not used, even if the event loop was too busy to notice.
4. The client's headers are those of requests, never of a session: aiohttp shows a session's to the proxy, too.
5. One timer serves all requests with the same timeout: a timer for each takes a fifth of a request's whole time.
"""

import asyncio
import select
import ssl as tls
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from functools import lru_cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import aiohttp
from attrs import define, field
from multidict import CIMultiDict
from yarl import URL

from fathom_async import errors
from fathom_async._core.codec.objects import encode
from fathom_async._core.network_failures import (
    CONNECT_TIMEOUT,
    OWN_ERRORS,
    Route,
    SecondSendingError,
    StaleError,
    TooLargeError,
)
from fathom_async._core.proxy import proxy_for
from fathom_async._core.request import Request, Response
from fathom_async._util import checks
from fathom_async._util.secrets import of_header, of_url

if TYPE_CHECKING:
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

_KEPT_URLS = 128
_KEPT_DEADLINES = 64
_KEPT_SECRETS = 16
_TURNS = 3
"""Turns of the event loop after which it has noticed that a connection was closed."""


@define(eq=False)
class _Attempt:
    """One request on its way: reports when its bytes leave, and lets them leave only once."""

    _on_sent: Callable[[], None]
    task: "asyncio.Task[object]"
    cancelled_before: int
    is_sent: bool = False
    is_late: bool = False
    broke_by: aiohttp.ClientError | None = None

    def check(self) -> None:
        if self.is_sent:
            raise self.broke_by or SecondSendingError

    def sent(self) -> None:
        self.is_sent = True
        self._on_sent()

    def end(self) -> bool:
        """Take the deadline's cancellation back; return whether it was the only one."""
        left = self.task.uncancel() if self.is_late else self.task.cancelling()
        return self.is_late and left <= self.cancelled_before


@define(eq=False)
class _Deadline:
    """Cancels attempts that take longer than a number of seconds (rule 5)."""

    _loop: asyncio.AbstractEventLoop
    _seconds: float
    _due: dict[_Attempt, float] = field(init=False, factory=dict[_Attempt, float])
    _timer: asyncio.TimerHandle | None = field(init=False, default=None)

    def add(self, attempt: _Attempt) -> None:
        self._due[attempt] = due = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._expire)

    def remove(self, attempt: _Attempt) -> None:
        self._due.pop(attempt, None)  # the timer stays, for the next attempt

    def _expire(self) -> None:
        self._timer, now = None, self._loop.time()
        for attempt, due in list(self._due.items()):
            if due > now:
                self._timer = self._loop.call_at(due, self._expire)
                return
            del self._due[attempt]
            attempt.is_late = attempt.task.cancel()


_attempt: ContextVar[_Attempt] = ContextVar("fathom_async_attempt")


class _Connector(aiohttp.TCPConnector):
    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: "list[Trace]",
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own signature
    ) -> "Connection":
        attempt = _attempt.get()
        attempt.check()
        connection = await super().connect(req, traces, timeout)
        try:
            try:
                await _check_open(connection)
            except StaleError:
                connection.close()
                # The event loop has noticed by now which others were closed.
                connection = await super().connect(req, traces, timeout)
                await _check_open(connection)
            attempt.sent()
        except BaseException:
            connection.close()
            raise
        return connection


class HttpTransport:
    """The transport over aiohttp.

    It follows no redirects, so that the token never leaves the base URL, and keeps no cookies. The headers go with
    every request, and `max_body` counts bytes after decompression; `fathom_async.service.ServiceOptions` tells the
    rest.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        *,
        max_body: int,
        max_header: int | None = None,
        max_connections: int | None = None,
        proxy: str | None = None,
        trust_env: bool = False,
        ssl: tls.SSLContext | None = None,
        session: aiohttp.ClientSession | None = None,
    ) -> None:
        self._base = str(URL(checks.base_url(base_url))).rstrip("/")
        self._headers = CIMultiDict[str]()
        for name, value in headers.items():
            self.set_header(name, value)
        self._parameter = dict[str, str]()
        self._most = max_connections or 0
        _check(tls.SSLContext, ssl=ssl)
        _check(aiohttp.ClientSession, session=session)
        if session is not None and (trust_env or self._most):
            raise errors.ConfigurationError(
                "trust_env and max_connections are settings of the session that you pass: make it with "
                "aiohttp.ClientSession(trust_env=True, connector=aiohttp.TCPConnector(limit=10))"
            )
        found = proxy_for(self._base, proxy, trust_env=trust_env)
        self._route = Route(None if found is None else URL(found), ssl, max_body, max_header)
        self._has_answered = False
        self._lent = session
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False
        self._in_flight = set[_Attempt]()
        self._told = set[str]()
        self._conceal: Callable[[str], None] = lambda _: None
        self._url = lru_cache(_KEPT_URLS)(self._make_url)
        self._deadline: Callable[[float], _Deadline]
        self._middlewares: tuple[aiohttp.ClientMiddlewareType, ...] | None = None

    def url(self, request: Request[object]) -> str:
        """Return the full URL of a request, for messages."""
        return self._base + request.target

    def _make_url(self, target: str) -> URL:
        url = URL(self._base + target, encoded=True)
        return url.update_query(self._parameter) if self._parameter else url

    def set_header(self, name: str, value: str) -> None:
        """Send a header with every request from now on."""
        self._headers[name] = value

    def set_parameter(self, name: str, value: str) -> None:
        """Send a query parameter with every request from now on, which `url` does not show."""
        self._parameter = {name: value}
        self._url.cache_clear()

    def tell_secrets(self, conceal: Callable[[str], None]) -> None:
        """Call a function with the passwords of the proxy, and of a borrowed session once a request shows them."""
        self._conceal = conceal
        for secret in of_url(str(self._route.proxy or "")):
            conceal(secret)

    async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:
        """Send a request once; see `Transport.send`."""
        session, route = self._session or self._open(), self._route
        task = cast("asyncio.Task[object]", asyncio.current_task())
        attempt = _Attempt(sent, task, task.cancelling())
        token = _attempt.set(attempt)
        deadline = self._deadline(within)
        deadline.add(attempt)
        self._in_flight.add(attempt)
        try:
            async with session.request(
                request.method,
                self._url(request.target),
                data=body if isinstance(body := request.body, bytes | None) else encode(body),
                headers=self._headers_of(request),
                allow_redirects=False,
                raise_for_status=False,
                auto_decompress=True,
                timeout=_timeout(within),
                proxy=route.proxy,
                ssl=route.ssl or True,
                max_line_size=route.max_header,
                max_field_size=route.max_header,
                middlewares=self._middlewares,
            ) as answer:
                self._has_answered = True
                if answer.status != HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
                    return Response(
                        answer.status, answer.headers, await self._read(answer), answer.reason or ""
                    )
                failure: errors.FathomError = route.refusal(answer.status, request.method, self.url(request))
        except (asyncio.CancelledError, aiohttp.ClientError, OSError, *OWN_ERRORS) as error:
            if not attempt.end() and isinstance(error, asyncio.CancelledError):
                raise
            where, is_known = (request.method, self.url(request)), self._has_answered
            failure = route.failure(error, where, within, is_sent=attempt.is_sent, is_known=is_known)
        except RuntimeError:
            if not session.closed:
                raise
            failure = errors.ClosedError("the session is closed")
        finally:
            deadline.remove(attempt)
            self._in_flight.discard(attempt)
            _attempt.reset(token)
        # Raised outside the block above, so that aiohttp's error is not the context of ours: some hold the request's
        # headers, and so the token.
        raise failure

    async def close(self) -> None:
        """Close all connections of our own, abort what is in flight, and open no more."""
        self._is_closed = True
        if self._session is not None and self._session is not self._lent:
            await self._session.close()
        for attempt in self._in_flight:
            attempt.is_late = attempt.task.cancel()

    def _open(self) -> aiohttp.ClientSession:
        if self._is_closed:
            raise errors.ClosedError("the client is closed")
        self._deadline = lru_cache(_KEPT_DEADLINES)(partial(_Deadline, asyncio.get_running_loop()))
        if self._lent is None:
            jar = aiohttp.DummyCookieJar()
            self._session = aiohttp.ClientSession(connector=_Connector(limit=self._most), cookie_jar=jar)
            self._session._retry_connection = False  # rule 2  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            return self._session
        # A middleware of a request replaces those of its session.
        self._middlewares = (*self._lent._middlewares, self._watch)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
        self._session = self._lent
        return self._session

    def _headers_of(self, request: Request[object]) -> CIMultiDict[str]:
        headers = CIMultiDict[str]() if self._lent is not None else self._headers.copy()  # rule 4
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        return headers

    async def _watch(
        self, req: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Do in a session that is not ours what `_Connector` does."""
        attempt, send = _attempt.get(), req.send
        attempt.check()
        for secret in _secrets_of(req):
            if secret not in self._told and len(self._told) < _KEPT_SECRETS:
                self._told.add(secret)
                self._conceal(secret)
        req.headers.update(self._headers)  # over those of the session, and of a .netrc file

        async def watched(connection: "Connection") -> aiohttp.ClientResponse:
            await _check_open(connection)
            attempt.sent()
            return await send(connection)

        req.send = watched  # type: ignore[method-assign, assignment]
        try:
            with suppress(StaleError):
                return await handler(req)
            return await handler(req)
        except aiohttp.ClientError as error:
            attempt.broke_by = error  # aiohttp would try again, and the next failure hide this one
            raise

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        length = answer.content_length
        if length is not None and length <= self._route.max_body and "Content-Encoding" not in answer.headers:
            return await answer.read()
        body = bytearray()
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > self._route.max_body:
                raise TooLargeError
        return bytes(body)


def _check(kind: type[object], **given: object) -> None:
    for name, value in given.items():
        if value is not None and not isinstance(value, kind):
            module, _, _ = kind.__module__.partition(".")
            raise errors.ConfigurationError(f"{name} must be an {module}.{kind.__name__}, not {value!r}")


def _secrets_of(req: aiohttp.ClientRequest) -> Iterator[str]:
    """Yield the credentials that a borrowed session sends with a request to the server or to its proxy."""
    for headers in (req.headers, req.proxy_headers):
        for name in ("Authorization", "Proxy-Authorization"):
            yield from () if headers is None else of_header(headers.get(name, ""))
    yield from of_url(str(req.proxy or ""))
    login = cast("tuple[str, str] | None", req.proxy_auth)
    if login is not None:
        yield login[1]


def _is_readable(connection: "Connection") -> bool:
    """Whether something waits to be read from a connection, if only its end."""
    transport = connection.transport
    socket = None if transport is None else transport.get_extra_info("socket")
    number = -1 if socket is None else socket.fileno()
    if number < 0:
        return False
    if sys.platform == "win32":
        return bool(select.select([number], [], [], 0)[0])
    poll = select.poll()  # `select` takes no more than 1,024 descriptors
    poll.register(number, select.POLLIN)
    return bool(poll.poll(0))


async def _check_open(connection: "Connection") -> None:
    """Let the event loop read what waits on a connection, and raise `StaleError` if nothing may be sent on it."""
    if not _is_readable(connection):
        return
    for _ in range(_TURNS):
        await asyncio.sleep(0)
    protocol = connection.protocol
    if protocol is None or not protocol.is_connected() or protocol.should_close:
        for _ in range(_TURNS):  # an alert of TLS closes the connection some turns before it says why
            await asyncio.sleep(0)
        raise StaleError(None if protocol is None else protocol.exception())


@lru_cache(maxsize=64)
def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=min(seconds, CONNECT_TIMEOUT))
