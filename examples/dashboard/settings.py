"""Settings from the environment, which is all that the worker processes share."""

import os
from collections.abc import Mapping
from typing import Self

from attrs import frozen

from fathom_async import ArgumentError, FathomClient, LoopClock, RatePlan
from fathom_async.client import BASE_URL
from fathom_async.store import namespace


@frozen
class Settings:
    """How a worker runs.

    Attributes:
        token: ``FATHOM_API_TOKEN``
        base_url: ``FATHOM_BASE_URL``
        budget: ``FATHOM_BUDGET``: where workers share the rate limits, ``file:///path`` or ``redis://host/0``.
        store: ``DASHBOARD_STORE``: where they share answers, a path or ``redis://host/0``.
        sites: ``DASHBOARD_SITES``: ids with commas between them; the account's first three unless given.
        speed: ``DASHBOARD_SPEED``: seconds of the embedded server's clock in a real one.
        plan: ``FATHOM_PLAN``: what the account allows; learned from the server's answers unless given.
    """

    token: str
    base_url: str = BASE_URL
    budget: str | None = None
    store: str = "memory://"
    sites: tuple[str, ...] = ()
    speed: float = 1.0
    plan: RatePlan | str | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the environment."""
        token = environ.get("FATHOM_API_TOKEN")
        if not token:
            raise ArgumentError("set FATHOM_API_TOKEN, or start with `python -m examples.dashboard`")
        return cls(
            token=token,
            base_url=environ.get("FATHOM_BASE_URL") or BASE_URL,
            budget=environ.get("FATHOM_BUDGET") or None,
            store=environ.get("DASHBOARD_STORE") or "memory://",
            sites=tuple(filter(None, environ.get("DASHBOARD_SITES", "").replace(" ", "").split(","))),
            speed=float(environ.get("DASHBOARD_SPEED") or 1),
            plan=environ.get("FATHOM_PLAN") or None,
        )

    @property
    def account(self) -> str:
        """The account's name in a shared store; it does not reveal the token."""
        return namespace(self.base_url, self.token)

    def client(self) -> FathomClient:
        """Make the client; a budget that is out of reach for a while leaves each worker a share of it."""
        return FathomClient(
            self.token,
            base_url=self.base_url,
            plan=self.plan,
            budget=self.budget,
            on_budget_lost=0.2 if self.budget else "fail",
            clock=LoopClock(self.speed),
        )
