"""A Fathom server inside the process: the whole API over real sockets, real limits, real figures."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Literal, Self, TypedDict, Unpack

from aiohttp import web

from fathom_async.testing._account import Account, EventShape
from fathom_async.testing._clock import ServerClock
from fathom_async.testing._dataset import Dataset
from fathom_async.testing._gate import Conditions, Duration, Gate
from fathom_async.testing._listening import ListeningServer
from fathom_async.testing._routes.context import Context
from fathom_async.testing._routes.events import EventRoutes
from fathom_async.testing._routes.identity import IdentityRoutes
from fathom_async.testing._routes.milestones import MilestoneRoutes
from fathom_async.testing._routes.reports import ReportRoutes
from fathom_async.testing._routes.sites import SiteRoutes
from fathom_async.testing._throttle import ConcurrencyCap, LaravelWindow, Throttle
from fathom_async.testing._tokens import Tokens


class ServerOptions(TypedDict, total=False):
    """The keyword arguments of `FathomServer`, each of which may be left out."""

    data: Dataset
    crud_throttle: Throttle | None
    reports_throttle: Throttle | None
    concurrency: int | None
    latency: Duration
    handler_time: Duration
    speed: float
    clock: Callable[[], float] | None
    now: datetime | None
    tokens: Mapping[str, Collection[str]] | None
    event_shape: EventShape
    login: Literal["page", "redirect"]
    seed: int
    host: str
    port: int


class FathomServer(ListeningServer):
    """A local server that speaks the Fathom API v1.

    It listens while its `async with` block runs. Durations are server seconds: with `speed=30` a window of a
    minute, the whole seconds of `Retry-After` and every delay pass thirty times as fast.

    Args:
        data: What the account has recorded; synthetic unless told.
        crud_throttle: The limit of accounts, sites, events and milestones; 2,000 an hour unless told, `None`
            for none.
        reports_throttle: The limit of aggregations and current visitors; 10 a minute unless told, `None` for
            none. Give the same object to both for a plan with a single limit.
        concurrency: How many requests may be in flight; beyond it the answer is 429.
        latency: Network time, drawn before the limiter and again after the endpoint: seconds, a range, or a
            function.
        handler_time: Time between being counted and being carried out, likewise.
        speed: Server seconds per real second.
        clock: Monotonic seconds, for tests that turn the time by hand; the event loop's unless told.
        now: The server's date and time at its start; the real one unless told.
        tokens: Abilities by token; any token is accepted for everything unless told.
        event_shape: `classic` knows events by id; `names` is the newer API without ids.
        login: What a bad token gets when it does not ask for JSON: a login page, or a redirect to one.
        seed: New ids, the order of unsorted rows, random delays and the synthetic data follow from it.
        host: The address to listen on.
        port: The port; a free one unless told.
    """

    _prefix = "/v1"

    def __init__(
        self,
        *,
        data: Dataset | None = None,
        crud_throttle: Throttle | Literal["documented"] | None = "documented",
        reports_throttle: Throttle | Literal["documented"] | None = "documented",
        concurrency: int | None = None,
        latency: Duration = 0.0,
        handler_time: Duration = 0.0,
        speed: float = 1.0,
        clock: Callable[[], float] | None = None,
        now: datetime | None = None,
        tokens: Mapping[str, Collection[str]] | None = None,
        event_shape: EventShape = "classic",
        login: Literal["page", "redirect"] = "page",
        seed: int = 1,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.clock: ServerClock = ServerClock(clock, speed, now)
        self.data: Dataset = data or Dataset.synthetic(seed=seed, until=self.clock.now().date())
        throttles: Mapping[str, Throttle | None] = {
            "crud": LaravelWindow(2000, per=3600) if crud_throttle == "documented" else crud_throttle,
            "reports": LaravelWindow(10, per=60) if reports_throttle == "documented" else reports_throttle,
        }
        known = Tokens(tokens)
        gate = Gate(
            Conditions(
                throttles=throttles,
                cap=None if concurrency is None else ConcurrencyCap(concurrency),
                latency=latency,
                handler_time=handler_time,
                login=login,
            ),
            self.clock,
            known,
            Random(f"{seed}:latency"),  # noqa: S311 - made-up delays
        )
        account = Account(self.data, self.clock, seed)
        self._context = Context(account, self.clock, known, event_shape)
        self._seed = seed
        super().__init__(gate, throttles, host, port)

    @classmethod
    def from_access_log(cls, path: str | Path, **options: Unpack[ServerOptions]) -> Self:
        """A server whose one site is the traffic of a web server's log.

        Args:
            path: A log in combined format, plain or gzipped. For more control over how it is read, pass
                `data=Dataset.from_access_log(...)` to the constructor.
            **options: As for the constructor, except `data`.
        """
        options["data"] = Dataset.from_access_log(path)
        return cls(**options)

    def _routes(self) -> Sequence[web.RouteDef]:
        chapters = (
            IdentityRoutes(self._context),
            SiteRoutes(self._context),
            EventRoutes(self._context),
            MilestoneRoutes(self._context),
            ReportRoutes(self._context, self.data, self._seed),
        )
        return [route for chapter in chapters for route in chapter.table()]
