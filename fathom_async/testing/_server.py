"""A Fathom server inside the process: the whole API over real sockets, real limits, real figures."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, Unpack

from aiohttp import web

from fathom_async._ratelimit.plan import RatePlan
from fathom_async.testing._account_state import AccountState, EventShape
from fathom_async.testing._dataset import Dataset
from fathom_async.testing._dialect import EXACT, ServerDialect
from fathom_async.testing._listening import CommonOptions, ListeningServer
from fathom_async.testing._middleware import Conditions, LimitHeaders
from fathom_async.testing._routes import Endpoints
from fathom_async.testing._throttle import ConcurrencyCap, LaravelWindow, Throttle
from fathom_async.testing._tokens import Tokens


class ServerOptions(CommonOptions, total=False):
    """The keyword arguments of `FathomServer`; each is optional."""

    data: Dataset
    plan: RatePlan | str
    crud_throttle: Throttle | None
    reports_throttle: Throttle | None
    concurrency: int | None
    limit_headers: LimitHeaders
    tokens: Mapping[str, Collection[str]] | None
    event_shape: EventShape
    dialect: ServerDialect
    login: Literal["page", "redirect"]


class FathomServer(ListeningServer):
    """A local server that speaks the Fathom API v1.

    It listens while its `async with` block runs. Durations are server seconds: with `speed=30` a window of a
    minute, the whole seconds of `Retry-After` and every delay pass thirty times as fast.

    Args:
        data: The account's records; synthetic by default.
        plan: The account's rate plan, as a `RatePlan` or as text: ``classic``, or ``hourly:600:5`` for 600 requests
            an hour over all endpoints, 5 at once.
        crud_throttle: The limit of accounts, sites, events and milestones instead of the plan's; `None` for none.
        reports_throttle: The limit of aggregations and current visitors instead of the plan's; `None` for none. Pass
            the same object twice for a single limit.
        concurrency: The most requests in flight instead of the plan's; the server answers 429 beyond it.
        limit_headers: Which answers have `X-RateLimit-*` headers: ``all``; the ``allowed``, so that a
            refusal has `Retry-After` alone; or ``none``. The service promises `Retry-After` only, and what it sends
            for too many requests in flight is not known.
        tokens: Abilities by token; by default, every token may do everything.
        event_shape: `classic` identifies events by id; `names` is the newer API without ids.
        dialect: How it compares texts, and reads values and moments; exactly by default.
        login: The answer to a bad token without `Accept: application/json`: a login page, or a redirect to one.
        **options: See `CommonOptions`.
    """

    _prefix = "/v1"

    def __init__(
        self,
        *,
        data: Dataset | None = None,
        plan: RatePlan | str = "classic",
        crud_throttle: Throttle | Literal["documented"] | None = "documented",
        reports_throttle: Throttle | Literal["documented"] | None = "documented",
        concurrency: int | None = None,
        limit_headers: LimitHeaders = "all",
        tokens: Mapping[str, Collection[str]] | None = None,
        event_shape: EventShape = "classic",
        dialect: ServerDialect = EXACT,
        login: Literal["page", "redirect"] = "page",
        **options: Unpack[CommonOptions],
    ) -> None:
        limits = RatePlan.parse(plan) if isinstance(plan, str) else plan
        crud = LaravelWindow(limits.crud.requests, limits.crud.per)
        scarce = limits.reports and LaravelWindow(limits.reports.requests, limits.reports.per)
        throttles: Mapping[str, Throttle | None] = {
            "crud": crud if crud_throttle == "documented" else crud_throttle,
            "reports": (scarce or crud) if reports_throttle == "documented" else reports_throttle,
        }
        at_once = concurrency or limits.concurrency
        known = Tokens(tokens)
        conditions = Conditions(
            throttles=throttles,
            cap=None if at_once is None else ConcurrencyCap(at_once),
            limit_headers=limit_headers,
            login=login,
        )
        super().__init__(conditions, known, options)
        seed = options.get("seed", 1)
        self.data: Dataset = data or Dataset.synthetic(seed=seed, until=self.clock.now().date())
        account = AccountState(self.data, self.clock, seed)
        self._endpoints = Endpoints(account, self.clock, known, event_shape, self.data, seed, dialect)

    def _routes(self) -> Sequence[web.RouteDef]:
        return self._endpoints.table()
