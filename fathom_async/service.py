"""Clients of any rate-limited service.

A `Service` describes its address, credentials, limits and refusals. A `ServiceClient` sends requests to it; with
models and methods, it is a client like `FathomClient`. ``docs/services.md`` has an example.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from copy import copy
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, NoReturn, Self, TypeVar, cast

from attrs import evolve

from fathom_async._core.codec.objects import encode, object_decoder, parse
from fathom_async._core.opening import open_session
from fathom_async._core.pagination import Following, LinkedPage, Listing, by_link, by_next, with_link
from fathom_async._core.proxy import network_options
from fathom_async._core.request import (
    Options,
    Parameter,
    Request,
    Response,
    Transport,
    checked,
    free_request,
    is_too_many,
    path,
)
from fathom_async._core.retry import was_perhaps_done
from fathom_async._core.session import Caller, Session
from fathom_async._core.settings import MAX_BODY, Service, ServiceOptions
from fathom_async._core.token import Credentials, bearer
from fathom_async._ratelimit.admission import LimitHeaders
from fathom_async._ratelimit.lane import Lane
from fathom_async._ratelimit.plan import LaneStatus, Priority, RateLimit
from fathom_async._util import checks
from fathom_async._util.checks import MISSING, NotGiven, credential
from fathom_async._util.tables import table_html
from fathom_async._util.tasks import gather_all
from fathom_async.errors import ArgumentError
from fathom_async.models import Page
from fathom_async.telemetry import Stats

T = TypeVar("T")

__all__ = [
    "MAX_BODY",
    "Caller",
    "Credentials",
    "Following",
    "LimitHeaders",
    "LinkedPage",
    "Listing",
    "Options",
    "Priority",
    "RateLimit",
    "Request",
    "Response",
    "Service",
    "ServiceClient",
    "ServiceOptions",
    "Transport",
    "bearer",
    "by_link",
    "by_next",
    "credential",
    "encode",
    "is_too_many",
    "network_options",
    "object_decoder",
    "parse",
    "path",
    "was_perhaps_done",
    "with_link",
]


class ServiceClient:
    """A client of one service, and views of it with other options.

    Args:
        settings: The service, and how to use it.

    Raises:
        ArgumentError: The base URL is invalid or would expose the credentials to the network, or the budget cannot
            be used.
    """

    _scarcest: ClassVar[str] = ""
    """The lane that methods are about unless they are given another; the first by default."""

    _session: Session
    _options: Options
    _is_view: bool

    def __init__(self, settings: Service) -> None:
        self._start(settings)

    def _bind(self, send: Caller) -> None:
        """Create the resources, if any, which send through this caller."""

    @classmethod
    def _known(cls, options: ServiceOptions) -> ServiceOptions:
        """Return the keyword arguments of a client.

        Raises:
            TypeError: One of them is not in `ServiceOptions`.
        """
        for name in options.keys() - ServiceOptions.__annotations__.keys():
            hint = checks.suggestion(name, ServiceOptions.__annotations__.keys())
            raise TypeError(f"{cls.__name__}() got an unexpected keyword argument {name!r}{hint}")
        return options

    def _start(self, settings: Service) -> None:
        """Open a session."""
        session, options = open_session(settings), Options(timeout=settings.timeout)
        self.base_url: str = settings.base_url.rstrip("/")
        self._use(session, options, is_view=False)

    def _use(self, session: Session, options: Options, *, is_view: bool) -> None:
        self._session = session
        self._options = options
        self._is_view = is_view
        self._bind(Caller(session, options))

    def send(self, request: Request[T]) -> Coroutine[object, object, T]:
        """Return a coroutine that sends a request through its lane, with the options of this view.

        Raises:
            ArgumentError: The request is invalid.
            FathomError: As for the client's own requests.
        """
        return Caller(self._session, self._options)(checked(request))

    def listing(self, first: Request[Page[T]], following: Following[T]) -> Listing[T]:
        """Return a list: await it for one page, iterate over it for everything.

        Args:
            first: The request for the first page.
            following: Returns the request for the next page: `by_link`, `by_next`, or your own function.
        """
        return Listing(Caller(self._session, self._options), checked(first), following)

    def with_options(
        self,
        *,
        priority: Priority | NotGiven = MISSING,
        max_wait: float | NotGiven | None = MISSING,
        timeout: float | NotGiven = MISSING,
        flow: str | NotGiven | None = MISSING,
    ) -> Self:
        """Return a view of the client with different options.

        Args:
            priority: Order among waiting requests.
            max_wait: Longest wait for admission in seconds; a longer one raises `WaitTooLongError` at once. None
                for no bound.
            timeout: Seconds from an attempt's admission to its complete answer; `max_wait` bounds the time before.
            flow: Waiting requests of one priority take turns by flow, such as a visitor. Each run is a flow; all
                other requests are one by default.
        """
        given = {"priority": priority, "max_wait": max_wait, "timeout": timeout, "flow": flow}
        chosen = {name: value for name, value in given.items() if value is not MISSING}
        options = cast("Callable[..., Options]", evolve)(self._options, **chosen)
        view = copy(self)
        view._use(self._session, options, is_view=True)  # noqa: SLF001 - the same class
        return view

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Parameter | Sequence[Parameter]] | None = None,
        json: Mapping[str, object] | Sequence[object] | None = None,
        lane: str | None = None,
    ) -> object:
        """Send a request that this version has no method for, with the same limits, retries and errors.

        Args:
            method: ``GET``, ``PUT`` and ``DELETE`` are retried after failures, ``POST`` and ``PATCH`` only if they
                certainly were not processed.
            path: Path below the base URL, such as ``/sites/CDBUGS``; its segments are quoted, and may not be empty
                or dots.
            params: Query parameters; None leaves one out, a list repeats it.
            json: Body of the request, an object or a list.
            lane: One of the names in `limits`, the first of them by default.

        Returns:
            The parsed JSON of the answer; None if it has no body.

        Raises:
            ArgumentError: The method, the path, a parameter or the lane is invalid, or the body is not JSON.
            FathomError: As from any other method.
        """
        name = next(iter(self._session.lanes)) if lane is None else lane
        self._lane(name)
        return await Caller(self._session, self._options)(
            free_request(method, path, params or {}, json, name)
        )

    @property
    def limits(self) -> Mapping[str, LaneStatus]:
        """A snapshot of each lane."""
        return {name: lane.status() for name, lane in self._session.lanes.items()}

    async def look(self) -> Mapping[str, LaneStatus]:
        """Return `limits` with the current state of the shared budget; sends no request to the service.

        `limits` itself never waits: for a budget in Redis, it shows the last known state.

        Raises:
            BudgetError: The budget is unreachable.
            ConfigurationError: Other processes use it with different limits or in another format, or it rejects this
                client.
            ClosedError: The client was closed.
        """
        if self._session.finder is not None and self._session.finder.is_searching:
            await self._session.finder.look()
        known: set[Lane] = set()
        while lanes := set(self._session.lanes.values()) - known:  # the budget may know of other ones
            await gather_all(lane.refresh() for lane in lanes)
            known |= lanes
        return self.limits

    @property
    def stats(self) -> Stats:
        """Counts of what this client and all of its views have sent so far."""
        return self._session.telemetry.stats()

    def expect(self, priority: Priority) -> None:
        """Reserve permits for requests of this priority from now on, before the first one.

        Each request does the same for a day. Call this when an interactive application starts, so that its first page
        does not wait behind a bulk job of the same budget.
        """
        if self._session.learned is not None:
            self._session.learned.expect(priority)
            return
        for lane in set(self._session.lanes.values()):
            lane.expect(priority)

    def eta(self, requests: int = 1, *, lane: str | None = None) -> float:
        """Estimate the seconds until this many more requests would have been admitted.

        Args:
            requests: How many requests, at least 1.
            lane: One of the names in `limits`; the scarcest by default.
        """
        options = self._options
        return self._lane(lane).eta(checks.count("requests", requests), options.priority, options.flow)

    def pause(self, seconds: float, *, lane: str | None = None) -> None:
        """Admit nothing on a lane for this long; waiting requests with a shorter `max_wait` fail at once.

        Args:
            seconds: How long.
            lane: One of the names in `limits`; the scarcest by default.
        """
        self._lane(lane).pause(checks.seconds("seconds", seconds, least=0))

    def resume(self, *, lane: str | None = None) -> None:
        """End a pause, yours or the server's, but not one that a shared budget keeps for all processes.

        Args:
            lane: One of the names in `limits`; the scarcest by default.
        """
        self._lane(lane).resume()

    async def drain(self, seconds: float = 10.0) -> None:
        """Send nothing any more, and wait for the answers to the requests that are in flight; then call `aclose`.

        So a program that is told to stop does not lose answers that the server has counted. Requests that wait for
        admission wait on, and fail with `ClosedError` when the client is closed. Draining a view does nothing.

        Args:
            seconds: How long to wait at most.
        """
        checks.seconds("seconds", seconds, least=0)
        if not self._is_view:
            await self._session.drain(seconds)

    async def aclose(self) -> None:
        """Close the connections; requests that are waiting or in flight fail with `ClosedError`.

        Closing a view made by `with_options` does nothing.
        """
        if not self._is_view:
            await self._session.close()

    def __repr__(self) -> str:
        lanes = ", ".join(map(repr, dict.fromkeys(self._session.lanes.values())))
        return f"<{type(self).__name__}{' (closed)' if self._session.scope.is_shut else ''}: {lanes}>"

    def _repr_html_(self) -> str | None:
        try:
            limits = self.limits
        except RuntimeError:  # no event loop runs here
            return None
        names = ("lane", "used", "of", "per (s)", "waiting", "in flight", "next in (s)")
        rows = [
            (
                name,
                lane.used,
                lane.limit,
                round(lane.per),
                lane.queued,
                lane.in_flight,
                round(lane.next_slot_in),
            )
            for name, lane in limits.items()
        ]
        return table_html(names, rows, range(1, len(names)), len(rows))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    if not TYPE_CHECKING:

        def __enter__(self) -> NoReturn:
            raise TypeError(
                f"a client is asynchronous: write `async with {type(self).__name__}(...) as client`"
            )

        __exit__ = None

        def __getattr__(self, name: str) -> NoReturn:
            known = [each for each in (*dir(type(self)), *vars(self)) if not each.startswith("_")]
            told = f"{type(self).__name__} has no {name!r}{checks.suggestion(name, known)}"
            raise AttributeError(told, name=name)

    def _lane(self, name: str | None) -> Lane:
        name = (self._scarcest or next(iter(self._session.lanes))) if name is None else name
        if name not in self._session.lanes:
            raise ArgumentError(f"lane must be one of {', '.join(self._session.lanes)}, not {name!r}")
        return self._session.lanes[name]
