"""What the clients of all services share: options, a view on the lanes, opening and closing.

A service is a plain value: where it lives, who asks, what it admits, and what its refusals look like. Together with
models and resource methods it makes a client.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from copy import copy
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Literal, Self, TypedDict

from attrs import field, frozen

from fathom_async._core.request import Request, Response, Transport
from fathom_async._core.retry import RetryPolicy
from fathom_async._core.session import Caller, Options, Session, is_too_many
from fathom_async._ratelimit.lane import Lane
from fathom_async._ratelimit.plan import LaneStatus, Priority, RateLimit
from fathom_async._util import checks
from fathom_async._util.checks import MISSING, NotGiven
from fathom_async._util.clock import Clock, LoopClock
from fathom_async._util.tasks import gather_all
from fathom_async._version import __version__
from fathom_async.errors import ArgumentError
from fathom_async.telemetry import Hook, Stats, Telemetry

if TYPE_CHECKING:
    from fathom_async._ratelimit.budget import Budget

__all__ = [
    "MAX_BODY",
    "Caller",
    "Options",
    "Request",
    "Response",
    "Service",
    "ServiceClient",
    "ServiceOptions",
    "Transport",
    "credential",
    "open_session",
]

MAX_BODY = 64 * 1024 * 1024
"""Bytes of the largest answer that is read, unless a client is told otherwise."""


@frozen
class Service:
    """What one service differs in from another, as far as a session is concerned.

    Attributes:
        base_url: Where the API lives; `https`, or `http` to this machine.
        authorization: The header of that name; a secret.
        limits: The rate limit of each lane.
        concurrency: Requests in flight at once, per lane; None for a hundred.
        is_refusal: Tells an answer that refuses a request for going over a rate limit.
        reserves: Requests of every window of a lane left to the account's other clients.
        adaptive: Whether to adopt a larger limit when the server names one; a smaller one always is.
        aliases: The lane that goes by another name too.
        account: What tells the answers of this account from those of others; it holds no secret.
    """

    base_url: str
    authorization: str = field(repr=False)
    limits: Mapping[str, RateLimit]
    concurrency: int | None = None
    is_refusal: Callable[[Response], bool] = is_too_many
    reserves: Mapping[str, int] = field(factory=dict[str, int])
    adaptive: bool = False
    aliases: Mapping[str, str] = field(factory=dict[str, str])
    account: str = ""


class ServiceOptions(TypedDict, total=False):
    """Settings that the clients of all services have in common; each may be left out.

    Attributes:
        timeout: Seconds from a request's admission to its whole answer; 30 unless given.
        retry: How often to try again after a failure.
        max_body: The largest answer to read, in bytes after decompression.
        budget: Where the rate limits are kept that other processes spend too, as for `FathomClient`.
        budget_key: Which budget of those kept there; by default each set of credentials has its own.
        on_budget_lost: What to do when the budget is out of reach, as for `FathomClient`.
        on_event: Is called with every event of `fathom_async.telemetry`, in the event loop.
        clock: Where the lanes take time from; for tests and demonstrations.
        transport: What sends requests instead of aiohttp; for tests. It is closed with the client.
    """

    timeout: float
    retry: RetryPolicy | None
    max_body: int
    budget: str | None
    budget_key: str | None
    on_budget_lost: Literal["fail"] | float
    on_event: Hook | None
    clock: Clock | None
    transport: "Transport | None"


class ServiceClient(ABC):
    """A client of one service: resources over one session, and views of it with other options."""

    _scarcest: ClassVar[str]
    """The lane that is meant where none is named."""

    _session: Session
    _options: Options
    _is_view: bool

    @abstractmethod
    def _bind(self, send: Caller) -> None:
        """Make the resources, which send through this caller."""

    def _start(self, session: Session, options: Options, *, is_view: bool = False) -> None:
        self._session = session
        self._options = options
        self._is_view = is_view
        self._bind(Caller(session, options))

    def with_options(
        self,
        *,
        priority: Priority | NotGiven = MISSING,
        max_wait: float | NotGiven | None = MISSING,
        timeout: float | NotGiven = MISSING,
    ) -> Self:
        """Return a view of this client that sends with other options; it shares everything else.

        Args:
            priority: Who goes first when requests wait.
            max_wait: Seconds to wait for admission; a longer wait raises `WaitTooLongError` at once. None for
                as long as it takes.
            timeout: Seconds from a request's admission to its whole answer.
        """
        old = self._options
        options = Options(
            priority=old.priority if priority is MISSING else priority,
            max_wait=old.max_wait if max_wait is MISSING else max_wait,
            timeout=old.timeout if timeout is MISSING else timeout,
        )
        view = copy(self)
        view._start(self._session, options, is_view=True)  # noqa: SLF001 - it is one of us
        return view

    @property
    def limits(self) -> Mapping[str, LaneStatus]:
        """What each lane looks like now."""
        return {name: lane.status() for name, lane in self._session.lanes.items()}

    async def look(self) -> Mapping[str, LaneStatus]:
        """Return `limits` as they are now for all who share the budget; nothing is sent, and nothing is spent.

        `limits` itself never waits: of a budget in Redis, it tells what was heard last.

        Raises:
            BudgetError: The budget is out of reach, or others share it with other limits.
            ClosedError: The client was closed.
        """
        await gather_all(lane.refresh() for lane in set(self._session.lanes.values()))
        return self.limits

    @property
    def stats(self) -> Stats:
        """What this client, with all of its views, has sent so far."""
        return self._session.telemetry.stats()

    def eta(self, requests: int = 1, *, lane: str | None = None) -> float:
        """Return the seconds until the last of so many further requests would be admitted.

        Args:
            requests: How many requests, at least 1.
            lane: One of the names in `limits`; the scarcest unless given.
        """
        return self._lane(lane).eta(checks.count("requests", requests), self._options.priority)

    def pause(self, seconds: float, *, lane: str | None = None) -> None:
        """Admit nothing on a lane for so many seconds; who cannot wait that long is told at once.

        Args:
            seconds: How long.
            lane: One of the names in `limits`; the scarcest unless given.
        """
        self._lane(lane).pause(checks.seconds("seconds", seconds, least=0))

    def resume(self, *, lane: str | None = None) -> None:
        """End a pause, be it yours or the server's; not one that a shared budget keeps for all processes.

        Args:
            lane: One of the names in `limits`; the scarcest unless given.
        """
        self._lane(lane).resume()

    async def aclose(self) -> None:
        """Close the connections; requests that still wait or run end with `ClosedError`.

        Closing a view that `with_options` made does nothing.
        """
        if not self._is_view:
            await self._session.close()

    def __repr__(self) -> str:
        lanes = ", ".join(map(repr, dict.fromkeys(self._session.lanes.values())))
        return f"<{type(self).__name__}{' (closed)' if self._session.scope.is_shut else ''}: {lanes}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _lane(self, name: str | None) -> Lane:
        name = self._scarcest if name is None else name
        if name not in self._session.lanes:
            raise ArgumentError(f"lane must be one of {', '.join(self._session.lanes)}, not {name!r}")
        return self._session.lanes[name]


def open_session(service: Service, options: ServiceOptions) -> Session:
    """Open a session with a service.

    Raises:
        ArgumentError: The base URL is none or would show the credentials to the network, or the budget cannot be
            kept where `budget` says.
    """
    from fathom_async._core.transport import HttpTransport  # noqa: PLC0415 - it imports aiohttp, which takes long

    headers = {
        "Authorization": service.authorization,
        "Accept": "application/json",
        "User-Agent": f"fathom_async/{__version__}",
    }
    clock = options.get("clock") or LoopClock()
    telemetry = Telemetry(options.get("on_event"))
    transport = options.get("transport") or HttpTransport(
        service.base_url, headers, max_body=options.get("max_body", MAX_BODY)
    )
    return Session(
        transport,
        _lanes(service, clock, telemetry, options),
        clock=clock,
        retry=options.get("retry") or RetryPolicy(),
        is_refusal=service.is_refusal,
        telemetry=telemetry,
        account=service.account,
        secret=service.authorization.rpartition(" ")[2],
    )


def credential(what: str, text: object) -> str:
    """Check a token or key. The message does not show it.

    Raises:
        ArgumentError: It cannot be sent in a header.
    """
    if not isinstance(text, str) or not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ArgumentError(f"{what} must be a text of ASCII characters without spaces")
    return text


def _lanes(service: Service, clock: Clock, telemetry: Telemetry, options: ServiceOptions) -> dict[str, Lane]:
    budget, timeout = _budget(service, options), options.get("timeout", Options().timeout)
    limits = service.limits
    lanes: dict[str, Lane] = {}

    def lane(name: str, limit: RateLimit) -> Lane:
        reserve = service.reserves.get(name, 0)
        share = None
        if budget is not None:
            share = budget.window(name, limit, clock=clock, timeout=timeout, reserve=reserve)
        return Lane(
            name,
            limit,
            clock=clock,
            reserve=reserve,
            concurrency=service.concurrency,
            share=share,
            adaptive=service.adaptive,
            elsewhere=lambda: {
                number
                for other in limits.keys() - {name}
                for number in (limits[other].requests, lanes[other].limit.requests)
            },
            telemetry=telemetry,
        )

    lanes |= {name: lane(name, limit) for name, limit in limits.items()}
    if not service.aliases:
        return lanes
    return {alias: lanes[name] for alias, name in service.aliases.items()}


def _budget(service: Service, options: ServiceOptions) -> "Budget | None":
    url = options.get("budget")
    if url is None:
        return None
    from fathom_async._ratelimit.budget import Budget  # noqa: PLC0415 - most clients have none

    key = options.get("budget_key") or f"{service.base_url.rstrip('/')} {service.authorization}"
    return Budget(url, key, options.get("on_budget_lost", "fail"))
