"""The client: settings, resources, lifecycle."""

import os
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from fathom_async import arguments
from fathom_async.arguments import MISSING, NotGiven
from fathom_async.errors import ArgumentError
from fathom_async.ratelimit.clock import Clock, LoopClock
from fathom_async.ratelimit.lane import Lane
from fathom_async.ratelimit.plan import LaneStatus, Priority, RateLimit, RatePlan
from fathom_async.resources.account import AccountResource, TokenResource
from fathom_async.resources.events import EventsResource
from fathom_async.resources.milestones import MilestonesResource
from fathom_async.resources.reports import ReportsResource
from fathom_async.resources.sites import SitesResource
from fathom_async.retry import RetryPolicy
from fathom_async.session import Caller, Options, Session
from fathom_async.store.kept import namespace
from fathom_async.telemetry import Hook, Journal, Stats
from fathom_async.version import __version__

if TYPE_CHECKING:
    from fathom_async.ratelimit.budget import Budget
    from fathom_async.transport import Transport

BASE_URL = "https://api.usefathom.com/v1"
MAX_BODY = 64 * 1024 * 1024


class FathomClient:
    """A client of the Fathom Analytics API, used as ``async with FathomClient(token) as fathom``.

    One client serves any number of tasks of one event loop: start as many requests as you like, its lanes keep
    them inside the account's rate limits.

    Args:
        token: API token, as made at https://app.usefathom.com/api.
        base_url: Where the API lives; `https`, or `http` to this machine.
        plan: The account's rate limits; `RatePlan.classic()` by default.
        timeout: Seconds from a request's admission to its whole answer. Waiting for admission does not count.
        retry: How often to try again after a failure.
        max_body: The largest answer to read, in bytes after decompression.
        budget: Where the rate limits are kept that other processes spend too: ``file:///path`` for the
            processes of one machine, ``redis://host:port/db`` for those of many. None: this client is the only
            one.
        budget_key: Which budget of those kept there; clients that share one give the same key. By default each
            token has its own.
        on_budget_lost: What to do when the budget is out of reach for some seconds: ``"fail"`` with
            `BudgetError`, or carry on with a share of the limits, such as 0.25 when four processes share them.
            Either ends by itself.
        on_event: Is called with every event of `fathom_async.telemetry`, in the event loop; it must be quick.
        clock: Where the lanes take time from; for tests and demonstrations.
        transport: What sends requests instead of aiohttp; for tests. It is closed with the client.

    Attributes:
        account: The account that owns the token.
        token: The token in use.
        sites: Websites.
        events: Events (goals) of a site.
        milestones: Dated annotations of a site's reports.
        reports: Aggregations and current visitors.

    Raises:
        ArgumentError: The token cannot be one, the base URL would show it to the network, or the budget cannot
            be kept where `budget` says.
    """

    account: AccountResource
    token: TokenResource
    sites: SitesResource
    events: EventsResource
    milestones: MilestonesResource
    reports: ReportsResource

    def __init__(
        self,
        token: str,
        *,
        base_url: str = BASE_URL,
        plan: RatePlan | None = None,
        timeout: float = 30.0,
        retry: RetryPolicy | None = None,
        max_body: int = MAX_BODY,
        budget: str | None = None,
        budget_key: str | None = None,
        on_budget_lost: Literal["fail"] | float = "fail",
        on_event: Hook | None = None,
        clock: Clock | None = None,
        transport: "Transport | None" = None,
    ) -> None:
        from fathom_async.transport import HttpTransport  # noqa: PLC0415 - it imports aiohttp, which takes long

        headers = {
            "Authorization": f"Bearer {_checked(token)}",
            "Accept": "application/json",
            "User-Agent": f"fathom_async/{__version__}",
        }
        clock = clock or LoopClock()
        journal = Journal(on_event)
        session = Session(
            transport or HttpTransport(base_url, headers, max_body=max_body),
            _lanes(
                plan or RatePlan.classic(),
                clock,
                timeout,
                _budget(budget, budget_key or f"{base_url.rstrip('/')} {token}", on_budget_lost),
                journal,
            ),
            clock=clock,
            retry=retry or RetryPolicy(),
            journal=journal,
            account=namespace(base_url, token),
        )
        self._bind(session, Options(timeout=timeout), is_view=False)

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] | None = None, *, plan: RatePlan | None = None, timeout: float = 30.0
    ) -> Self:
        """Make a client from ``FATHOM_API_TOKEN`` and, where they are set, ``FATHOM_BASE_URL`` and ``FATHOM_BUDGET``.

        Args:
            environ: The environment; the process's own by default.
            plan: The account's rate limits; `RatePlan.classic()` by default.
            timeout: Seconds from a request's admission to its whole answer.

        Raises:
            ArgumentError: ``FATHOM_API_TOKEN`` is not set.
        """
        environ = os.environ if environ is None else environ
        token = environ.get("FATHOM_API_TOKEN")
        if not token:
            raise ArgumentError("set FATHOM_API_TOKEN to a token from https://app.usefathom.com/api")
        return cls(
            token,
            base_url=environ.get("FATHOM_BASE_URL") or BASE_URL,
            plan=plan,
            timeout=timeout,
            budget=environ.get("FATHOM_BUDGET") or None,
        )

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
        view = object.__new__(type(self))
        view._bind(self._session, options, is_view=True)
        return view

    @property
    def limits(self) -> Mapping[str, LaneStatus]:
        """What each lane looks like now: ``crud`` and ``reports``, the same one where a plan has one limit."""
        return {name: lane.status() for name, lane in self._session.lanes.items()}

    @property
    def stats(self) -> Stats:
        """What this client, with all of its views, has sent so far."""
        return self._session.journal.stats()

    def eta(self, requests: int = 1, *, lane: str = "reports") -> float:
        """Return the seconds until the last of so many further requests would be admitted.

        Args:
            requests: How many requests, at least 1.
            lane: ``reports`` or ``crud``.
        """
        return self._lane(lane).eta(arguments.count("requests", requests), self._options.priority)

    def pause(self, seconds: float, *, lane: str = "reports") -> None:
        """Admit nothing on a lane for so many seconds; who cannot wait that long is told at once.

        Args:
            seconds: How long.
            lane: ``reports`` or ``crud``.
        """
        self._lane(lane).pause(arguments.seconds("seconds", seconds, least=0))

    def resume(self, *, lane: str = "reports") -> None:
        """End a pause, be it yours or the server's; not one that a shared budget keeps for all processes.

        Args:
            lane: ``reports`` or ``crud``.
        """
        self._lane(lane).resume()

    async def aclose(self) -> None:
        """Close the connections; requests that still wait or run end with `ClosedError`.

        Closing a view that `with_options` made does nothing.
        """
        if not self._is_view:
            await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _lane(self, name: str) -> Lane:
        if name not in self._session.lanes:
            raise ArgumentError(f"lane must be one of {', '.join(self._session.lanes)}, not {name!r}")
        return self._session.lanes[name]

    def _bind(self, session: Session, options: Options, *, is_view: bool) -> None:
        self._session = session
        self._options = options
        self._is_view = is_view
        send = Caller(session, options)
        self.account = AccountResource(send)
        self.token = TokenResource(send)
        self.sites = SitesResource(send)
        self.events = EventsResource(send)
        self.milestones = MilestonesResource(send)
        self.reports = ReportsResource(send)


def _checked(token: str) -> str:
    if (
        not isinstance(token, str)
        or not token
        or not token.isascii()
        or not token.isprintable()
        or " " in token
    ):
        raise ArgumentError(
            "the token must be a text without spaces, as made at https://app.usefathom.com/api"
        )
    return token


def _budget(url: str | None, key: str, on_lost: Literal["fail"] | float) -> "Budget | None":
    if url is None:
        return None
    from fathom_async.ratelimit.budget import Budget  # noqa: PLC0415 - most clients have none

    return Budget(url, key, on_lost)


def _lanes(
    plan: RatePlan, clock: Clock, timeout: float, budget: "Budget | None", journal: Journal
) -> dict[str, Lane]:
    limits = {"account": plan.crud} if plan.reports is None else {"crud": plan.crud, "reports": plan.reports}
    lanes: dict[str, Lane] = {}

    def lane(name: str, limit: RateLimit) -> Lane:
        reserve = 0 if name == "crud" else plan.reserve
        share = None
        if budget is not None:
            share = budget.window(name, limit, clock=clock, timeout=timeout, reserve=reserve)
        return Lane(
            name,
            limit,
            clock=clock,
            reserve=reserve,
            concurrency=plan.concurrency,
            share=share,
            adaptive=plan.adaptive,
            elsewhere=lambda: {
                number
                for other in limits.keys() - {name}
                for number in (limits[other].requests, lanes[other].limit.requests)
            },
            journal=journal,
        )

    lanes |= {name: lane(name, limit) for name, limit in limits.items()}
    return {"crud": lanes["account"], "reports": lanes["account"]} if "account" in lanes else lanes
