"""Common parts of all embedded servers: a socket, middleware in front of the endpoints, and recorded requests."""

import asyncio
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from random import Random
from types import TracebackType
from typing import ClassVar, Self, TypedDict

from aiohttp import web
from attrs import evolve

from fathom_async.testing._clock import ServerClock
from fathom_async.testing._faults import Fault
from fathom_async.testing._middleware import Conditions, Duration, Handler, Middleware
from fathom_async.testing._throttle import Throttle
from fathom_async.testing._tokens import Tokens
from fathom_async.testing._traffic import Hit, max_in_window

# Tests end with requests in flight on purpose; do not wait for those.
_SHUTDOWN_SECONDS = 0.05

_ACCEPTING_TURNS = 3
"""Turns of the event loop from accepting a connection until the server knows it."""


class CommonOptions(TypedDict, total=False):
    """The settings of every embedded server; each is optional.

    Attributes:
        latency: Network time, drawn before the limiter and again after the endpoint: seconds, a range, or a
            function.
        handler_time: Time between counting a request and carrying it out, likewise.
        speed: Server seconds per real second.
        clock: Monotonic seconds, for tests that set the time by hand; the event loop's by default.
        now: The server's date and time at its start; the real one by default.
        seed: Seed of what is made up: delays and, of Fathom's server, new ids, the order of unsorted rows and the
            synthetic data.
        host: The address to listen on.
        hosts: Names that requests may be addressed to, besides ``localhost``, ``host`` and numeric addresses; any
            other is refused, so that no page of another site can reach the server under its own name.
        port: The port; a free one by default.
    """

    latency: Duration
    handler_time: Duration
    speed: float
    clock: Callable[[], float] | None
    now: datetime | None
    seed: int
    host: str
    hosts: Collection[str]
    port: int


class ListeningServer(ABC):
    """A local server; it listens while its `async with` block runs."""

    _prefix: ClassVar[str] = ""

    def __init__(
        self,
        conditions: Conditions,
        tokens: Tokens,
        options: CommonOptions,
    ) -> None:
        self._host, self._port = options.get("host", "127.0.0.1"), options.get("port", 0)
        conditions = evolve(
            conditions,
            hosts=frozenset({self._host, *options.get("hosts", ())}),
            latency=options.get("latency", 0.0),
            handler_time=options.get("handler_time", 0.0),
        )
        self.clock: ServerClock = ServerClock(
            options.get("clock"), options.get("speed", 1.0), options.get("now")
        )
        self.throttles: Mapping[str, Throttle | None] = conditions.throttles
        random = Random(f"{options.get('seed', 1)}:latency")  # noqa: S311 - made-up delays
        self._middleware = Middleware(conditions, self.clock, tokens, random)
        self._runner: web.AppRunner | None = None
        self._socket: socket.socket | None = None

    @abstractmethod
    def _routes(self) -> Sequence[web.RouteDef]:
        """Return the endpoints."""

    async def __aenter__(self) -> Self:
        self._middleware.clock.follow_loop()
        app = web.Application(middlewares=[self._handle])
        app.router.add_routes(self._routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        self._socket = socket.create_server((self._host, self._port), family=family)
        self._port = int(self._socket.getsockname()[1])
        await self._runner.setup()
        await web.SockSite(self._runner, self._socket).start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        runner, self._runner = self._runner, None
        if runner is None or runner.server is None or self._socket is None:
            return
        with suppress(NotImplementedError):  # on Windows
            # asyncio leaks a connection that it has accepted, and that the server does not know when it closes.
            asyncio.get_running_loop().remove_reader(self._socket)
        for _ in range(_ACCEPTING_TURNS):
            await asyncio.sleep(0)
        transports = [connection.transport for connection in runner.server.connections]
        try:
            await runner.cleanup()
        finally:
            for transport in transports:  # aiohttp leaves one open whose client does not read its answer
                if transport is not None:
                    transport.abort()
            await asyncio.sleep(0)  # the loop's next turn closes the sockets

    @web.middleware
    async def _handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        return await self._middleware.handle(request, handler)

    @property
    def url(self) -> str:
        """The base URL for clients."""
        return f"http://{self._host}:{self._port}{self._prefix}"

    @property
    def hits(self) -> Sequence[Hit]:
        """Every request since the start or the last `reset_stats`, in the order of their answers."""
        return tuple(self._middleware.hits)

    @property
    def refused(self) -> int:
        """The number of requests that were answered 429."""
        return sum(hit.status == HTTPStatus.TOO_MANY_REQUESTS for hit in self._middleware.hits)

    @property
    def pending_faults(self) -> int:
        """The number of injected faults that no request has used up yet."""
        return len(self._middleware.faults)

    def max_in_window(self, lane: str, per: float | None = None) -> int:
        """Return the most counted requests of a lane in any window, wherever it starts.

        Args:
            lane: The lane; another lane under the same throttle is counted with it.
            per: The window in server seconds; by default that of the lane's throttle.
        """
        throttle = self.throttles[lane]
        if per is None and throttle is None:
            raise ValueError(f"the lane {lane!r} has no limit: pass per=<seconds>")
        together = {
            name for name, other in self.throttles.items() if name == lane or (other and other is throttle)
        }
        times = (hit.at for hit in self._middleware.hits if hit.counted and hit.lane in together)
        return max_in_window(times, throttle.per if per is None and throttle else per or 0.0)

    def reset_stats(self) -> None:
        """Forget the hits; the throttles keep their state."""
        self._middleware.hits.clear()

    def inject(self, *faults: Fault, method: str | None = None, path: str | None = None) -> None:
        """Make the next matching requests fail, one fault each, in this order.

        A request that the rate limit refuses does not use up a fault.

        Args:
            *faults: The faults.
            method: Only requests of this HTTP method.
            path: Only requests of this path, without query; with or without the path of `url`.
        """
        if path is not None and not path.startswith(f"{self._prefix}/"):
            path = f"{self._prefix}/{path.lstrip('/')}"
        self._middleware.faults.add(*faults, method=method, path=path)
