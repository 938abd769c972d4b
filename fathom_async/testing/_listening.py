"""What all embedded servers share: a socket, a gate that every request passes, and a record of what came in."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import TracebackType
from typing import ClassVar, Self

from aiohttp import web

from fathom_async.testing._faults import Fault
from fathom_async.testing._gate import Gate, Handler
from fathom_async.testing._throttle import Throttle
from fathom_async.testing._traffic import Hit, max_in_window

# Tests end with requests in flight on purpose: nobody wants to wait for those.
_SHUTDOWN_SECONDS = 0.05


class ListeningServer(ABC):
    """A local server; it listens while its `async with` block runs.

    Args:
        gate: What every request passes.
        throttles: The rate limit of each lane; None for none.
        host: The address to listen on.
        port: The port; a free one if 0.
    """

    _prefix: ClassVar[str] = ""

    def __init__(self, gate: Gate, throttles: Mapping[str, Throttle | None], host: str, port: int) -> None:
        self.throttles = throttles
        self._gate = gate
        self._host, self._port = host, port
        self._runner: web.AppRunner | None = None

    @abstractmethod
    def _routes(self) -> Sequence[web.RouteDef]:
        """The endpoints."""

    async def __aenter__(self) -> Self:
        self._gate.clock.follow_loop()
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
        return f"http://{self._host}:{self._port}{self._prefix}"

    @property
    def hits(self) -> Sequence[Hit]:
        """Every request since the start or the last `reset_stats`, in the order of their answers."""
        return tuple(self._gate.hits)

    @property
    def refused(self) -> int:
        """How many of them were answered 429."""
        return sum(hit.status == HTTPStatus.TOO_MANY_REQUESTS for hit in self._gate.hits)

    @property
    def pending_faults(self) -> int:
        """Injected faults that no request has met yet."""
        return len(self._gate.faults)

    def max_in_window(self, lane: str, per: float | None = None) -> int:
        """The most counted requests of a lane in any window, wherever it starts.

        Args:
            lane: The lane; another lane under the same throttle is counted with it.
            per: The window in server seconds; that of the lane's throttle unless told.
        """
        throttle = self.throttles[lane]
        if per is None and throttle is None:
            raise ValueError(f"the lane {lane!r} has no limit: say which window to look at")
        together = {
            name for name, other in self.throttles.items() if name == lane or (other and other is throttle)
        }
        times = (hit.at for hit in self._gate.hits if hit.counted and hit.lane in together)
        return max_in_window(times, throttle.per if per is None and throttle else per or 0.0)

    def reset_stats(self) -> None:
        """Forget the hits; the throttles keep their state."""
        self._gate.hits.clear()

    def inject(self, *faults: Fault, method: str | None = None, path: str | None = None) -> None:
        """Let the next matching requests fail, one fault each, in this order.

        A request that the limiter refuses does not use up a fault.

        Args:
            *faults: What shall happen.
            method: Only requests of this HTTP method.
            path: Only requests of this path, without query; with or without the path of `url`.
        """
        if path is not None and not path.startswith(f"{self._prefix}/"):
            path = f"{self._prefix}/{path.lstrip('/')}"
        self._gate.faults.add(*faults, method=method, path=path)
