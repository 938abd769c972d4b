"""Opening a session: its transport, its lanes and its budget, from the settings of a service."""

from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from attrs import evolve

from fathom_async._core.request import MaskingTransport
from fathom_async._core.retry import RetryPolicy
from fathom_async._core.session import Session
from fathom_async._core.settings import Service
from fathom_async._core.token import AskingTransport
from fathom_async._ratelimit.account import LearnedLanes
from fathom_async._ratelimit.lane import Lane
from fathom_async._ratelimit.plan import ACCOUNT, MOST_SHARED, RateLimit, RatePlan
from fathom_async._util.clock import Clock, LoopClock
from fathom_async._util.secrets import Secrets, of_header
from fathom_async._version import __version__
from fathom_async.errors import ConfigurationError
from fathom_async.telemetry import Adapted, Telemetry

if TYPE_CHECKING:
    from fathom_async._ratelimit.budget import Budget
    from fathom_async._ratelimit.shared.window import SharedWindow

T = TypeVar("T")


def open_session(settings: Service) -> Session:
    """Return the session of a client; see `fathom_async.service.ServiceClient` for errors."""
    from fathom_async._core.transport import HttpTransport  # noqa: PLC0415 - importing aiohttp takes long

    headers = {
        "Accept": "application/json",
        "User-Agent": f"fathom_async/{__version__}",
        **settings.headers,
    }
    clock = settings.clock or LoopClock()
    telemetry = Telemetry(settings.on_event)
    lane = _Lanes(settings, clock, telemetry)
    learned = lane.learned() if settings.is_learned else None
    sender = settings.transport or HttpTransport(
        settings.base_url,
        headers,
        max_body=settings.max_body,
        max_header=settings.max_header,
        max_connections=settings.max_connections,
        proxy=settings.proxy,
        trust_env=settings.trust_env,
        ssl=settings.ssl,
        session=settings.session,
    )

    def use(header: str) -> None:
        if isinstance(sender, HttpTransport):
            if settings.auth_query:
                sender.set_parameter(settings.auth_query, header)
            else:
                sender.set_header(settings.auth_header, header)

    header, transport = settings.authorization, MaskingTransport(sender, Secrets())
    if callable(header):
        transport = AskingTransport(sender, Secrets(), header, use)
    else:
        use(header)
        transport.conceal(*of_header(header))
    if isinstance(sender, HttpTransport):
        sender.tell_secrets(transport.conceal)
    return Session(
        transport,
        lane.given() if learned is None else learned.names,
        clock=clock,
        retry=settings.retry or RetryPolicy(),
        is_refusal=settings.is_refusal,
        limit_headers=settings.limit_headers,
        telemetry=telemetry,
        account=settings.account,
        not_found_hint=settings.not_found_hint,
        learned=learned,
        rekey=lane.rekey,
    )


class _Lanes:
    """Makes the lanes of a client."""

    def __init__(self, settings: Service, clock: Clock, telemetry: Telemetry) -> None:
        self._settings = settings
        self._clock = clock
        self._telemetry = telemetry
        self._budget = _budget(settings)
        self._windows: list[tuple[SharedWindow, str]] = []

    def given(self, on_moved: Callable[[int], None] | None = None) -> dict[str, Lane]:
        """Return the lanes of the settings, by name."""
        settings, lanes = self._settings, dict[str, Lane]()

        def elsewhere(name: str) -> set[int]:
            names = settings.limits.keys() - {name}
            return {settings.limits[other].requests for other in names} | {
                lanes[other].limit.requests for other in names
            }

        for name, limit in settings.limits.items():
            lanes[name] = self._make(name, limit, settings.concurrency, partial(elsewhere, name), on_moved)
        return {alias: lanes[name] for alias, name in settings.aliases.items()} or lanes

    def learned(self) -> LearnedLanes:
        """Return lanes that change with the plan, as the answers show it."""

        def moved(requests: int) -> None:
            learned.told(requests)

        learned = LearnedLanes(self.given(moved), self._hourly, self._report)
        return learned

    def rekey(self, key: str, asked: Lane | None) -> None:
        """Move all lanes to a budget of another key, where a request is held that was sent through one of them."""
        if self._budget is not None:
            self._budget = evolve(self._budget, key=key)
            for window, name in self._windows:
                self._budget.rekey(window, name)
                if asked is not None and asked.window is window:
                    window.hold()

    def _hourly(self, requests: int, concurrency: int) -> Lane:
        plan = RatePlan.hourly(requests, concurrency=concurrency)
        return self._make(ACCOUNT, plan.crud, plan.concurrency, frozenset)

    def _report(self, before: int, after: int) -> None:
        self._telemetry.adapted(Adapted(ACCOUNT, self._clock.now(), "plan", before, after))

    def _make(
        self,
        name: str,
        limit: RateLimit,
        concurrency: int | None,
        elsewhere: Callable[[], Collection[int]],
        on_moved: Callable[[int], None] | None = None,
    ) -> Lane:
        settings, share = self._settings, None
        reserve = settings.reserves.get(name, 0)
        if self._budget is not None:
            if limit.requests > MOST_SHARED:
                raise ConfigurationError(
                    f"a budget keeps count of {MOST_SHARED:,} requests in a window at the most, not of "
                    f"{limit.requests:,}: write the limit that the account has"
                )
            # Processes that learn another figure at different times must not disagree about one window.
            shared = f"{name} {limit.requests}" if name == ACCOUNT else name
            share = self._budget.window(
                shared,
                limit,
                clock=self._clock,
                timeout=settings.timeout,
                reserve=reserve,
                concurrency=concurrency,
                is_given=not settings.is_learned,
            )
            self._windows.append((share, shared))
        return Lane(
            name,
            limit,
            clock=self._clock,
            reserve=reserve,
            concurrency=concurrency,
            share=share,
            adaptive=settings.adaptive,
            elsewhere=elsewhere,
            outage=(settings.retry or RetryPolicy()).outage,
            on_moved=on_moved,
            telemetry=self._telemetry,
        )


def _budget(settings: Service) -> "Budget | None":
    given = settings.budget_key
    if settings.budget is None:
        return None
    from fathom_async._ratelimit.budget import Budget  # noqa: PLC0415 - most clients have none

    if given is None and callable(settings.authorization):
        raise ConfigurationError(
            "a budget is kept by account: name it by budget_key=, as the token may change"
        )
    key = given or f"{settings.base_url.rstrip('/')} {settings.authorization}"
    return Budget(settings.budget, key, settings.on_budget_lost)
