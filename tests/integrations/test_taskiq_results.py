"""Batches whose tasks or results are lost in transit."""

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import pytest
from taskiq import InMemoryBroker, TaskiqResult
from taskiq.brokers.inmemory_broker import InmemoryResultBackend

from fathom_async import ArgumentError, FathomClient, PageviewQuery
from fathom_async._bulk.results import Outcome
from fathom_async._cache.memory import MemoryStore
from fathom_async.integrations.taskiq import FathomTasks
from fathom_async.testing import FathomServer

pytestmark = pytest.mark.virtual_time

QUERIES = [
    PageviewQuery("CDBUGS", aggregates=["visits"], date_to=f"2026-0{month}-28", limit=month)
    for month in range(1, 4)
]


class Forgetful(InmemoryResultBackend[Any]):
    """Loses the first results, and cannot be written or read for the first times."""

    def __init__(self, *, losses: float = 0, outages: float = 0, full: int = 0) -> None:
        super().__init__()
        self._full = full
        self._losses = losses
        self._outages = outages

    async def set_result(self, task_id: str, result: TaskiqResult[Any]) -> None:
        if self._full > 0:
            self._full -= 1
            raise ConnectionError("out of memory")
        if result.return_value and self._losses > 0:
            self._losses -= 1
        else:
            await super().set_result(task_id, result)

    async def is_result_ready(self, task_id: str) -> bool:
        if self._outages > 0:
            self._outages -= 1
            raise ConnectionResetError("the result backend is away")
        return await super().is_result_ready(task_id)


async def ask(server: FathomServer, results: Forgetful, lost_after: float = 0.2) -> Sequence[Outcome[Any]]:
    broker = InMemoryBroker().with_result_backend(results)
    tasks = FathomTasks(
        broker,
        connect=lambda _: FathomClient("any", base_url=server.url),
        store=MemoryStore,
        nudge=0.1,
        lost_after=lost_after,
    )
    await broker.startup()
    try:
        return await tasks.outcomes(QUERIES)
    finally:
        await broker.shutdown()


@pytest.mark.parametrize("losses", [1, 3, 6])
async def test_a_lost_result_is_asked_for_again_and_costs_no_request(
    losses: int, server: FathomServer
) -> None:
    outcomes = await ask(server, Forgetful(losses=losses))
    assert [outcome.query for outcome in outcomes] == QUERIES
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert sum(hit.lane == "reports" for hit in server.hits) == 3


async def test_what_is_lost_again_and_again_fails(server: FathomServer) -> None:
    outcomes = await ask(server, Forgetful(losses=math.inf))
    assert all("no result although later tasks have theirs" in str(outcome.error) for outcome in outcomes)
    assert sum(hit.lane == "reports" for hit in server.hits) == 3


async def test_results_that_cannot_be_written_are_written_again(
    server: FathomServer, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes = await ask(server, Forgetful(full=7), lost_after=300)
    assert [outcome.error for outcome in outcomes] == [None] * 3
    assert asyncio.get_running_loop().time() < 60
    told = [record.message for record in caplog.records if record.name == "fathom_async"]
    assert told == ["cannot write the result of a task, will retry: out of memory"]


async def test_results_that_cannot_be_read_are_tried_again(
    server: FathomServer, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes = await ask(server, Forgetful(outages=5))
    assert [outcome.error for outcome in outcomes] == [None] * 3
    told = [record.message for record in caplog.records if record.name == "fathom_async"]
    assert told[0] == "cannot read the results of tasks, will retry: Cannot find out if the task is ready"
    assert len(told) <= 3


async def test_results_that_can_never_be_read_are_failures(server: FathomServer) -> None:
    outcomes = await ask(server, Forgetful(outages=math.inf))
    assert all("cannot read the results of the tasks" in str(outcome.error) for outcome in outcomes)


def test_waiting_needs_some_time() -> None:
    with pytest.raises(ArgumentError, match="nudge"):
        FathomTasks(InMemoryBroker(), nudge=0)
    with pytest.raises(ArgumentError, match="lost_after"):
        FathomTasks(InMemoryBroker(), lost_after=0)
