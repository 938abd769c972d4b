"""One budget spent by real processes over real sockets."""

import signal
import time
import uuid
from pathlib import Path

import pytest

from tests.ratelimit.processes import fathom_server, outcome_of, start_worker


@pytest.mark.slow
def test_four_processes_stay_inside_one_limit_and_use_it_up(budget: str) -> None:
    with fathom_server() as (url, seen):
        workers = [start_worker(url, budget, 25) for _ in range(4)]
        outcomes = [outcome_of(worker) for worker in workers]
    assert [outcome["failed"] for outcome in outcomes] == [[]] * 4
    assert sum(outcome["answered"] for outcome in outcomes) == 100
    assert seen[0]["counted"] == 100
    assert seen[0]["refused"] == 0
    ratio = seen[0]["makespan"] / seen[0]["optimum"]
    asked = sum(outcome["asked"] for outcome in outcomes) / 100
    print(f"makespan {ratio:.3f} of the optimum, {asked:.2f} questions an admission")  # noqa: T201
    assert ratio < 1.5  # 1.05 on an idle machine; a busy one must not fail the test
    assert asked < 3


@pytest.mark.slow
def test_a_killed_process_takes_nothing_from_the_others(budget: str) -> None:
    with fathom_server() as (url, seen):
        victims = [start_worker(url, budget, 25) for _ in range(2)]
        others = [start_worker(url, budget, 12) for _ in range(2)]
        time.sleep(2.2)
        for victim in victims:
            victim.send_signal(signal.SIGKILL)
            victim.communicate()
        outcomes = [outcome_of(worker) for worker in others]
    assert [(outcome["answered"], outcome["failed"]) for outcome in outcomes] == [(12, [])] * 2
    assert seen[0]["refused"] == 0


@pytest.mark.slow
def test_a_stopped_process_keeps_nobody_waiting_for_long(tmp_path: Path) -> None:
    with fathom_server() as (url, seen):
        budget = f"file://{tmp_path}/{uuid.uuid4()}"
        stopped = start_worker(url, budget, 12)
        time.sleep(1.5)
        stopped.send_signal(signal.SIGSTOP)
        try:
            outcome = outcome_of(start_worker(url, budget, 12))
        finally:
            stopped.send_signal(signal.SIGCONT)
        assert (outcome["answered"], outcome["failed"]) == (12, [])
        assert outcome_of(stopped)["answered"] == 12
    assert seen[0]["refused"] == 0
