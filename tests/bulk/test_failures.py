"""A query fails by its own answer only, at a bounded number of requests; a server that is away is asked little."""

import asyncio
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from math import ceil, log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom_async import (
    ConnectError,
    FathomClient,
    FathomError,
    Filter,
    PageviewQuery,
    RatePlan,
    RetryPolicy,
    TimeoutError,  # noqa: A004 - that of the package
)
from fathom_async._core.request import Request, Response
from fathom_async._util.clock import LoopClock
from tests.support.soak import tries

PATHS = [f"/{number:02}" for number in range(64)]
BASE = PageviewQuery("CDBUGS", aggregates=["visits"], date_from="2026-01-01", date_to="2026-01-31")
QUERIES = [BASE.replace(filters=[Filter("pathname", "is", path)]) for path in PATHS]
FAULTS = [500, 503, 400, 403, 404, 406, 410, 422, 451, "broken", "late", "a page of HTML"]
Fault = int | str


class Faulty:
    """Answers a visit to each path, unless a request is about a path at which this server fails.

    Attributes:
        sent: How many requests arrived.
    """

    def __init__(
        self, bad: Collection[str], fault: Fault = 500, *, falls_over_after: float = float("inf")
    ) -> None:
        self._bad = bad
        self._fault = fault
        self._last = falls_over_after
        self.sent = 0

    async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:
        del within
        sent()
        await asyncio.sleep(0)
        self.sent += 1
        filters = json.loads(str(request.params.get("filters", "[]")))
        asked = [path for path in PATHS if filters and re.search(_pattern(filters[0]), path)]
        if self.sent > self._last or any(path in self._bad for path in asked):
            return self._fail()
        if "pathname" not in request.params.get("field_grouping", ""):
            return Response(200, {}, b'[{"visits": "1"}]')
        shown = asked if filters else PATHS
        return Response(200, {}, json.dumps([{"visits": "1", "pathname": path} for path in shown]).encode())

    def _fail(self) -> Response:
        match self._fault:
            case int(status):
                return Response(status, {}, b'{"errors": {"filters": ["no"]}}')
            case "broken":
                raise ConnectError("the connection broke", sent=True)
            case "late":
                raise TimeoutError("no answer in time")
            case _:
                return Response(200, {}, b"<!doctype html>")

    def url(self, request: Request[object]) -> str:
        return request.target

    async def close(self) -> None:
        pass


def _pattern(condition: Mapping[str, str]) -> str:
    value = condition["value"]
    return value if condition["operator"] == "matching" else f"^{re.escape(value)}$"


async def run(
    server: Faulty,
    queries: Sequence[PageviewQuery] = QUERIES,
    *,
    max_requests: int | None = None,
    store: str | None = None,
) -> list[object]:
    """Return the visits or the error of each query."""
    plan, retry = RatePlan.hourly(1_000_000, concurrency=50), RetryPolicy(attempts=1)
    client = FathomClient("any", transport=server, plan=plan, retry=retry, clock=LoopClock(1_000))
    async with client as fathom:
        ended = [o async for o in fathom.reports.run(queries, max_requests=max_requests, store=store)]
    ended.sort(key=lambda outcome: outcome.position)
    return [outcome.error or outcome.result().total("visits") for outcome in ended]


@pytest.mark.parametrize(
    ("number", "fault", "sent"), [(2, 500, 3), (64, 500, 14), (2, 422, 3), (64, 422, 13)]
)
def test_one_bad_query_is_found_by_halves_and_at_most_one_more_request(
    number: int, fault: int, sent: int
) -> None:
    server = Faulty({PATHS[1]}, fault)
    answers = asyncio.run(run(server, QUERIES[:number]))
    assert [each for each in answers if each != 1] == [answers[1]]
    assert server.sent == sent


BAD = st.sets(st.sampled_from(PATHS), min_size=1, max_size=12)
STORES = st.sampled_from([None, "memory://"])


@settings(deadline=None, max_examples=tries(25, soak=60))
@given(bad=BAD, fault=st.sampled_from(FAULTS), store=STORES)
def test_a_query_fails_by_its_own_answer_only(bad: set[str], fault: Fault, store: str | None) -> None:
    server = Faulty(bad, fault)
    answers = asyncio.run(run(server, store=store))
    assert {path for path, each in zip(PATHS, answers, strict=True) if each != 1} == bad
    assert server.sent <= 2 * len(bad) * ceil(log2(len(PATHS))) + 2 * len(bad)


@pytest.mark.parametrize("fault", [500, 503, 401, 402, 404, 410, "broken", "late", "a page of HTML"])
@pytest.mark.parametrize("store", [None, "memory://"])
def test_a_server_that_is_away_is_asked_no_more_than_three_times(fault: Fault, store: str | None) -> None:
    server = Faulty(PATHS, fault, falls_over_after=0)
    answers = asyncio.run(run(server, store=store))
    assert all(isinstance(each, FathomError) for each in answers)
    assert server.sent <= 3


class Proxied(Faulty):
    """Is behind a proxy that refuses the patterns of fused requests."""

    async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:
        response = await super().send(request, within, sent)
        return self._fail() if "matching" in str(request.params.get("filters")) else response


@pytest.mark.parametrize("fault", [400, 401, 403, 404, 405, 406, 410, 422, 451, 500, "a page of HTML"])
@pytest.mark.parametrize("store", [None, "memory://"])
def test_where_a_proxy_refuses_fused_requests_every_query_is_answered_by_itself(
    fault: Fault, store: str | None
) -> None:
    server = Proxied([], fault)
    assert asyncio.run(run(server, store=store)) == [1] * len(QUERIES)
    assert server.sent <= 2.25 * len(QUERIES)


@settings(deadline=None, max_examples=tries(20, soak=40))
@given(bad=BAD, after=st.integers(1, 60))
def test_a_server_that_goes_away_during_the_search_ends_it(bad: set[str], after: int) -> None:
    server = Faulty(bad, falls_over_after=after)
    answers = asyncio.run(run(server))
    assert all(each == 1 or isinstance(each, FathomError) for each in answers)
    assert server.sent <= after + 6 * (len(bad) + 1), "a half of four that was under way takes six"
