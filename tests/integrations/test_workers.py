"""Batches as values, and the clients of one worker process."""

import asyncio
import json
import os
import pickle
import platform
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import cast

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from fathom_async import (
    ArgumentError,
    ClosedError,
    FathomClient,
    NotFoundError,
    PageviewQuery,
    QueryError,
    WorkerTokenError,
)
from fathom_async._bulk.fusing import fuse
from fathom_async._bulk.results import Outcome
from fathom_async._cache.memory import MemoryStore
from fathom_async._cache.open import open_store
from fathom_async._core.codec.rows import Row
from fathom_async.integrations._batch_json import outcome_value, read_outcomes
from fathom_async.integrations.workers import (
    HAND_BACK,
    RECONNECT,
    Batch,
    WorkerClients,
    batches,
    client_from_env,
    in_order,
    interleaved,
    store_from_env,
)
from fathom_async.service import Request, Response
from fathom_async.testing import FathomServer


def by_day(day: int, name: str = "pageviews", site: str = "CDBUGS") -> PageviewQuery:
    date = f"2026-01-{day:02}"
    return PageviewQuery.from_params(
        {"entity": "pageview", "entity_id": site, "aggregates": name, "date_from": date, "date_to": date}
    )


def by_browser(site: str, limit: int) -> PageviewQuery:
    """A query that can be asked only by itself."""
    return PageviewQuery(
        site,
        aggregates=["visits"],
        field_grouping=["browser"],
        sort_by="visits:desc",
        limit=limit,
        date_to=f"2026-01-{limit:02}",
    )


@frozen
class Accepting:
    """A server that knows one token."""

    good: str
    token: str
    hits: list[str]

    async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:
        del within
        sent()
        self.hits.append(request.path)
        is_good = self.token == self.good
        return Response(200 if is_good else 401, {}, b"[]" if is_good else b'{"message": "no"}')

    def url(self, request: Request[object]) -> str:
        return request.path

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
async def server() -> AsyncIterator[FathomServer]:
    async with FathomServer(reports_throttle=None) as running:
        yield running


@pytest.fixture
async def clients(server: FathomServer) -> AsyncIterator[WorkerClients]:
    made = WorkerClients(
        lambda account: FathomClient(f"token-{account}", base_url=server.url), MemoryStore, keep=1
    )
    try:
        yield made
    finally:
        await made.aclose()


def test_what_can_be_fused_is_one_batch() -> None:
    queries = [by_day(1), by_browser("CDBUGS", 5), by_day(2, "visits"), by_day(1)]
    assert batches(queries) == [
        Batch((queries[0], queries[2], queries[3]), (0, 2, 3)),
        Batch((queries[1],), (1,)),
    ]


def test_several_requests_may_be_one_batch() -> None:
    queries = [by_browser("CDBUGS", limit) for limit in range(1, 6)]
    assert [batch.positions for batch in batches(queries, requests=2)] == [(0, 1), (2, 3), (4,)]


@given(
    st.lists(
        st.tuples(st.integers(1, 28), st.sampled_from(["pageviews", "visits"]), st.booleans()), max_size=20
    )
)
def test_every_query_is_in_one_batch_that_takes_one_request_wherever_it_arrives(
    drawn: Sequence[tuple[int, str, bool]],
) -> None:
    queries = [by_browser("CDBUGS", day) if alone else by_day(day, name) for day, name, alone in drawn]
    made = batches(queries)
    assert sorted(position for batch in made for position in batch.positions) == list(range(len(queries)))
    for batch in made:
        arrived: Batch[object] = pickle.loads(pickle.dumps(batch))  # type: ignore[type-var] # noqa: S301 - our own
        assert arrived == batch
        assert len(fuse(batch.queries)) == 1
        assert [queries[position] for position in batch.positions] == list(batch.queries)


def test_accounts_take_turns() -> None:
    one = batches([by_browser("CDBUGS", limit) for limit in (1, 2, 3)], account="one")
    two = batches([by_browser("CDBUGS", limit) for limit in (1,)], account="two")
    assert [(batch.account, batch.positions) for batch in interleaved([one, two])] == [
        ("one", (0,)),
        ("two", (0,)),
        ("one", (1,)),
        ("one", (2,)),
    ]


def test_what_cannot_be_asked_is_refused_before_anything_is_handed_out() -> None:
    with pytest.raises(ArgumentError, match=r"queries\[1\] must be a PageviewQuery"):
        batches(cast("list[PageviewQuery]", [by_day(1), "pageviews"]))
    with pytest.raises(QueryError):
        batches([PageviewQuery("CDBUGS", aggregates=["visits"], date_grouping="hour", sort_by="visits:desc")])
    with pytest.raises(ArgumentError, match="requests"):
        batches([by_day(1)], requests=0)


async def test_outcomes_have_the_positions_of_the_batch_and_errors_are_outcomes(
    clients: WorkerClients, server: FathomServer
) -> None:
    batch = Batch((by_browser("NOBODYS", 1), by_day(1), by_day(2)), (7, 3, 5))
    outcomes = await clients.ask(batch)
    assert [outcome.position for outcome in outcomes] == [7, 3, 5]
    assert [outcome.query for outcome in outcomes] == list(batch.queries)
    assert [type(outcome.error) for outcome in outcomes] == [NotFoundError, type(None), type(None)]
    assert [outcome.position for outcome in in_order(outcomes)] == [3, 5, 7]
    assert len([hit for hit in server.hits if hit.lane == "reports"]) == 2


async def test_what_an_engine_hands_out_twice_is_asked_once(
    clients: WorkerClients, server: FathomServer
) -> None:
    batch = Batch((by_day(1), by_day(2)), (0, 1))
    first, second = await asyncio.gather(clients.ask(batch), clients.ask(batch))
    third = await clients.ask(batch)
    assert (
        [each.report for each in first] == [each.report for each in second] == [each.report for each in third]
    )
    assert len([hit for hit in server.hits if hit.lane == "reports"]) == 1


async def test_clients_that_nobody_uses_are_closed_but_for_the_last(server: FathomServer) -> None:
    made: dict[str, FathomClient] = {}

    def connect(account: str) -> FathomClient:
        return made.setdefault(account, FathomClient(f"token-{account}", base_url=server.url))

    workers = WorkerClients(connect, lambda: None, keep=1)
    for account in ("one", "two", "one"):
        if account in made and account == "one":
            with pytest.raises(ClosedError):
                await made["one"].sites.get("CDBUGS")
            del made["one"]
        await workers.ask(Batch((by_day(1),), (0,), account))
    with pytest.raises(ClosedError):
        await made["two"].sites.get("CDBUGS")
    await made["one"].sites.get("CDBUGS")
    await workers.aclose()
    with pytest.raises(ClosedError, match="the worker is closing"):
        await workers.ask(Batch((by_day(1),), (0,)))


def test_a_worker_whose_environment_lacks_something_says_what() -> None:
    token = {"FATHOM_API_TOKEN": "very-secret-token"}
    with pytest.raises(ArgumentError, match="FATHOM_BUDGET"):
        client_from_env("", token)
    with pytest.raises(ArgumentError, match="FATHOM_API_TOKEN"):
        client_from_env("", {"FATHOM_BUDGET": "redis://localhost"})
    with pytest.raises(ArgumentError, match="`connect` a function that knows 'acme'"):
        client_from_env("acme", token)
    with pytest.raises(ArgumentError, match="FATHOM_STORE"):
        store_from_env({})


@pytest.mark.virtual_time
async def test_a_worker_whose_token_is_rejected_hands_tasks_back_until_it_has_another(
    caplog: pytest.LogCaptureFixture,
) -> None:
    secrets, made = {"acme": "an-old-token", "other": "a-good-token"}, Counter[str]()

    def connect(account: str) -> FathomClient:
        made[account] += 1
        return FathomClient(secrets[account], transport=Accepting("a-good-token", secrets[account], hits))

    hits = list[str]()
    workers = WorkerClients(connect, lambda: None)
    started = asyncio.get_running_loop().time()
    first = await asyncio.gather(
        *(workers.ask(Batch((by_day(day),), (0,), "acme")) for day in range(1, 5)), return_exceptions=True
    )
    assert {str(error) for error in first} == {
        f"the server rejects the token of the account 'acme' that the worker {platform.node()}:{os.getpid()} has: no"
    }
    assert asyncio.get_running_loop().time() - started >= HAND_BACK  # others have taken tasks meanwhile
    spent = len(hits)
    for pause in (RECONNECT, 2 * RECONNECT):
        with pytest.raises(WorkerTokenError):
            await workers.ask(Batch((by_day(5),), (0,), "acme"))
        assert len(hits) == spent
        assert (await workers.ask(Batch((by_day(5),), (0,), "other")))[0].report is not None
        spent = len(hits)
        await asyncio.sleep(pause)
        with pytest.raises(WorkerTokenError):
            await workers.ask(Batch((by_day(5),), (0,), "acme"))
        assert len(hits) == spent + 1
        spent = len(hits)
    secrets["acme"] = "a-good-token"
    await asyncio.sleep(4 * RECONNECT)
    assert (await workers.ask(Batch((by_day(5),), (3,), "acme")))[0].position == 3
    assert made == {"acme": 4, "other": 1}
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "tasks are handed back until there is another token",
        "the token of the account 'acme' is accepted again",
    ]
    await workers.aclose()


@pytest.mark.virtual_time
async def test_a_task_is_not_held_while_its_worker_closes() -> None:
    workers = WorkerClients(
        lambda _: FathomClient("a-bad-token", transport=Accepting("another", "a-bad-token", [])), lambda: None
    )
    task = asyncio.create_task(workers.ask(Batch((by_day(1),), (0,))))
    await asyncio.sleep(HAND_BACK / 2)
    began = asyncio.get_running_loop().time()
    await workers.aclose()
    with pytest.raises(WorkerTokenError):
        await task
    assert asyncio.get_running_loop().time() == began


@pytest.mark.parametrize("where", ["file", "redis"])
async def test_a_worker_with_a_bad_token_leaves_the_work_to_the_others(
    where: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    budget = request.getfixturevalue("empty_redis") if where == "redis" else f"file://{tmp_path}/budget"
    store = budget if where == "redis" else str(tmp_path / "store.db")
    queue = deque(Batch((by_browser("CDBUGS", limit),), (0,)) for limit in range(1, 9))
    outcomes, failures = list[Outcome[Row]](), list[WorkerTokenError]()

    async def work(url: str, token: str) -> None:
        """Take one task after the other, as a worker of an engine that sends failed ones again."""
        clients = WorkerClients(
            lambda _: FathomClient(token, base_url=url, budget=budget), lambda: open_store(store)
        )
        while len(outcomes) < 8:
            if not queue:
                await asyncio.sleep(0.01)
                continue
            batch = queue.popleft()
            try:
                outcomes.extend(await clients.ask(batch))
            except WorkerTokenError as error:
                failures.append(error)
                queue.append(batch)
                await asyncio.sleep(0.1)  # so that it is not the same worker that takes it again
        await clients.aclose()

    async with FathomServer(tokens={"a-good-token": ["*"]}, reports_throttle=None) as running:
        tokens = ("a-good-token", "a-bad-token", "a-good-token")
        await asyncio.gather(*(work(running.url, token) for token in tokens))
        rejected = [hit for hit in running.hits if hit.status == 401]
    assert [each.error for each in outcomes] == [None] * 8
    assert failures
    assert len(rejected) <= 2, "one request for the account, and one report"
    assert len([hit for hit in running.hits if hit.lane == "reports" and hit.status == 200]) == 8


def test_the_error_of_a_worker_travels_as_json() -> None:
    batch = Batch((by_day(1),), (0,), "acme")
    error = WorkerTokenError("acme", "worker-7.internal", 4711, "401 Unauthorized")
    values = json.loads(json.dumps([outcome_value(each) for each in batch.failed(error)]))
    (arrived,) = read_outcomes(batch, values)
    assert isinstance(arrived.error, WorkerTokenError)
    assert arrived.error.args == error.args == ("acme", "worker-7.internal", 4711, "401 Unauthorized")
