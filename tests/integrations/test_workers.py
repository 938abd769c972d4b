"""The clients of one worker process."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fathom_async import (
    ArgumentError,
    ClosedError,
    ConfigurationError,
    FathomClient,
    NotFoundError,
    PageviewQuery,
    RateLimit,
    RatePlan,
)
from fathom_async._cache.memory import MemoryStore
from fathom_async.integrations.batches import Batch, batches, in_order
from fathom_async.integrations.workers import WorkerClients, client_from_env, store_from_env
from fathom_async.testing import Delay, FathomServer
from tests.conftest import until
from tests.integrations.asked import by_browser, by_day


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
        return FathomClient("any", base_url=server.url, plan=plan, budget=budget)

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
    another = WorkerClients(lambda _: FathomClient("any", base_url=server.url), lambda: store)
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
