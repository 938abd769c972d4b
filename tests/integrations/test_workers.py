"""The clients of one worker process."""

import asyncio
import json
import os
import platform
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from attrs import frozen

from fathom_async import (
    ArgumentError,
    ClosedError,
    ConfigurationError,
    FathomClient,
    NotFoundError,
    PageviewQuery,
    RateLimit,
    RatePlan,
    WorkerTokenError,
)
from fathom_async._bulk.results import Outcome
from fathom_async._cache.memory import MemoryStore
from fathom_async._cache.open import open_store
from fathom_async._core.codec.rows import Row
from fathom_async.integrations.batches import Batch, batches, in_order, outcome_value, read_outcomes
from fathom_async.integrations.workers import (
    HAND_BACK,
    RECONNECT,
    WorkerClients,
    client_from_env,
    store_from_env,
)
from fathom_async.service import Request, Response
from fathom_async.testing import Delay, FathomServer
from tests.conftest import until
from tests.integrations.asked import by_browser, by_day


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


@pytest.mark.parametrize("requests", [1, 3])
@pytest.mark.parametrize("kind", ["file", "redis"])
async def test_a_worker_that_drains_stores_what_is_in_flight_and_hands_the_rest_back(
    server: FathomServer, requests: int, kind: str, empty_redis: str, tmp_path: Path
) -> None:
    store = MemoryStore()
    plan = RatePlan(reports=RateLimit(2, per=60))
    budget = empty_redis if kind == "redis" else f"file://{tmp_path}/budget"

    def connect(_: str) -> FathomClient:
        return FathomClient("any", base_url=server.url, plan=plan, budget=budget, budget_key="acme")

    workers = WorkerClients(connect, lambda: store)
    todo = batches([by_browser("CDBUGS", limit) for limit in range(1, 7)], requests=requests)
    server.inject(*[Delay(0.3)] * 6)
    async with asyncio.timeout(55):  # the window is over later
        calls = [asyncio.create_task(workers.ask(batch)) for batch in todo]
        await until(lambda: len(server.hits) == 2)
        await workers.drain()
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
    answered = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert len(answered) == (2 if requests == 1 else 0)
    assert {type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)} == {ClosedError}
    with pytest.raises(ClosedError, match="the worker is closing"):
        await workers.ask(todo[0])
    async with connect("") as beside:
        lane = (await beside.look())["reports"]
    assert (lane.used, lane.waiting) == (2, 0), "nothing is held but what was sent"
    another = WorkerClients(
        lambda _: FathomClient("any", base_url=server.url, budget_key="acme"), lambda: store
    )
    for batch in todo:
        assert all(outcome.report is not None for outcome in await another.ask(batch))
    assert len(server.hits) == 6, "each was sent once, by one worker or the other"
    await workers.aclose()
    await another.aclose()


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


@pytest.mark.parametrize(
    ("name", "wrong"), [("FATHOM_MAX_AGE", "soon"), ("FATHOM_MAX_AGE", "-1"), ("FATHOM_PRIORITY", "urgent")]
)
def test_a_setting_that_cannot_be_read_is_named(
    name: str, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, wrong)
    with pytest.raises(ConfigurationError, match=f"{name} must be .*, not '{wrong}'"):
        WorkerClients(lambda _: FathomClient("any"), MemoryStore)


async def test_workers_take_their_settings_from_the_environment(
    server: FathomServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FATHOM_MAX_AGE", "0")
    monkeypatch.setenv("FATHOM_PRIORITY", "interactive")
    workers = WorkerClients(lambda _: FathomClient("any", base_url=server.url), MemoryStore)
    batch = Batch((PageviewQuery("CDBUGS", aggregates=["visits"]),), (0,))
    for _ in range(2):
        await workers.ask(batch)
    assert len([hit for hit in server.hits if hit.lane == "reports"]) == 2
    await workers.aclose()


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
