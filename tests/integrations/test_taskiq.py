"""Bulk reports on real taskiq workers, which share a broker, a budget and a store in a real Redis."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import pytest
from redis import Redis as SyncRedis
from redis.asyncio import Redis
from taskiq import InMemoryBroker
from taskiq.api import run_receiver_task
from taskiq.serializers import JSONSerializer
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from fathom_async import FathomClient, FathomError, NotFoundError, PageviewQuery
from fathom_async._bulk.results import Outcome
from fathom_async._cache.memory import MemoryStore
from fathom_async.errors import StoreError
from fathom_async.integrations.taskiq import Batch, FathomTasks, batches, interleaved
from fathom_async.testing import FathomServer
from tests.integrations import fleet
from tests.integrations.taskiq_broker import broker_and_tasks
from tests.support.fathom_process import ROOT, FathomProcess, fathom_process
from tests.support.redis_server import RedisServer

TASKS = 3
QUERIES = [
    PageviewQuery("CDBUGS", aggregates=["visits"], date_to="2026-01-31"),
    PageviewQuery("NOBODYS", aggregates=["visits"], date_to="2026-01-31"),
    PageviewQuery("CDBUGS", aggregates=["pageviews"], date_to="2026-01-31"),
]


@contextmanager
def workers(environment: dict[str, str]) -> Generator[list["subprocess.Popen[bytes]"]]:
    """Workers as the command line starts them, each with a process group of its own."""
    processes = [start(environment) for _ in range(fleet.WORKERS)]
    try:
        yield processes
    finally:
        for process in processes:
            kill(process)


def start(environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "taskiq", "worker", "--workers", "1", "--max-async-tasks", str(TASKS)]
    return subprocess.Popen(
        [*command, "tests.integrations.taskiq_broker:broker"],
        cwd=ROOT,
        env=os.environ | environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def set_environment(monkeypatch: pytest.MonkeyPatch, url: str, redis: RedisServer) -> dict[str, str]:
    """Set the environment of the workers for this process too, and return it."""
    environment = fleet.environment(url, redis.url)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment


def kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a worker with all that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


async def ask(victim: "subprocess.Popen[bytes] | None", server: FathomProcess) -> Sequence[Outcome[Any]]:
    """Ask for everything, and perhaps kill a worker in the second window."""
    broker, tasks = broker_and_tasks()
    await broker.startup()
    try:
        asked = asyncio.create_task(tasks.outcomes(fleet.queries()))
        if victim is not None:
            await asyncio.to_thread(server.wait_for, fleet.SERVER.requests + 2)
            kill(victim)
        return await asked
    finally:
        await broker.shutdown()


@pytest.mark.slow
@pytest.mark.xdist_group("workers")
@pytest.mark.timeout(300)  # on a busy machine
@pytest.mark.parametrize("is_killed", [False, True])
def test_four_workers_answer_as_one_machine_would_and_use_its_limit_up(
    is_killed: bool, mortal_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fathom_process(fleet.SERVER) as server:
        environment = set_environment(monkeypatch, server.url, mortal_redis)
        with workers(environment) as processes:
            outcomes = asyncio.run(ask(processes[0] if is_killed else None, server))
            assert (processes[0].poll() is not None) is is_killed
            seen = server.seen()
    fleet.check(outcomes, seen, under_way=TASKS if is_killed else 0)


@pytest.mark.slow
@pytest.mark.xdist_group("workers")
@pytest.mark.timeout(300)  # on a busy machine
@pytest.mark.parametrize("outage", ["down", "out of memory", "flushed"])
def test_everything_is_answered_through_an_outage_of_redis(
    outage: str, mortal_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broker, results, budget and store are all lost: the server that comes back is empty."""
    with fathom_process(fleet.SERVER) as server:
        environment = set_environment(monkeypatch, server.url, mortal_redis)
        with workers(environment):
            with fleet.broken_down(outage, mortal_redis, server):
                outcomes = asyncio.run(ask(None, server))
            seen = server.seen()
    assert fleet.meaning(outcomes) == fleet.expected()
    assert seen.refused == 0


@pytest.mark.slow
@pytest.mark.xdist_group("workers")
@pytest.mark.timeout(300)  # on a busy machine
def test_workers_that_are_replaced_one_by_one_answer_everything_and_send_nothing_twice(
    mortal_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fathom_process(fleet.SLOW) as server:
        environment = set_environment(monkeypatch, server.url, mortal_redis)
        with workers(environment) as processes:

            def replace() -> None:
                for number, process in enumerate(tuple(processes)):
                    server.wait_for(5 * (number + 1))
                    process.terminate()
                    processes.append(start(environment))
                    process.wait()

            replacing = threading.Thread(target=replace)
            replacing.start()
            outcomes = asyncio.run(ask(None, server))
            replacing.join()
            seen = server.seen()
    assert fleet.meaning(outcomes) == fleet.expected()
    assert (seen.refused, seen.repeated) == (0, 0)


@pytest.mark.slow
@pytest.mark.xdist_group("workers")
@pytest.mark.timeout(300)  # on a busy machine
def test_an_idle_worker_stops_when_it_is_told(mortal_redis: RedisServer) -> None:
    with workers(fleet.environment("http://127.0.0.1:1", mortal_redis.url)) as processes:
        with cast("Any", SyncRedis).from_url(mortal_redis.url) as redis:
            while len(redis.client_list(_type="normal")) <= len(processes):  # each has a blocking connection
                time.sleep(0.05)
        for process in processes:
            process.terminate()
        assert [process.wait() for process in processes] == [0] * len(processes)


@pytest.mark.slow
@pytest.mark.xdist_group("workers")
@pytest.mark.timeout(300)  # on a busy machine
def test_slow_accounts_do_not_hold_up_the_others(
    mortal_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = set_environment(monkeypatch, "", mortal_redis)
    with fleet.uneven_accounts() as (todo, servers), workers(environment):
        fleet.check_uneven(asyncio.run(outcomes_of(todo)), servers)


async def outcomes_of(todo: Sequence[Batch[Any]]) -> Sequence[Sequence[Outcome[Any]]]:
    broker, tasks = broker_and_tasks(at_once=2)
    await broker.startup()
    try:
        return await tasks.outcomes_of(todo)
    finally:
        await broker.shutdown()


async def test_outcomes_come_in_the_order_asked_and_errors_are_outcomes() -> None:
    async with FathomServer(reports_throttle=None) as server:
        broker = InMemoryBroker()
        tasks = FathomTasks(
            broker, connect=lambda _: FathomClient("any", base_url=server.url), store=MemoryStore
        )
        await broker.startup()
        outcomes = await tasks.outcomes(QUERIES)
        await broker.shutdown()
        assert [outcome.query for outcome in outcomes] == QUERIES
        assert [type(outcome.error) for outcome in outcomes] == [type(None), NotFoundError, type(None)]
        assert outcomes[0].result().columns == ("visits",)
        assert len([hit for hit in server.hits if hit.lane == "reports"]) == 2


async def test_accounts_have_clients_of_their_own() -> None:
    tokens = {"token-one": ["sites"], "token-two": ["sites"]}
    async with FathomServer(reports_throttle=None, tokens=tokens) as server:
        broker = InMemoryBroker()
        tasks = FathomTasks(
            broker,
            connect=lambda account: FathomClient(f"token-{account}", base_url=server.url),
            store=MemoryStore,
        )
        await broker.startup()
        asked = {"one": QUERIES[:1], "two": QUERIES[1:2]}
        todo = interleaved(batches(queries, account=account) for account, queries in asked.items())
        outcomes = await tasks.outcomes_of(todo)
        await broker.shutdown()
        answered = {
            batch.account: [each.query for each in part] for batch, part in zip(todo, outcomes, strict=True)
        }
        assert answered == asked


async def test_a_task_that_fails_is_the_outcome_of_all_its_queries() -> None:
    def out_of_reach() -> MemoryStore:
        store = MemoryStore()
        store.get_many = refuse  # type: ignore[method-assign]  # pyright: ignore[reportAttributeAccessIssue]
        return store

    async def refuse(keys: object) -> dict[str, Any]:
        del keys
        raise StoreError("the store is out of reach")

    broker = InMemoryBroker()
    tasks = FathomTasks(broker, connect=lambda _: FathomClient("any"), store=out_of_reach, patience=0)
    await broker.startup()
    outcomes = await tasks.outcomes([QUERIES[0], QUERIES[2]])
    await broker.shutdown()
    assert all(isinstance(outcome.error, FathomError) for outcome in outcomes)
    assert ["out of reach" in str(outcome.error) for outcome in outcomes] == [True, True]


async def test_what_a_dead_worker_left_is_found_though_nothing_new_comes(mortal_redis: RedisServer) -> None:
    async with FathomServer(reports_throttle=None) as server:
        broker = RedisStreamBroker(mortal_redis.url, consumer_id="0", idle_timeout=100, xread_block=50)
        broker.with_result_backend(RedisAsyncResultBackend(mortal_redis.url, serializer=JSONSerializer()))
        tasks = FathomTasks(
            broker,
            connect=lambda _: FathomClient("any", base_url=server.url),
            store=MemoryStore,
            nudge=0.2,
        )
        await broker.startup()
        asked = asyncio.create_task(tasks.outcomes(QUERIES[:1]))
        await take_and_die(mortal_redis.url)
        worker = asyncio.create_task(run_receiver_task(broker, run_startup=True))
        outcomes = await asked
        worker.cancel()
        await asyncio.wait([worker])
        await broker.shutdown()
    assert outcomes[0].result().columns == ("visits",)


async def take_and_die(url: str) -> None:
    """Act like a worker that is killed at once: take a task, and never acknowledge it."""
    async with cast("Any", Redis).from_url(url) as redis:
        taken: list[object] = []
        while not taken:
            taken = await redis.xreadgroup("taskiq", "dead", {"taskiq": ">"}, count=1, block=100)


async def test_the_name_of_the_task_is_the_one_that_queued_tasks_have() -> None:
    broker = InMemoryBroker()
    FathomTasks(broker)
    assert "fathom_async.reports" in broker.get_all_tasks()
