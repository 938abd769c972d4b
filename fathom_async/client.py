"""The client: settings, resources, lifecycle."""

import os
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

from fathom_async.arguments import MISSING, NotGiven
from fathom_async.errors import ArgumentError
from fathom_async.ratelimit.clock import Clock, LoopClock
from fathom_async.ratelimit.lane import Lane
from fathom_async.ratelimit.plan import LaneStatus, Priority, RatePlan
from fathom_async.resources.account import AccountResource, TokenResource
from fathom_async.resources.events import EventsResource
from fathom_async.resources.milestones import MilestonesResource
from fathom_async.resources.reports import ReportsResource
from fathom_async.resources.sites import SitesResource
from fathom_async.retry import RetryPolicy
from fathom_async.session import Caller, Options, Session
from fathom_async.version import __version__

if TYPE_CHECKING:
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
        ArgumentError: The token cannot be one, or the base URL would show it to the network.
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
        session = Session(
            transport or HttpTransport(base_url, headers, max_body=max_body),
            _lanes(plan or RatePlan.classic(), clock),
            clock=clock,
            retry=retry or RetryPolicy(),
        )
        self._bind(session, Options(timeout=timeout), is_view=False)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Make a client from ``FATHOM_API_TOKEN`` and, where it is set, ``FATHOM_BASE_URL``.

        Args:
            environ: The environment; the process's own by default.

        Raises:
            ArgumentError: ``FATHOM_API_TOKEN`` is not set.
        """
        environ = os.environ if environ is None else environ
        token = environ.get("FATHOM_API_TOKEN")
        if not token:
            raise ArgumentError("set FATHOM_API_TOKEN to a token from https://app.usefathom.com/api")
        return cls(token, base_url=environ.get("FATHOM_BASE_URL") or BASE_URL)

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

    def eta(self, requests: int = 1, *, lane: str = "reports") -> float:
        """Return the seconds until the last of so many further requests would be admitted.

        Args:
            requests: How many requests.
            lane: ``reports`` or ``crud``.
        """
        return self._session.lanes[lane].eta(requests, self._options.priority)

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


def _lanes(plan: RatePlan, clock: Clock) -> dict[str, Lane]:
    if plan.reports is None:
        lane = Lane("account", plan.crud, clock=clock, reserve=plan.reserve, concurrency=plan.concurrency)
        return {"crud": lane, "reports": lane}
    return {
        "crud": Lane("crud", plan.crud, clock=clock, concurrency=plan.concurrency),
        "reports": Lane(
            "reports", plan.reports, clock=clock, reserve=plan.reserve, concurrency=plan.concurrency
        ),
    }
