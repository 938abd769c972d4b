"""A network in front of an account's limits, on a virtual clock."""

import asyncio
import random
from collections.abc import Callable

from attrs import define, field

from fathom_async import FathomClient, PageviewQuery
from fathom_async.service import Request, Response
from fathom_async.testing import ConcurrencyCap, LaravelWindow, Throttle

SITE = (
    b'{"id": "CDBUGS", "object": "site", "name": "x", "sharing": "none", "created_at": "2026-01-01 00:00:00"}'
)
REPORT = b'[{"visits": "1"}]'
VISITS = PageviewQuery("CDBUGS", aggregates=["visits"], date_from="2026-01-01", date_to="2026-01-31")


def now() -> float:
    return asyncio.get_running_loop().time()


def hourly(requests: int = 600) -> Throttle:
    return LaravelWindow(requests, per=3600)


@define
class Account:
    """Limits of an account, and a network of 0-60 ms each way in front of them.

    Attributes:
        crud: The limit of everything but reports.
        reports: The limit of reports; the same object for one limit over all endpoints.
        cap: Requests in flight at once; None for any number.
        handler: Bounds of the seconds that an answer takes.
        has_headers: Whether answers tell the limit and what remains of it.
        refusals_tell: Whether refusals do; they have ``Retry-After`` in any case.
        names: The limit that answers name; None for the true one.
        rng: Source of delays.
    """

    crud: Throttle
    reports: Throttle
    cap: ConcurrencyCap | None = None
    handler: tuple[float, float] = (0.1, 0.5)
    has_headers: bool = True
    refusals_tell: bool = True
    names: int | None = None
    rng: random.Random = field(factory=lambda: random.Random(1))
    hits: int = 0
    refused: int = 0
    crowded: int = 0

    async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:
        del within
        sent()
        await asyncio.sleep(self.rng.uniform(0, 0.06))
        answer = await self._handled(request)
        await asyncio.sleep(self.rng.uniform(0, 0.06))
        return answer

    async def _handled(self, request: Request[object]) -> Response:
        is_report = request.path.startswith(("/aggregations", "/current_visitors"))
        throttle = self.reports if is_report else self.crud
        self.hits += 1
        if self.cap is not None and not self.cap.enter():
            self.refused += 1
            self.crowded += 1
            return self._refusal(throttle, 1, throttle.remaining(now()))
        try:
            verdict = throttle.hit(now())
            if not verdict.allowed:
                self.refused += 1
                return self._refusal(throttle, verdict.retry_after, 0)
            await asyncio.sleep(self.rng.uniform(*self.handler))
            return Response(200, self._told(throttle), REPORT if is_report else SITE)
        finally:
            if self.cap is not None:
                self.cap.leave()

    def _refusal(self, throttle: Throttle, retry_after: int, remaining: int) -> Response:
        told = {"X-RateLimit-Limit": str(throttle.limit), "X-RateLimit-Remaining": str(remaining)}
        is_told = self.has_headers and self.refusals_tell
        return Response(429, {"Retry-After": str(retry_after), **(told if is_told else {})}, b"{}")

    def _told(self, throttle: Throttle) -> dict[str, str]:
        if not self.has_headers:
            return {}
        remaining = throttle.remaining(now())
        return {
            "X-RateLimit-Limit": str(self.names or throttle.limit),
            "X-RateLimit-Remaining": str(remaining),
        }

    def url(self, request: Request[object]) -> str:
        return request.path

    async def close(self) -> None:
        """Nothing is open."""


def one_limit(requests: int = 600, cap: int | None = 5, **options: object) -> Account:
    throttle = hourly(requests)
    return Account(throttle, throttle, None if cap is None else ConcurrencyCap(cap), **options)  # type: ignore[arg-type]


def classic(**options: object) -> Account:
    return Account(LaravelWindow(2000, per=3600), LaravelWindow(10, per=60), **options)  # type: ignore[arg-type]


def client(account: Account, **options: object) -> FathomClient:
    return FathomClient("token", transport=account, **{"budget_key": "acme", **options})  # type: ignore[arg-type]


async def reports(fathom: FathomClient, count: int, first: int = 0) -> list[object]:
    queries = [VISITS.replace(site_id=f"SITE{first + number}") for number in range(count)]
    return await asyncio.gather(*map(fathom.reports.aggregate, queries), return_exceptions=True)


async def sites(fathom: FathomClient, count: int, first: int = 0) -> list[object]:
    numbers = range(first, first + count)
    return await asyncio.gather(
        *(fathom.sites.get(f"S{number}") for number in numbers), return_exceptions=True
    )
