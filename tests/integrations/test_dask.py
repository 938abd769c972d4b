"""Bulk reports on a real Dask cluster: worker processes that share a budget and a store in a real Redis."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from distributed import Client, LocalCluster

from fathom_async import ArgumentError, NotFoundError, PageviewQuery
from fathom_async._bulk.results import Progress
from fathom_async.integrations import dask as fathom_dask
from fathom_async.integrations.dask import FathomWorker
from tests.examples.test_launcher import free_port
from tests.integrations import fleet
from tests.ratelimit.shared.processes import TOKEN
from tests.support.fathom_process import ROOT, FathomProcess, fathom_process
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
@pytest.mark.xdist_group("dask")
@pytest.mark.timeout(300)  # on a busy machine
@pytest.mark.parametrize("is_killed", [False, True])
def test_four_workers_answer_as_one_machine_would_and_use_its_limit_up(
    is_killed: bool, mortal_redis: RedisServer, tmp_path: Path
) -> None:
    with fathom_process(fleet.SERVER) as server:
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
@pytest.mark.xdist_group("dask")
@pytest.mark.timeout(300)  # on a busy machine
def test_workers_that_are_replaced_one_by_one_answer_everything_and_send_nothing_twice(
    mortal_redis: RedisServer, tmp_path: Path
) -> None:
    """Workers as the command line starts them: those of a `LocalCluster` do not know SIGTERM."""
    port = str(free_port())
    with fathom_process(fleet.SLOW) as server, ExitStack() as started:
        environment = fleet.environment(server.url, mortal_redis.url)

        def start(program: str, *arguments: str) -> "subprocess.Popen[bytes]":
            command = [sys.executable, "-m", f"distributed.cli.dask_{program}", *arguments]
            process = subprocess.Popen(
                [*command, "--dashboard-address", ":0"],
                cwd=ROOT,
                env=os.environ | environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            started.enter_context(process)
            started.callback(process.kill)
            return process

        def worker() -> "subprocess.Popen[bytes]":
            return start("worker", f"127.0.0.1:{port}", "--nthreads", "4", "--local-directory", str(tmp_path))

        start("scheduler", "--host", "127.0.0.1", "--port", port)
        processes = [worker(), worker()]
        with cast("Callable[..., Any]", Client)(f"127.0.0.1:{port}", timeout=60) as client:
            client.wait_for_workers(len(processes))
            register(client)

            def replace() -> None:
                for number, process in enumerate(processes):
                    server.wait_for(5 + 10 * number)
                    process.terminate()
                    worker()
                    process.wait()

            replacing = threading.Thread(target=replace)
            replacing.start()
            outcomes = fathom_dask.outcomes(client, fleet.queries())
            replacing.join()
        seen = server.seen()
    assert fleet.meaning(outcomes) == fleet.expected()
    assert (seen.refused, seen.repeated) == (0, 0)


@pytest.mark.slow
@pytest.mark.xdist_group("dask")
@pytest.mark.timeout(300)  # on a busy machine
def test_slow_accounts_do_not_hold_up_the_others(mortal_redis: RedisServer, tmp_path: Path) -> None:
    with fleet.uneven_accounts() as (todo, servers):
        with cluster(fleet.environment("", mortal_redis.url), tmp_path, 2, threads=8) as client:
            register(client)
            outcomes = fathom_dask.outcomes_of(client, todo, at_once=2)
        fleet.check_uneven(outcomes, servers)


@pytest.mark.slow
@pytest.mark.xdist_group("dask")
@pytest.mark.timeout(300)  # on a busy machine
@pytest.mark.parametrize("outage", ["down", "out of memory", "flushed"])
def test_everything_is_answered_through_an_outage_of_redis(
    outage: str, mortal_redis: RedisServer, tmp_path: Path
) -> None:
    with fathom_process(fleet.SERVER) as server:
        environment = fleet.environment(server.url, mortal_redis.url)
        with cluster(environment, tmp_path, 2) as client:
            register(client)
            with fleet.broken_down(outage, mortal_redis, server):
                outcomes = fathom_dask.outcomes(client, fleet.queries())
            seen = server.seen()
    assert fleet.meaning(outcomes) == fleet.expected()
    assert seen.refused == 0


@pytest.mark.slow
@pytest.mark.xdist_group("dask")
@pytest.mark.timeout(300)  # on a busy machine
def test_a_bag_and_delayed_values_have_the_same_outcomes(mortal_redis: RedisServer, tmp_path: Path) -> None:
    queries = [PageviewQuery("CDBUGS", aggregates=["visits"], date_to=f"2026-0{n}-28") for n in (1, 2, 3)]
    queries.append(PageviewQuery("NOBODYS", aggregates=["visits"], date_to="2026-01-28"))
    with fathom_process(fleet.SERVER) as server:
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


@pytest.mark.slow
@pytest.mark.xdist_group("dask")
@pytest.mark.timeout(300)  # on a busy machine
def test_a_job_waits_until_workers_have_the_plugin_again(mortal_redis: RedisServer, tmp_path: Path) -> None:
    """A scheduler that was restarted does not know the plugins of the one before."""
    queries = fleet.queries()[:15]
    with fathom_process(fleet.SERVER) as server:
        environment = fleet.environment(server.url, mortal_redis.url)
        with cluster(environment, tmp_path, 1) as client:
            register(client)

            def lose(progress: Progress) -> None:
                if progress.done == 1:
                    losing.start()

            def lose_and_register_again() -> None:
                cast("Any", client).unregister_worker_plugin(FathomWorker.name)
                time.sleep(1.0)
                register(client)

            losing = threading.Thread(target=lose_and_register_again)
            outcomes = fathom_dask.outcomes(client, queries, on_progress=lose)
            losing.join()
    assert [outcome.error for outcome in outcomes] == [None] * len(queries)


def test_no_token_travels() -> None:
    plugin = FathomWorker(connect=fleet.connect, store=fleet.short_lived_claims)
    assert TOKEN.encode() not in pickle.dumps((plugin, fathom_dask.batches(fleet.queries())))


def test_a_task_outside_of_a_cluster_says_what_it_needs() -> None:
    batch = fathom_dask.batches(fleet.queries()[:1])[0]
    with pytest.raises(ArgumentError, match="compute with a Client"):
        fathom_dask.ask(batch)
