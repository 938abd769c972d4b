"""The client of the Fathom API."""

import os
from collections.abc import Mapping
from typing import ClassVar, Self, Unpack

from fathom_async._cache.entry import namespace
from fathom_async._core.session import Caller
from fathom_async._ratelimit.plan import RatePlan
from fathom_async._resources.account import AccountResource, TokenResource
from fathom_async._resources.events import EventsResource
from fathom_async._resources.milestones import MilestonesResource
from fathom_async._resources.reports import ReportsResource
from fathom_async._resources.sites import SitesResource
from fathom_async.errors import ArgumentError
from fathom_async.service import ServiceClient, ServiceOptions, Settings, credential

BASE_URL = "https://api.usefathom.com/v1"

_WHAT = "the token, as created at https://app.usefathom.com/api,"


class FathomClient(ServiceClient):
    """A client of the Fathom Analytics API: ``async with FathomClient(token) as fathom``.

    One client serves any number of tasks of one event loop. Queue as many requests as you like; the client paces
    them within the account's rate limits.

    Args:
        token: API token, created at https://app.usefathom.com/api.
        base_url: Root of the API; `https`, or `http` to this machine.
        plan: The account's rate limits; `RatePlan.classic()` by default.
        **options: ``timeout``, ``retry``, ``max_body``, ``budget``, ``budget_key``, ``on_budget_lost``, ``on_event``,
            ``clock``, ``transport``: see `fathom_async.service.ServiceOptions`.

    Attributes:
        account: The account that owns the token.
        token: The token in use.
        sites: Websites.
        events: Events (goals) of a site.
        milestones: Dated annotations of a site's reports.
        reports: Aggregations and current visitors.

    Raises:
        ArgumentError: The token is malformed, the base URL would expose it to the network, or the budget cannot be
            kept where `budget` says.
    """

    account: AccountResource
    token: TokenResource
    sites: SitesResource
    events: EventsResource
    milestones: MilestonesResource
    reports: ReportsResource

    _scarcest: ClassVar[str] = "reports"

    def __init__(
        self,
        token: str,
        *,
        base_url: str = BASE_URL,
        plan: RatePlan | None = None,
        **options: Unpack[ServiceOptions],
    ) -> None:
        plan = plan or RatePlan.classic()
        is_one = plan.reports is None
        options["budget_key"] = options.get("budget_key") or f"{base_url.rstrip('/')} {token}"
        settings = Settings(
            base_url=base_url,
            authorization=f"Bearer {credential(_WHAT, token)}",
            limits={"account": plan.crud}
            if plan.reports is None
            else {"crud": plan.crud, "reports": plan.reports},
            concurrency=plan.concurrency,
            reserves={"account" if is_one else "reports": plan.reserve},
            adaptive=plan.adaptive,
            aliases={"crud": "account", "reports": "account"} if is_one else {},
            account=namespace(base_url, token),
            **options,
        )
        self._start(settings)

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] | None = None, *, plan: RatePlan | None = None, timeout: float = 30.0
    ) -> Self:
        """Return a client for ``FATHOM_API_TOKEN`` and, if set, ``FATHOM_BASE_URL`` and ``FATHOM_BUDGET``.

        Args:
            environ: Environment variables; those of the process by default.
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

    def _bind(self, send: Caller) -> None:
        self.account = AccountResource(send)
        self.token = TokenResource(send)
        self.sites = SitesResource(send)
        self.events = EventsResource(send)
        self.milestones = MilestonesResource(send)
        self.reports = ReportsResource(send)
