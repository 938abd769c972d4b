"""What the servers of all services share: a socket, a gate, a record of what came in."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from json import JSONDecodeError
from random import Random
from types import TracebackType
from typing import Self, TypedDict, cast

from aiohttp import web

from fathom_async.testing.clock import ServerClock
from fathom_async.testing.connectors.gate import ServiceGate
from fathom_async.testing.faults import Fault
from fathom_async.testing.gate import Conditions, Duration, Handler
from fathom_async.testing.problems import Problem
from fathom_async.testing.throttle import Throttle
from fathom_async.testing.tokens import Tokens
from fathom_async.testing.traffic import Hit, max_in_window

# Tests end with requests in flight on purpose: nobody wants to wait for those.
_SHUTDOWN_SECONDS = 0.05
# As nginx has it in its log: nobody is there to read an answer.
_CLIENT_LEFT = 499


class ServerOptions(TypedDict, total=False):
    """Settings that all servers have in common, as those of `FathomServer`.

    Attributes:
        latency: Network time, each way: seconds, a range, or a function.
        handler_time: Time between being counted and being carried out, likewise.
        speed: Server seconds per real second.
        clock: Real monotonic seconds, for tests that turn the time by hand.
        now: The server's date and time at its start.
        seed: Random delays follow from it.
        host: The address to listen on.
        port: The port; a free one unless told.
    """

    latency: Duration
    handler_time: Duration
    speed: float
    clock: Callable[[], float]
    now: datetime | None
    seed: int
    host: str
    port: int


class ServiceServer(ABC):
    """A local server of one service; it listens while its `async with` block runs.

    Args:
        throttles: The rate limit of each lane; None for none.
        credentials: Whom to let in.
        **options: See `ServerOptions`.
    """

    def __init__(
        self, throttles: Mapping[str, Throttle | None], credentials: Tokens, options: ServerOptions
    ) -> None:
        self.clock = ServerClock(
            options.get("clock", time.monotonic), options.get("speed", 1.0), options.get("now")
        )
        self.throttles = throttles
        self._gate = ServiceGate(
            conditions=Conditions(
                throttles=throttles,
                cap=None,
                latency=options.get("latency", 0.0),
                handler_time=options.get("handler_time", 0.0),
                login="page",
                lane_of=self._lane_of,
            ),
            clock=self.clock,
            tokens=credentials,
            random=Random(options.get("seed", 1)),  # noqa: S311 - made-up delays
            reword=self._reword,
        )
        self._host, self._port = options.get("host", "127.0.0.1"), options.get("port", 0)
        self._runner: web.AppRunner | None = None

    @abstractmethod
    def _routes(self) -> Sequence[web.RouteDef]:
        """The endpoints."""

    @abstractmethod
    def _lane_of(self, method: str, path: str) -> str:
        """The limit that a request falls under."""

    @abstractmethod
    def _reword(self, response: web.StreamResponse) -> web.StreamResponse:
        """Say in the service's words what Fathom's gate says in Laravel's."""

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._handle])
        app.router.add_routes(self._routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except BaseException:
            await self._runner.cleanup()
            raise
        self._port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @web.middleware
    async def _handle(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        return await self._gate.handle(request, handler)

    @property
    def url(self) -> str:
        """The base URL for clients."""
        return f"http://{self._host}:{self._port}"

    @property
    def hits(self) -> Sequence[Hit]:
        """Every request since the start, in the order of their answers; `counted` ones reached the endpoint."""
        return tuple(self._gate.hits)

    def max_in_window(self, lane: str) -> int:
        """The most counted requests of a lane in any window of its limit, wherever it starts."""
        throttle = self.throttles[lane]
        if throttle is None:
            raise ValueError(f"the lane {lane!r} has no limit")
        return max_in_window(
            (hit.at for hit in self._gate.hits if hit.counted and hit.lane == lane), throttle.per
        )

    def inject(self, *faults: Fault, method: str | None = None, path: str | None = None) -> None:
        """Let the next matching requests fail, one fault each, in this order.

        Args:
            *faults: What shall happen.
            method: Only requests of this HTTP method.
            path: Only requests of this path, without query.
        """
        self._gate.faults.add(*faults, method=method, path=path)


async def read_object(request: web.Request, otherwise: Problem) -> Mapping[str, object]:
    """Return a request's body, empty if it is JSON but no object.

    Args:
        request: The request.
        otherwise: What to answer if it is no JSON.
    """
    try:
        body: object = await request.json()
    except (JSONDecodeError, UnicodeDecodeError):
        raise otherwise from None
    except ConnectionResetError:
        raise Problem(_CLIENT_LEFT, {}) from None
    return cast("Mapping[str, object]", body) if isinstance(body, dict) else {}
