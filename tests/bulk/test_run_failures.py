"""Whatever becomes of a fused request, every run that wants its answers ends, and with the right ones.

Each test has two runs that want the same: both in one client, or each in a client of its own, which share a store as
two processes do. That nothing waits for itself shows in that the tests end.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fathom_async import (
    BulkError,
    ClosedError,
    FathomClient,
    FathomError,
    PageviewQuery,
    PageviewRow,
    RatePlan,
    Report,
    ServerError,
    ValidationError,
)
from fathom_async._cache.entry import CacheEntry, answer_key, namespace
from fathom_async._cache.memory import MemoryStore
from fathom_async._cache.open import open_store
from fathom_async._cache.store import ReportStore
from fathom_async._core.request import Request, Response
from fathom_async._core.transport import HttpTransport
from fathom_async._util.clock import LoopClock
from fathom_async.service import MAX_BODY
from fathom_async.testing import Body, Delay, Disconnect, FathomServer, Html, Status
from fathom_async.testing._faults import Fault
from tests.bulk.paths import ALIKE, CUT_OFF, DATA, KINDS, SOME, of_path
from tests.bulk.processes import ask_and_say_so
from tests.cache.processes import shared_store
from tests.conftest import EAGER, until
from tests.support.forked import Forked

ATTEMPTS = EAGER.attempts


WAYS_OUT: Mapping[str, tuple[Sequence[PageviewQuery], Sequence[Fault]]] = {
    "trusted": (SOME, []),
    "cut off": (CUT_OFF, []),
    "look-alikes": (ALIKE, []),
    "everything at once": ([*SOME, *CUT_OFF, *ALIKE], [Status(503), Status(400)]),
    "400": (SOME, [Status(400)]),
    "413": (SOME, [Status(413)]),
    "422": (SOME, [Status(422)]),
    "422 to a half, too": (SOME, [Status(422, {"errors": {"filters": ["no"]}})] * 2),
    "500 until it is given up": (SOME, [Status(500)] * ATTEMPTS),
    "503, then cut off": (CUT_OFF, [Status(503)]),
    "429": (SOME, [Status(429, headers={"Retry-After": "0"})]),
    "a broken connection": (SOME, [Disconnect(after_processing=True)] * 2),
    "a page of HTML": (SOME, [Html()]),
    "an answer that is none": (ALIKE, [Body(b'{"rows": 1}')]),
}


@pytest.fixture
async def server() -> AsyncIterator[FathomServer]:
    async with FathomServer(data=DATA, crud_throttle=None, reports_throttle=None) as running:
        yield running


Connect = Callable[[], ReportStore | None]


@pytest.fixture(params=["no store", "memory", "file", "redis"])
async def connect(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Connect]:
    """Make a connection to the same store each time, as another process would."""
    if request.param in {"no store", "memory"}:
        store = MemoryStore() if request.param == "memory" else None
        yield lambda: store
        return
    place = (
        tmp_path / "reports.db" if request.param == "file" else str(request.getfixturevalue("empty_redis"))
    )
    async with AsyncExitStack() as stack:
        opened: list[ReportStore] = []

        def connect() -> ReportStore:
            opened.append(open_store(place))
            stack.push_async_callback(opened[-1].aclose)
            return opened[-1]

        yield connect


def make(
    server: FathomServer, transport: "HttpTransport | None" = None, *, speed: float = 1.0
) -> FathomClient:
    plan = RatePlan.hourly(1_000, concurrency=50)
    clock = LoopClock(speed)
    return FathomClient("any", base_url=server.url, plan=plan, retry=EAGER, transport=transport, clock=clock)


async def right_answers(server: FathomServer, queries: Sequence[PageviewQuery]) -> list[Report[PageviewRow]]:
    async with make(server) as fathom:
        return [await fathom.reports.aggregate(query) for query in queries]


@pytest.mark.parametrize("way", WAYS_OUT)
@pytest.mark.parametrize("apart", [False, True], ids=["one client", "two clients"])
async def test_two_runs_end_with_the_right_answers_whatever_becomes_of_their_fused_request(
    server: FathomServer, connect: Connect, way: str, *, apart: bool
) -> None:
    queries, faults = WAYS_OUT[way]
    right = await right_answers(server, queries)
    server.inject(*faults, path="/aggregations")
    async with make(server) as one, make(server) as other:
        first = connect()
        second = connect() if apart else first
        both = await asyncio.gather(
            one.reports.gather(queries, store=first),
            (other if apart else one).reports.gather(queries[::-1], store=second),
        )
    assert both[0] == right
    assert both[1] == right[::-1]


class Picky(HttpTransport):
    """Gets a status instead of an answer for some requests, always."""

    def __init__(self, url: str, status: int, text: str) -> None:
        super().__init__(url, {"Authorization": "Bearer any"}, max_body=MAX_BODY)
        self._status = status
        self._text = text

    async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:
        if self._text in request.target:
            sent()
            return Response(self._status, {}, b'{"error": "no"}')
        return await super().send(request, within, sent)


@pytest.mark.parametrize(
    ("status", "error"), [(400, ValidationError), (422, ValidationError), (500, ServerError)]
)
async def test_where_everything_fails_every_query_has_an_error_and_the_next_run_an_answer(
    server: FathomServer, connect: Connect, status: int, error: type[FathomError]
) -> None:
    right = await right_answers(server, SOME)
    # A lane whose requests all fail asks rarely, so time passes faster here.
    one, other = (make(server, Picky(server.url, status, "aggregations"), speed=100) for _ in range(2))
    async with one, other:
        runs = (fathom.reports.gather(SOME, store=connect()) for fathom in (one, other))
        for failure in await asyncio.gather(*runs, return_exceptions=True):
            assert isinstance(failure, BulkError)
            assert [type(outcome.error) for outcome in failure.outcomes] == [error] * len(SOME)
    async with make(server) as fathom:
        assert await fathom.reports.gather(SOME, store=connect()) == right


async def test_a_question_that_the_server_refuses_fails_alone_and_in_every_run(
    server: FathomServer, connect: Connect
) -> None:
    queries = [of_path("/77"), *SOME]
    right = await right_answers(server, SOME)
    transports = [Picky(server.url, 422, "77") for _ in range(2)]
    async with make(server, transports[0]) as one, make(server, transports[1]) as other:
        runs = (fathom.reports.gather(queries, store=connect()) for fathom in (one, other))
        for failure in await asyncio.gather(*runs, return_exceptions=True):
            assert isinstance(failure, BulkError)
            assert isinstance(failure.outcomes[0].error, ValidationError)
            assert [outcome.report for outcome in failure.outcomes[1:]] == right


@pytest.mark.parametrize("queries", KINDS.values(), ids=KINDS)
async def test_when_the_run_that_asks_is_cancelled_the_one_that_waits_asks_itself(
    server: FathomServer, connect: Connect, queries: Sequence[PageviewQuery]
) -> None:
    right = await right_answers(server, queries)
    server.inject(Delay(3600), path="/aggregations")
    async with make(server) as one, make(server) as other:
        cancelled = asyncio.create_task(one.reports.gather(queries, store=connect()))
        await until(lambda: one.limits["reports"].in_flight == 1)
        waiting = asyncio.create_task(other.reports.gather(queries, store=connect()))
        await asyncio.sleep(0.02)
        cancelled.cancel()
        assert await waiting == right


@pytest.mark.parametrize("queries", KINDS.values(), ids=KINDS)
async def test_a_claim_that_is_lost_while_its_request_is_under_way_costs_requests_and_nothing_else(
    server: FathomServer, connect: Connect, queries: Sequence[PageviewQuery]
) -> None:
    """An answer ends all claims on its key, whoever holds them."""
    right = await right_answers(server, queries)
    server.inject(Delay(0.2), path="/aggregations")
    async with make(server) as one, make(server) as other:
        slow = asyncio.create_task(one.reports.gather(queries, store=connect()))
        await until(lambda: one.limits["reports"].in_flight == 1)
        store = connect()
        if store is not None:
            kept = CacheEntry.of(right[0], datetime.now(UTC).timestamp(), timezone="UTC", drop_after=None)
            await store.put_many({answer_key(namespace(server.url, "any"), queries[0]): kept})
        assert await other.reports.gather(queries, store=store) == right
        assert await slow == right


class SlowlyClaimed(MemoryStore):
    """A store that is slow to claim, as a remote one may be."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = asyncio.Event()

    @asynccontextmanager
    async def claim(self, keys: Iterable[str]) -> AsyncGenerator[frozenset[str]]:
        async with super().claim(keys) as mine:
            self.is_asked.set()
            await asyncio.sleep(0.02)
            yield mine


async def test_a_client_that_is_closed_while_its_request_is_claimed_sends_nothing_and_says_so(
    server: FathomServer,
) -> None:
    store = SlowlyClaimed()
    async with make(server) as fathom:
        run = asyncio.create_task(fathom.reports.gather(SOME, store=store))
        await store.is_asked.wait()
    with pytest.raises(ClosedError):
        await run
    assert not [hit for hit in server.hits if hit.lane == "reports"]


@pytest.mark.parametrize("queries", KINDS)
@pytest.mark.parametrize("kind", ["file", "redis"])
async def test_when_the_process_that_asks_is_killed_another_one_asks_once_its_claims_have_lapsed(
    server: FathomServer, request: pytest.FixtureRequest, tmp_path: Path, kind: str, queries: str
) -> None:
    place = str(tmp_path / "reports.db" if kind == "file" else request.getfixturevalue("empty_redis"))
    right = await right_answers(server, KINDS[queries])
    server.inject(Delay(3600), path="/aggregations")
    process = Forked(ask_and_say_so, server.url, place, KINDS[queries])
    assert await asyncio.to_thread(process.said, str) == "sent"
    async with make(server) as fathom, shared_store(place) as store:
        waiting = asyncio.create_task(fathom.reports.gather(KINDS[queries], store=store))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(process.kill)
        assert await waiting == right
