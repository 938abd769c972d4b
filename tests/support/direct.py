"""The embedded server's reports without its HTTP: thousands of requests a second."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from fathom_async import FathomClient, RatePlan, RetryPolicy
from fathom_async._core.request import Request, Response
from fathom_async.testing import Dataset, ServerDialect
from fathom_async.testing._account_state import AccountState
from fathom_async.testing._aggregation import read_aggregation, read_subject
from fathom_async.testing._clock import ServerClock

if TYPE_CHECKING:
    from collections.abc import Mapping

UNLIMITED = RatePlan.hourly(1_000_000, concurrency=50)


class DirectTransport:
    """Answers aggregations and sites from a dataset, and counts them.

    Attributes:
        asked: The parameters of each aggregation, in order.
    """

    def __init__(
        self, data: Dataset, dialect: ServerDialect | None = None, now: datetime | None = None
    ) -> None:
        self._data = data
        self._dialect = dialect or ServerDialect()
        self._clock = ServerClock(start=now or datetime(2026, 12, 24, tzinfo=UTC))
        self._account = AccountState(data, self._clock, 7)
        self.asked: list[dict[str, str]] = []

    async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:
        del within
        sent()
        if request.path.startswith("/sites/"):
            site = self._account.site(request.path.removeprefix("/sites/"))
            return _answer({"id": site.id, "object": "site", "name": site.name, "timezone": site.timezone})
        params, engine = dict(cast("Mapping[str, str]", request.params)), self._data.query_engine
        self.asked.append(params)
        subject = read_subject(params, self._account, by_id=True)
        wanted = read_aggregation(
            params,
            subject,
            site_timezone=self._account.site(subject.site_id).timezone,
            clock=self._clock,
            first_record=engine.first_record,
            dialect=self._dialect,
        )
        return _answer(engine.report(wanted, 7))

    def url(self, request: Request[object]) -> str:
        return request.target

    async def close(self) -> None:
        pass


def _answer(value: object) -> Response:
    return Response(200, {"Content-Type": "application/json"}, json.dumps(value).encode())


def direct_client(transport: DirectTransport) -> FathomClient:
    """Return a client that is as unlimited as its transport."""
    return FathomClient("any", transport=transport, plan=UNLIMITED, retry=RetryPolicy(attempts=1))
