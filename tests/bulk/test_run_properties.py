"""Every run ends, and with right answers: any queries, stores, failures and cancellations, in two processes at once.

The first test has two clients, each with its own connection to the store, as two processes have them; in the second
one they are two processes, and one of them is killed over and over.
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from attrs import frozen
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from fathom_async import (
    BulkError,
    CachePolicy,
    ConnectError,
    FathomClient,
    FathomError,
    LoopClock,
    PageviewQuery,
    PageviewRow,
    Priority,
    Report,
)
from fathom_async._cache.memory import MemoryStore
from fathom_async._cache.open import open_store
from fathom_async._cache.store import ReportStore
from fathom_async._core.request import Request, Response
from fathom_async._core.transport import HttpTransport
from fathom_async.service import MAX_BODY
from fathom_async.testing import FathomServer
from tests.bulk.paths import ALIKE, BY_DAY, CUT_OFF, DATA, OPEN, SOME
from tests.bulk.processes import QUEUEING, run_for_ever
from tests.cache.processes import shared_store
from tests.conftest import EAGER
from tests.support.forked import Forked
from tests.support.redis_server import RedisServer
from tests.support.soak import tries

QUERIES = [*SOME, *CUT_OFF, *ALIKE, *BY_DAY, *OPEN]

Answers = Mapping[PageviewQuery, Report[PageviewRow]]
Ended = BulkError | list[Report[PageviewRow]]


@frozen
class Start:
    """Start a run in one of the two clients."""

    client: int
    queries: Sequence[PageviewQuery]
    fuse: bool
    priority: Priority
    keeping: CachePolicy


@frozen
class Cancel:
    """Cancel one of the runs that were started, whether it is over or not."""

    run: int


@frozen
class Pause:
    """Let other tasks run for some iterations of the event loop."""

    turns: int


@frozen
class Trouble:
    """Let the next request of each client fail in this way."""

    faults: Sequence[int | str]


FAULTS = st.sampled_from([400, 422, 429, 500, 503, "broken", "login page", "slow"])
STARTS = st.builds(
    Start,
    client=st.integers(0, 1),
    queries=st.lists(st.sampled_from(QUERIES), min_size=1, max_size=8),
    fuse=st.sampled_from([True, True, True, False]),
    priority=st.sampled_from(Priority),
    keeping=st.sampled_from(
        [CachePolicy(), CachePolicy(max_age=0), CachePolicy(max_age=0, stale_while_revalidate=1e9)]
    ),
)
STEPS = st.lists(
    STARTS
    | st.builds(Cancel, st.integers(0, 5))
    | st.builds(Pause, st.sampled_from([1, 5, 20, 100]))
    | st.builds(Trouble, st.lists(FAULTS, min_size=1, max_size=8)),
    min_size=2,
    max_size=12,
)


class Troubled(HttpTransport):
    """Has some of its requests fail, in an order that a test gives."""

    def __init__(self, url: str, faults: "deque[int | str]") -> None:
        super().__init__(url, {"Authorization": "Bearer any"}, max_body=MAX_BODY)
        self._faults = faults

    async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:
        fault = self._faults.popleft() if self._faults and request.lane == "reports" else None
        match fault:
            case int():
                sent()
                await asyncio.sleep(0)
                return Response(fault, {"Retry-After": "0"} if fault == 429 else {}, b'{"error": "no"}')
            case "login page":
                sent()
                return Response(200, {}, b"<!doctype html>")
            case "broken":
                sent()
                raise ConnectError("the connection broke", sent=True)
            case "slow":
                await asyncio.sleep(0.01)
            case _:
                pass
        return await super().send(request, within, sent)


def check(outcome: Ended, asked: Sequence[PageviewQuery], right: Answers) -> None:
    """Expect correct reports, and only errors of the injected kinds."""
    if isinstance(outcome, BulkError):
        assert len(outcome.outcomes) == len(asked)
        for query, each in zip(asked, outcome.outcomes, strict=True):
            assert each.query == query
            assert each.report == right[query] if each.error is None else isinstance(each.error, FathomError)
    else:
        assert outcome == [right[query] for query in asked]


async def gather(fathom: FathomClient, start: Start, store: ReportStore | None) -> Ended:
    try:
        return await fathom.reports.gather(
            start.queries,
            fuse=start.fuse,
            store=store,
            keeping=None if store is None else start.keeping,
            priority=start.priority,
        )
    except BulkError as error:
        return error


async def play(
    steps: Sequence[object], stores: Sequence[ReportStore | None], url: str, right: Answers
) -> None:
    """Carry out the steps, and expect every run to end; then one more in each client, with nothing but answers."""
    faults: deque[int | str] = deque()
    runs: list[tuple[Start, asyncio.Task[Ended]]] = []
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(client(url, faults)) for _ in stores]
        for step in steps:
            match step:
                case Start(client=number):
                    run = gather(clients[number], step, stores[number])
                    runs.append((step, asyncio.create_task(run)))
                case Cancel(run=number):
                    _ = [run.cancel() for _, run in runs[number : number + 1]]
                case Pause(turns=turns):
                    await let_others_go_on(turns)
                case Trouble(faults=more):
                    faults.extend(more)
                case _:
                    pass
        await expect_all_to_end(runs, right)
        faults.clear()
        for fathom, store in zip(clients, stores, strict=True):
            assert await fathom.reports.gather(QUERIES, store=store) == [right[query] for query in QUERIES]


async def let_others_go_on(turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)


async def expect_all_to_end(runs: Sequence[tuple[Start, asyncio.Task[Ended]]], right: Answers) -> None:
    _, hanging = await asyncio.wait(
        [*(run for _, run in runs), asyncio.create_task(asyncio.sleep(0))], timeout=60
    )
    assert not hanging
    for start, run in runs:
        if not run.cancelled():
            check(run.result(), start.queries, right)
    event(f"runs: {len(runs)}, cancelled: {sum(run.cancelled() for _, run in runs)}")


def client(url: str, faults: "deque[int | str]") -> FathomClient:
    # The second for which a refusal pauses the lane takes a hundredth of one.
    return FathomClient(
        "any",
        base_url=url,
        plan=QUEUEING,
        retry=EAGER,
        clock=LoopClock(100),
        timeout=3000,
        transport=Troubled(url, faults),
    )


@pytest.fixture(scope="module")
def right() -> Answers:
    """What a server without any trouble answers to each query."""

    async def ask() -> Answers:
        async with serving() as server, FathomClient("any", base_url=server.url, plan=QUEUEING) as fathom:
            return {query: await fathom.reports.aggregate(query) for query in QUERIES}

    return asyncio.run(ask())


def serving() -> FathomServer:
    return FathomServer(data=DATA, crud_throttle=None, reports_throttle=None)


@asynccontextmanager
async def two_connections(kind: str, redis: str) -> AsyncGenerator[Sequence[ReportStore | None]]:
    """Connect twice to an empty store."""
    async with AsyncExitStack() as stack:
        if kind == "no store":
            yield [None, None]
        elif kind == "memory":
            yield [await stack.enter_async_context(MemoryStore())] * 2
        else:
            directory = stack.enter_context(TemporaryDirectory())
            place = f"{directory}/reports.db" if kind == "file" else redis
            yield [await stack.enter_async_context(open_store(place)) for _ in range(2)]


@pytest.mark.parametrize("kind", ["no store", "memory", "file", "redis"])
@settings(
    max_examples=tries(10, soak=25),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
def test_every_run_ends_and_with_right_answers(
    kind: str, lasting_redis: RedisServer, right: Answers, steps: Sequence[object]
) -> None:
    async def example() -> None:
        # Each example has an address of its own, and so answers of its own in the store.
        async with serving() as server, two_connections(kind, lasting_redis.url) as stores:
            await play(steps, stores, server.url, right)

    asyncio.run(example())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["file", "redis"])
async def test_runs_end_with_right_answers_beside_a_process_that_is_killed_over_and_over(
    kind: str, right: Answers, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place = str(tmp_path / "reports.db" if kind == "file" else request.getfixturevalue("empty_redis"))
    chance = random.Random(kind)
    async with (
        serving() as server,
        FathomClient("any", base_url=server.url, plan=QUEUEING) as fathom,
        shared_store(place) as store,
    ):
        for number in range(tries(2, soak=4)):
            other = Forked(run_for_ever, server.url, place, number, QUERIES)
            assert await asyncio.to_thread(other.said, str) == "ran"
            asked = [chance.sample(QUERIES, chance.randint(1, 8)) for _ in range(5)]
            runs = [
                fathom.reports.gather(each, store=store, keeping=CachePolicy(max_age=0)) for each in asked
            ]
            ended = asyncio.gather(*runs)
            await asyncio.sleep(chance.uniform(0, 0.05))
            await asyncio.to_thread(other.kill)
            assert await ended == [[right[query] for query in each] for each in asked]
