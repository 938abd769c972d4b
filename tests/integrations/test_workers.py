"""The clients of one worker process."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from fathom_async import (
    ArgumentError,
    ClosedError,
    ConfigurationError,
    FathomClient,
    NotFoundError,
    PageviewQuery,
)
from fathom_async._cache.memory import MemoryStore
from fathom_async.integrations.batches import Batch, in_order
from fathom_async.integrations.workers import WorkerClients, client_from_env, store_from_env
from fathom_async.testing import FathomServer
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
