"""Settings from the environment, the only input that all worker processes share."""

import os
from collections.abc import Mapping
from typing import Self

from attrs import field, frozen

from fathom_async import ArgumentError, FathomClient, LoopClock, RatePlan
from fathom_async.client import BASE_URL
from fathom_async.store import namespace

LOOPBACK = ("localhost", "127.0.0.1", "::1", "[::1]")


@frozen
class Settings:
    """Settings of a worker.

    Attributes:
        token: ``FATHOM_API_TOKEN``
        base_url: ``FATHOM_BASE_URL``
        budget: ``FATHOM_BUDGET``: rate limits that the workers share, ``file:///path`` or ``redis://host/0``.
        store: ``DASHBOARD_STORE``: answers that the workers share, a path or ``redis://host/0``.
        hosts: ``DASHBOARD_HOSTS``: comma-separated names that it answers to, such as ``stats.example.com``; by
            default those of this machine, so that no page of another site can read the figures under its own name.
        sites: ``DASHBOARD_SITES``: comma-separated ids of the sites to choose from, all of them shown at first; by
            default those of the account, of which the first three are shown.
        title: ``DASHBOARD_TITLE``
        root_path: ``DASHBOARD_ROOT_PATH``: path below which a proxy serves it, such as ``/stats``.
        login: ``DASHBOARD_LOGIN``: ``user:password`` that visitors have to know.
        login_header: ``DASHBOARD_LOGIN_HEADER``: header in which a proxy names the visitor it let in, such as
            ``X-Forwarded-User``. The proxy must be the only way in, and drop this header from what visitors send.
        metrics: ``DASHBOARD_METRICS``: ``1`` serves ``/metrics``, for Prometheus; without a login, to this machine.
        speed: ``DASHBOARD_SPEED``: speed of the embedded server's clock; 1 is real time.
        plan: ``FATHOM_PLAN``: rate limits of the account; learned from the server's answers by default.
    """

    token: str = field(repr=False)
    base_url: str = BASE_URL
    budget: str | None = None
    store: str = "memory://"
    hosts: tuple[str, ...] = LOOPBACK
    sites: tuple[str, ...] = ()
    title: str = "Dashboard"
    root_path: str = ""
    login: str | None = field(default=None, repr=False)
    login_header: str | None = None
    metrics: bool = False
    speed: float = 1.0
    plan: RatePlan | str | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read the settings from environment variables."""
        token = environ.get("FATHOM_API_TOKEN")
        if not token:
            raise ArgumentError("set FATHOM_API_TOKEN, or start with `python -m examples.dashboard`")
        return cls(
            token=token,
            base_url=environ.get("FATHOM_BASE_URL") or BASE_URL,
            budget=environ.get("FATHOM_BUDGET") or None,
            store=environ.get("DASHBOARD_STORE") or "memory://",
            hosts=_listed(environ, "DASHBOARD_HOSTS") or LOOPBACK,
            sites=_listed(environ, "DASHBOARD_SITES"),
            title=environ.get("DASHBOARD_TITLE") or "Dashboard",
            root_path=environ.get("DASHBOARD_ROOT_PATH", "").rstrip("/"),
            login=_login(environ.get("DASHBOARD_LOGIN") or None),
            login_header=environ.get("DASHBOARD_LOGIN_HEADER") or None,
            metrics=environ.get("DASHBOARD_METRICS", "") not in {"", "0"},
            speed=float(environ.get("DASHBOARD_SPEED") or 1),
            plan=environ.get("FATHOM_PLAN") or None,
        )

    @property
    def account(self) -> str:
        """Name of the account in a shared store, which does not reveal the token."""
        return namespace(self.base_url, self.token)

    def client(self) -> FathomClient:
        """Make the client; while the budget is unreachable, each worker spends a share of it."""
        return FathomClient(
            self.token,
            base_url=self.base_url,
            plan=self.plan,
            budget=self.budget,
            on_budget_lost=0.2 if self.budget else "fail",
            clock=LoopClock(self.speed),
        )


def _login(text: str | None) -> str | None:
    if text is not None and not all(text.partition(":")):
        raise ArgumentError("DASHBOARD_LOGIN must be user:password")
    return text


def _listed(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(filter(None, environ.get(name, "").replace(" ", "").split(",")))
