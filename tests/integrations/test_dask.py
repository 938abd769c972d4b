"""Bulk reports on a real Dask cluster: worker processes that share a budget and a store in a real Redis."""

import os
import pickle
import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from distributed import Client, LocalCluster

from fathom_async import ArgumentError, NotFoundError, PageviewQuery
from fathom_async.integrations import dask as fathom_dask
from fathom_async.integrations.dask import FathomWorker
from tests.integrations import fleet
from tests.ratelimit.shared.processes import TOKEN
from tests.support.fathom_process import FathomProcess, fathom_process
from tests.support.redis_server import RedisServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from fathom_async._bulk.results import Outcome

THREADS = 2


@contextmanager
def cluster(
    environment: dict[str, str], directory: Path, workers: int, threads: int = THREADS
) -> Generator[Client]:
    """Worker processes without an account yet."""
    make = cast("Callable[..., Any]", LocalCluster)
    local = make(
        n_workers=workers,
        threads_per_worker=threads,
        processes=True,
        dashboard_address=":0",
        local_directory=str(directory),
        env=environment,
    )
    with local, cast("Callable[[Any], Any]", Client)(local) as client:
        yield client


def process_ids(client: Client) -> set[int]:
    return set(cast("Callable[..., dict[str, int]]", cast("Any", client).run)(os.getpid).values())


def register(client: Client) -> None:
    plugin = FathomWorker(connect=fleet.connect, store=fleet.short_lived_claims)
    cast("Callable[..., object]", client.register_plugin)(plugin)


def kill(victim: int, server: FathomProcess) -> None:
    """Kill a worker in the second window."""
    server.wait_for(fleet.SERVER.requests + 2)
    os.kill(victim, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.xdist_group("fleet")
@pytest.mark.timeout(300)  # it may have to wait for others
@pytest.mark.parametrize("is_killed", [False, True])
def test_four_workers_answer_as_one_machine_would_and_use_its_limit_up(
    is_killed: bool, mortal_redis: RedisServer, tmp_path: Path
) -> None:
    with fleet.alone(), fathom_process(fleet.SERVER) as server:
        environment = fleet.environment(server.url, mortal_redis.url)
        with cluster(environment, tmp_path, fleet.WORKERS) as client:
            register(client)
            victim = min(process_ids(client))
            killer = threading.Thread(target=kill, args=(victim, server))
            if is_killed:
                killer.start()
            outcomes = fathom_dask.outcomes(client, fleet.queries())
            assert (victim in process_ids(client)) is not is_killed
            seen = server.seen()
    fleet.check(outcomes, seen, under_way=THREADS if is_killed else 0)


@pytest.mark.slow
@pytest.mark.xdist_group("fleet")
@pytest.mark.timeout(300)  # it may have to wait for others
def test_slow_accounts_do_not_hold_up_the_others(mortal_redis: RedisServer, tmp_path: Path) -> None:
    with fleet.alone(), fleet.uneven_accounts() as (todo, servers):
        with cluster(fleet.environment("", mortal_redis.url), tmp_path, 2, threads=8) as client:
            register(client)
            outcomes = fathom_dask.outcomes_of(client, todo, at_once=2)
        fleet.check_uneven(outcomes, servers)


@pytest.mark.slow
@pytest.mark.xdist_group("fleet")
@pytest.mark.timeout(300)  # it may have to wait for others
@pytest.mark.parametrize("outage", ["down", "out of memory", "flushed"])
def test_everything_is_answered_through_an_outage_of_redis(
    outage: str, mortal_redis: RedisServer, tmp_path: Path
) -> None:
    with fleet.alone(), fathom_process(fleet.SERVER) as server:
        environment = fleet.environment(server.url, mortal_redis.url)
        with cluster(environment, tmp_path, 2) as client:
            register(client)
            breaker = threading.Thread(target=fleet.break_down, args=(outage, mortal_redis, server))
            breaker.start()
            outcomes = fathom_dask.outcomes(client, fleet.queries())
            breaker.join()
            seen = server.seen()
    assert fleet.meaning(outcomes) == fleet.expected()
    assert seen.refused == 0


@pytest.mark.slow
@pytest.mark.xdist_group("fleet")
@pytest.mark.timeout(300)  # it may have to wait for others
def test_a_bag_and_delayed_values_have_the_same_outcomes(mortal_redis: RedisServer, tmp_path: Path) -> None:
    queries = [PageviewQuery("CDBUGS", aggregates=["visits"], date_to=f"2026-0{n}-28") for n in (1, 2, 3)]
    queries.append(PageviewQuery("NOBODYS", aggregates=["visits"], date_to="2026-01-28"))
    with fleet.alone(), fathom_process(fleet.SERVER) as server:
        environment = fleet.environment(server.url, mortal_redis.url)
        with cluster(environment, tmp_path, 1) as client:
            with pytest.raises(ArgumentError, match=r"register_plugin\(FathomWorker\(\)\)"):
                fathom_dask.outcomes(client, queries)[0].result()
            register(client)
            plain = fathom_dask.outcomes(client, queries)
            delayed = cast("Any", client).compute(fathom_dask.delayed(queries), sync=True)
            bagged: list[Outcome[Any]] = cast("Any", fathom_dask.bag(queries)).compute()
        seen = server.seen()
    assert isinstance(plain[-1].error, NotFoundError)
    assert fleet.meaning(
        fathom_dask.in_order(outcome for part in delayed for outcome in part)
    ) == fleet.meaning(plain)
    assert fleet.meaning(fathom_dask.in_order(bagged)) == fleet.meaning(plain)
    assert seen.requests == 3 + 3  # what was answered is kept; the error is asked for each time


def test_no_token_travels() -> None:
    plugin = FathomWorker(connect=fleet.connect, store=fleet.short_lived_claims)
    assert TOKEN.encode() not in pickle.dumps((plugin, fathom_dask.batches(fleet.queries())))


def test_a_task_outside_of_a_cluster_says_what_it_needs() -> None:
    batch = fathom_dask.batches(fleet.queries()[:1])[0]
    with pytest.raises(ArgumentError, match="compute with a Client"):
        fathom_dask.ask(batch)
