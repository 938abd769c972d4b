"""Rate limits, plans, priorities and the status of a lane: plain values."""

import enum
import re
from typing import Literal, Self

from attrs import field, frozen, validators

from fathom_async.errors import ArgumentError

MAX_IN_FLIGHT = 100
"""Requests in flight per lane if the plan names no concurrency: a courtesy to the server."""

MOST_SHARED = 1_000_000
"""The largest limit of which a shared budget keeps count: it holds some numbers for each request."""

_HOURLY = re.compile(r"hourly:0*([1-9][0-9]{0,8}):0*([1-9][0-9]{0,8})")

ACCOUNT = "account"
"""The lane of a plan that has one limit for all endpoints."""

BudgetState = Literal["ok", "lost", "share"]


class Priority(enum.IntEnum):
    """The order in which waiting requests are admitted; the lower number goes first."""

    INTERACTIVE = 0
    NORMAL = 1
    BULK = 2


@frozen
class RateLimit:
    """At most `requests` in any `per` seconds.

    Args:
        requests: How many requests the server admits in one window.
        per: Length of the window in seconds.
        burst: How many may be sent at once; None for all of them. A smaller burst spreads requests evenly.
    """

    requests: int = field(validator=[validators.instance_of(int), validators.ge(1)])
    per: float = field(validator=validators.gt(0))
    burst: int | None = field(default=None, validator=validators.optional(validators.ge(1)))

    def __attrs_post_init__(self) -> None:
        if self.burst is not None and self.burst > self.requests:
            raise ValueError(f"burst={self.burst} must not exceed requests={self.requests}")

    @property
    def pad(self) -> float:
        """Seconds added to the window, because some servers count in whole seconds."""
        return min(self.per / 60, 1.0)


@frozen
class RatePlan:
    """The limits of an account.

    Args:
        crud: Limit of the account, sites, events and milestones endpoints.
        reports: Limit of aggregations and current visitors; None if `crud` covers them too.
        concurrency: Requests the server allows in flight at once, per lane; None if it names no cap. Processes that
            share a budget count theirs together.
        reserve: Requests of every reports window left to the account's other clients, such as a dashboard.
        adaptive: Whether to adopt a larger limit when the server names one; a smaller one always is.
    """

    crud: RateLimit = RateLimit(2000, per=3600)
    reports: RateLimit | None = RateLimit(10, per=60)
    concurrency: int | None = field(default=None, validator=validators.optional(validators.ge(1)))
    reserve: int = field(default=0, validator=validators.ge(0))
    adaptive: bool = False

    def __attrs_post_init__(self) -> None:
        scarcest = self.reports or self.crud
        if self.reserve >= scarcest.requests:
            raise ValueError(f"reserve={self.reserve} leaves nothing of {scarcest.requests} requests")

    @classmethod
    def classic(cls) -> Self:
        """Return the documented limits: 2,000 an hour, and 10 a minute for reports."""
        return cls()

    @classmethod
    def hourly(cls, requests: int, *, concurrency: int) -> Self:
        """Return an hourly tier: one limit for every endpoint, and a cap on requests in flight.

        Args:
            requests: Requests an hour, such as 600 for tier 1.
            concurrency: Requests in flight at once, such as 5 for tier 1; processes that share a budget count
                theirs together.
        """
        return cls(crud=RateLimit(requests, per=3600), reports=None, concurrency=concurrency)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the plan of a text: ``classic``, or ``hourly:600:5`` for `hourly` with its two arguments.

        Raises:
            ArgumentError: The text is no plan.
        """
        if text.strip() == "classic":
            return cls.classic()
        hourly = _HOURLY.fullmatch(text.strip())
        if hourly is None:
            raise ArgumentError(
                f"{text!r} is no rate plan: write classic or hourly:REQUESTS:CONCURRENCY, such as hourly:600:5"
            )
        return cls.hourly(int(hourly[1]), concurrency=int(hourly[2]))


def plan_of(given: RatePlan | str | None) -> RatePlan | None:
    """Return a plan that was given as a plan or as text."""
    if given is None or isinstance(given, RatePlan):
        return given
    if isinstance(given, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may not check types
        return RatePlan.parse(given)
    raise ArgumentError(f"plan must be a RatePlan or a text such as hourly:600:5, not {given!r}")


@frozen
class LaneStatus:
    """A snapshot of a lane.

    Attributes:
        limit: Requests the server admits in one window.
        per: Length of the window in seconds.
        used: Permits that are out: requests that the server may still count, including those of other clients.
        in_flight: Requests sent and not yet answered.
        queued: Requests waiting for admission.
        next_slot_in: Seconds until a new request would be admitted.
        paused_for: Seconds for which the lane is paused, by the server or by you; 0 if it is not.
        budget: ``lost`` if the shared budget is out of reach and nothing is admitted; ``share`` if it is out of reach
            and the lane carries on with a share of the limit; otherwise ``ok``.
        waiting: Other processes waiting for permits of the same shared budget; 0 without one.
        away_for: Seconds for which the server has been away; None while it answers.
        retry_in: Seconds until the next request probes a server that is away.
    """

    limit: int
    per: float
    used: int
    in_flight: int
    queued: int
    next_slot_in: float
    paused_for: float = 0.0
    budget: BudgetState = "ok"
    waiting: int = 0
    away_for: float | None = None
    retry_in: float = 0.0
