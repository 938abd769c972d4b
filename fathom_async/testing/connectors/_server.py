"""What the servers of the other services share: their settings, and answers in their own words."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from datetime import datetime
from json import JSONDecodeError
from random import Random
from typing import TypedDict, cast

from aiohttp import web

from fathom_async.testing._clock import ServerClock
from fathom_async.testing._gate import Conditions, Duration
from fathom_async.testing._listening import ListeningServer
from fathom_async.testing._problems import Problem
from fathom_async.testing._throttle import Throttle
from fathom_async.testing._tokens import Tokens
from fathom_async.testing.connectors._gate import ServiceGate

# As nginx has it in its log: nobody is there to read an answer.
_CLIENT_LEFT = 499


class ServerOptions(TypedDict, total=False):
    """Settings that all servers have in common, as those of `FathomServer`.

    Attributes:
        latency: Network time, each way: seconds, a range, or a function.
        handler_time: Time between being counted and being carried out, likewise.
        speed: Server seconds per real second.
        clock: Monotonic seconds, for tests that turn the time by hand; the event loop's unless told.
        now: The server's date and time at its start.
        seed: Random delays follow from it.
        host: The address to listen on.
        port: The port; a free one unless told.
    """

    latency: Duration
    handler_time: Duration
    speed: float
    clock: Callable[[], float] | None
    now: datetime | None
    seed: int
    host: str
    port: int


class ServiceServer(ListeningServer):
    """A local server of one service; it listens while its `async with` block runs.

    Args:
        throttles: The rate limit of each lane; None for none.
        credentials: Whom to let in.
        **options: See `ServerOptions`.
    """

    def __init__(
        self, throttles: Mapping[str, Throttle | None], credentials: Tokens, options: ServerOptions
    ) -> None:
        self.clock: ServerClock = ServerClock(
            options.get("clock"), options.get("speed", 1.0), options.get("now")
        )
        gate = ServiceGate(
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
        super().__init__(gate, throttles, options.get("host", "127.0.0.1"), options.get("port", 0))

    @abstractmethod
    def _lane_of(self, method: str, path: str) -> str:
        """The limit that a request falls under."""

    @abstractmethod
    def _reword(self, response: web.StreamResponse) -> web.StreamResponse:
        """Say in the service's words what Fathom's gate says in Laravel's."""


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
