"""The client of the Fathom API."""

import os
from collections.abc import Mapping
from typing import ClassVar, Literal, Self, Unpack, cast

import attrs

from fathom_async._cache.account import AccountFinder
from fathom_async._cache.entry import CachePolicy, namespace
from fathom_async._cache.report_cache import Store, open_cache
from fathom_async._core.session import Caller
from fathom_async._ratelimit.plan import ACCOUNT, RatePlan, plan_of
from fathom_async._resources.account import AccountResource, TokenResource
from fathom_async._resources.events import EventsResource
from fathom_async._resources.milestones import MilestonesResource
from fathom_async._resources.reports import ReportsResource
from fathom_async._resources.sites import SitesResource
from fathom_async._util import checks
from fathom_async._util.secrets import read_token
from fathom_async.errors import ArgumentError, ConfigurationError
from fathom_async.service import Credentials, Service, ServiceClient, ServiceOptions, bearer, network_options

BASE_URL = "https://api.usefathom.com/v1"

_WHAT = "the token, as created at https://app.usefathom.com/api,"


class FathomClient(ServiceClient):
    """A client of the Fathom Analytics API: ``async with FathomClient(token) as fathom``.

    One client serves any number of tasks of one event loop. Queue as many requests as you like; the client paces
    them within the account's rate limits.

    Args:
        token: API token, created at https://app.usefathom.com/api, or a function that returns it, with or without
            ``async``. The client calls the function before the first request and after a 401; budgets and stores then
            need a `budget_key`.
        base_url: Root of the API; `https`, or `http` to this machine.
        plan: The account's rate limits as a `RatePlan` or as text: ``classic``, or ``hourly:600:5`` for 600 requests
            an hour, 5 at once. By default, `RatePlan.classic()` until the server's answers show an hourly plan.
        **options: ``timeout``, ``retry``, ``max_body``, ``budget``, ``budget_key``, ``on_budget_lost``, ``on_event``,
            ``clock``, ``transport``, and for the network ``proxy``, ``trust_env``, ``ssl``, ``session``,
            ``max_header``, ``max_connections``: see `fathom_async.service.ServiceOptions`.

    Attributes:
        account: The account that owns the token.
        token: The token in use.
        sites: Websites.
        events: Events (goals) of a site.
        milestones: Dated annotations of a site's reports.
        reports: Aggregations and current visitors.

    Raises:
        ArgumentError: The token or the plan is malformed, the base URL would expose the token to the network, or the
            `budget` cannot be used.
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
        token: str | Credentials,
        *,
        base_url: str = BASE_URL,
        plan: RatePlan | str | None = None,
        **options: Unpack[ServiceOptions],
    ) -> None:
        root, is_learned = checks.base_url(base_url), plan is None
        if root.endswith("usefathom.com"):
            raise ConfigurationError(f"{root} is not the API's address, which is {BASE_URL}")
        plan = plan_of(plan) or RatePlan.classic()
        is_one = plan.reports is None
        given = options.get("budget_key")
        account = given or ("" if callable(token) else token)
        if not callable(token):
            options["budget_key"] = given or f"{root} {token}"
        settings = Service(
            base_url=base_url,
            authorization=bearer(_WHAT, token),
            limits={ACCOUNT: plan.crud}
            if plan.reports is None
            else {"crud": plan.crud, "reports": plan.reports},
            concurrency=plan.concurrency,
            reserves={ACCOUNT if is_one else "reports": plan.reserve},
            adaptive=plan.adaptive,
            is_learned=is_learned,
            aliases={"crud": ACCOUNT, "reports": ACCOUNT} if is_one else {},
            account=namespace(root, str(account)) if account else "",
            not_found_hint="" if "/v1" in root else f"The base URL has no /v1: is it {root}/v1?",
            **self._known(options),
        )
        self._start(settings)
        if settings.budget is not None and not (given or callable(token)):
            self._session.finder = AccountFinder(self._session, root, settings.account, settings.budget)

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        plan: RatePlan | str | None = None,
        **options: Unpack[ServiceOptions],
    ) -> Self:
        """Return a client for ``FATHOM_API_TOKEN``, or for the token in the file ``FATHOM_API_TOKEN_FILE``.

        It also reads ``FATHOM_BASE_URL``, ``FATHOM_PLAN``, ``FATHOM_RESERVE``,
        ``FATHOM_BUDGET``, ``FATHOM_BUDGET_KEY`` and ``FATHOM_ON_BUDGET_LOST``. Without a ``session``, it also reads
        ``FATHOM_MAX_HEADER``, ``FATHOM_MAX_CONNECTIONS``, ``HTTPS_PROXY``, ``NO_PROXY`` and ``SSL_CERT_FILE``;
        ``trust_env=False`` ignores the proxy.

        Args:
            environ: Environment variables; those of the process by default.
            plan: The account's rate limits; by default those of ``FATHOM_PLAN``, such as ``hourly:600:5``.
            **options: As for the constructor; a ``budget`` overrides the environment's.

        Raises:
            ArgumentError: There is no token, or ``FATHOM_PLAN`` is not a plan.
        """
        environ = os.environ if environ is None else environ
        token = environ.get("FATHOM_API_TOKEN")
        if not token and (file := environ.get("FATHOM_API_TOKEN_FILE")):
            token = read_token(file)
        if not token:
            raise ArgumentError("set FATHOM_API_TOKEN to a token from https://app.usefathom.com/api")
        if options.get("session") is None:
            options = cast("ServiceOptions", {**network_options(environ), **options})
        options.setdefault("budget", environ.get("FATHOM_BUDGET") or None)
        options.setdefault("budget_key", environ.get("FATHOM_BUDGET_KEY") or None)
        if lost := environ.get("FATHOM_ON_BUDGET_LOST"):
            options.setdefault("on_budget_lost", _fail_or_share(lost))
        return cls(
            token,
            base_url=environ.get("FATHOM_BASE_URL") or BASE_URL,
            plan=plan or _plan_from(environ),
            **options,
        )

    async def namespace(self, store: Store) -> str:
        """Return a prefix for keys of your own in a store: one for each account and server.

        It does not reveal the token. If a budget is shared and the account is not known yet, it is looked up
        first, as by `reports.run`.

        Args:
            store: The store; see `fathom_async.reports.ReportsResource.run`.

        Raises:
            ConfigurationError: The token may change, and ``budget_key`` is not set.
            StoreError: The store cannot be used.
        """
        await open_cache(Caller(self._session, self._options), store, CachePolicy()).find_account()
        return self._session.account

    def _bind(self, send: Caller) -> None:
        self.account = AccountResource(send)
        self.token = TokenResource(send)
        self.sites = SitesResource(send)
        self.events = EventsResource(send)
        self.milestones = MilestonesResource(send)
        self.reports = ReportsResource(send)


def _plan_from(environ: Mapping[str, str]) -> RatePlan | str | None:
    plan, reserve = environ.get("FATHOM_PLAN") or None, environ.get("FATHOM_RESERVE")
    if not reserve:
        return plan
    if not reserve.isdecimal():
        raise ConfigurationError(f"FATHOM_RESERVE must be a number of requests, not {reserve!r}")
    return attrs.evolve(plan_of(plan) or RatePlan.classic(), reserve=int(reserve))


def _fail_or_share(text: str) -> Literal["fail"] | float:
    try:
        return float(text)
    except ValueError:
        return cast('Literal["fail"]', text)  # what else it says is refused with the other settings
