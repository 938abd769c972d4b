"""Bulk reports by an engine that is one function."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import pytest

from fathom_async import ArgumentError, FathomClient, NotFoundError, PageviewQuery
from fathom_async._bulk.results import Progress
from fathom_async._cache.memory import MemoryStore
from fathom_async.errors import ClosedError, FathomError
from fathom_async.integrations.fleet import Fleet, Json, batches, interleaved
from fathom_async.integrations.workers import WorkerClients
from fathom_async.testing import FathomServer
from tests.integrations.asked import by_browser, by_day

pytestmark = pytest.mark.virtual_time

QUERIES = [by_browser("CDBUGS", limit) for limit in range(1, 6)]


class Engine:
    """Hands JSON texts to workers, of which some break; each worker answers one task."""

    def __init__(self, url: str) -> None:
        self.tasks = 0
        self.running = 0
        self.most_running = 0
        self.broken: dict[int, BaseException] = {}
        self._workers = WorkerClients(lambda _: FathomClient("any", base_url=url), MemoryStore)

    async def run(self, task: Json) -> Sequence[Json]:
        self.tasks += 1
        number = self.tasks
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            await asyncio.sleep(0.01)
            if number in self.broken:
                raise self.broken[number]
            sent: Json = json.loads(json.dumps(task))
            answer: Sequence[Json] = json.loads(json.dumps(await self._workers.answer(sent)))
            return answer
        finally:
            self.running -= 1

    async def aclose(self) -> None:
        await self._workers.aclose()


@pytest.fixture
async def server() -> AsyncIterator[FathomServer]:
    async with FathomServer(reports_throttle=None, now=datetime(2026, 10, 31, 12, tzinfo=UTC)) as running:
        yield running


@pytest.fixture
async def engine(server: FathomServer) -> AsyncIterator[Engine]:
    made = Engine(server.url)
    yield made
    await made.aclose()


def hits(server: FathomServer) -> int:
    return sum(hit.lane == "reports" for hit in server.hits)


async def test_outcomes_come_as_they_arrive_and_in_order_at_the_end(
    engine: Engine, server: FathomServer
) -> None:
    asked = [*QUERIES, by_day(1, site="NOBODYS")]
    arrived = [outcome async for outcome in Fleet(engine.run).run(asked)]
    assert sorted(outcome.position for outcome in arrived) == list(range(6))
    assert [type(each.error) for each in arrived if each.error] == [NotFoundError]
    collected = await Fleet(engine.run).outcomes(asked)
    assert [outcome.query for outcome in collected] == asked
    assert hits(server) == 6 + 1  # what was answered is kept; the error is asked for again


async def test_batches_of_several_accounts_come_with_their_outcomes(engine: Engine) -> None:
    todo = interleaved(batches(QUERIES, account=account) for account in "ab")
    ended = [each async for each in Fleet(engine.run).run_batches(todo)]
    assert {(batch.account, batch.positions) for batch, _ in ended} == {
        (account, (place,)) for account in "ab" for place in range(5)
    }
    assert all(outcome.query in batch.queries for batch, outcomes in ended for outcome in outcomes)


@pytest.mark.parametrize(
    "error", [ConnectionError("the broker is away"), ClosedError("the worker is closing"), ValueError("?")]
)
async def test_what_an_engine_could_not_run_is_sent_again(
    error: Exception, engine: Engine, server: FathomServer
) -> None:
    engine.broken = dict.fromkeys(range(1, 4), error)
    outcomes = await Fleet(engine.run).outcomes(QUERIES)
    assert [outcome.error for outcome in outcomes] == [None] * 5
    assert (engine.tasks, hits(server)) == (8, 5)


async def test_what_fails_for_good_is_an_outcome(engine: Engine) -> None:
    engine.broken = {1: FathomError("no such account")}
    outcomes = await Fleet(engine.run).outcomes(QUERIES)
    assert [str(outcome.error) for outcome in outcomes if outcome.error] == ["no such account"]


async def test_an_answer_that_is_none_is_a_failure_of_the_engine(engine: Engine) -> None:
    async def run(task: Json) -> Sequence[Json]:
        answer = await engine.run(task)
        return [] if engine.tasks == 1 else answer

    outcomes = await Fleet(run).outcomes(QUERIES)
    assert [outcome.error for outcome in outcomes] == [None] * 5


async def test_an_account_has_few_tasks_at_once(engine: Engine) -> None:
    todo = interleaved(batches(QUERIES, account=account) for account in "abc")
    await Fleet(engine.run, at_once=2).outcomes_of(todo)
    assert engine.most_running == 6


async def test_no_request_is_spent_on_a_resend_even_if_the_range_is_open(
    engine: Engine, server: FathomServer
) -> None:
    """A worker asks and dies before it tells; it was slow, so that the answer would not be fresh by age."""
    asked = [PageviewQuery("CDBUGS", aggregates=["visits"])]
    lost = 2

    async def run(task: Json) -> Sequence[Json]:
        answer = await engine.run(task)
        if engine.tasks <= lost:
            await asyncio.sleep(400.0)
            raise ConnectionError("the worker died")
        return answer

    outcomes = await Fleet(run).outcomes(asked)
    assert outcomes[0].error is None
    assert (engine.tasks, hits(server)) == (3, 1)
    await Fleet(run).outcomes(asked)
    assert hits(server) == 2  # another job wants a newer one


async def test_the_progress_counts_queries_and_requests_and_ends_at_zero(engine: Engine) -> None:
    seen: list[Progress] = []
    asked = [*QUERIES, by_day(1, site="NOBODYS")]
    await Fleet(engine.run).outcomes(asked, on_progress=seen.append)
    assert (seen[0].queries, seen[0].requests, seen[0].done, seen[0].answered) == (6, 6, 0, 0)
    assert [progress.done for progress in seen] == list(range(7))
    assert (seen[-1].failed, seen[-1].answered, seen[-1].seconds_left) == (1, 6, 0.0)
    assert seen[-1].is_over
    await Fleet(engine.run).outcomes(QUERIES, on_progress=seen.append)
    assert seen[-1].kept == 5


async def test_a_plan_says_what_a_job_takes_before_it_begins() -> None:
    async def run(task: Json) -> Sequence[Json]:
        raise AssertionError(task)

    todo = [
        *batches(QUERIES * 1, account="small"),
        *batches([by_browser(f"S{n}", 1) for n in range(35)], account="large"),
    ]
    plan = Fleet(run).plan(todo)
    assert (plan.accounts, plan.batches, plan.queries, plan.requests) == (2, 40, 40, 40)
    assert plan.slowest == "large"
    assert 180 <= plan.seconds <= 200
    assert str(plan) == (
        "40 queries in at most 40 requests, 40 tasks; accounts: 2 (the slowest: large); at most 0 h 04 min"
    )
    assert Fleet(run, plan="hourly:600:5").plan(todo).seconds < plan.seconds
    assert Fleet(run).plan([]).seconds == 0


async def test_a_caller_that_stops_listening_ends_the_tasks(engine: Engine) -> None:
    async with aclosing(Fleet(engine.run).run(QUERIES)) as run:
        async for _ in run:
            break
    assert engine.running == 0


async def test_a_slow_caller_does_not_hold_up_the_tasks(engine: Engine) -> None:
    async for _ in Fleet(engine.run, at_once=1).run(QUERIES):
        await asyncio.sleep(10)
        assert engine.tasks == 5


async def test_what_the_callback_raises_is_raised(engine: Engine) -> None:
    def fail(progress: Progress) -> None:
        if progress.done:
            raise KeyError("a mistake")

    with pytest.raises(KeyError, match="a mistake"):
        await Fleet(engine.run).outcomes(QUERIES, on_progress=fail)
    assert engine.running == 0


async def test_settings_are_checked_at_once(engine: Engine) -> None:
    for wrong in ({"at_once": 0}, {"patience": -1}):
        settings: dict[str, Any] = wrong
        with pytest.raises(ArgumentError, match=next(iter(wrong))):
            Fleet(engine.run, **settings)
    assert await Fleet(engine.run).outcomes([]) == []


async def test_queries_in_place_of_batches_are_told_what_makes_batches(engine: Engine) -> None:
    queries: Any = QUERIES
    fleet = Fleet(engine.run)
    with pytest.raises(ArgumentError, match=r"todo\[0\] must be a Batch, .*: batches\(queries\) makes them"):
        await fleet.outcomes_of(queries)
    with pytest.raises(ArgumentError, match=r"todo\[0\] must be a Batch"):
        fleet.plan(queries)
