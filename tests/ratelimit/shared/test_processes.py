"""One budget spent by real processes over real sockets."""

import os
import signal
import uuid
from pathlib import Path

import pytest

from tests.ratelimit.shared.processes import LIMIT, Outcome, start_workers
from tests.support.fathom_process import fathom_process


@pytest.mark.slow
def test_four_processes_stay_inside_one_limit_and_use_it_up(budget: str) -> None:
    with fathom_process(LIMIT) as server:
        workers = start_workers(4, server.url, budget, 12)
        outcomes = [worker.said(Outcome) for worker in workers]
        seen = server.seen()
    assert [(outcome.answered, outcome.failed) for outcome in outcomes] == [(12, [])] * 4
    assert (seen.requests, seen.refused) == (48, 0)
    # On an idle machine all windows are full but the first two, in which the four feel their way, and the last one.
    assert max(seen.windows) == LIMIT.requests
    assert len(seen.windows) <= 2 * 5, seen
    asked = sum(outcome.asked for outcome in outcomes) / 48
    print(f"makespan {seen.makespan / seen.optimum:.3f} of the optimum, {asked:.2f} questions an admission")  # noqa: T201
    assert asked < 3


@pytest.mark.slow
def test_a_killed_process_takes_nothing_from_the_others(budget: str) -> None:
    with fathom_process(LIMIT) as server:
        victims = start_workers(2, server.url, budget, 40)
        others = start_workers(2, server.url, budget, 12)
        server.wait_for(15)
        for victim in victims:
            victim.kill()
        outcomes = [worker.said(Outcome) for worker in others]
        seen = server.seen()
    assert [(outcome.answered, outcome.failed) for outcome in outcomes] == [(12, [])] * 2
    assert seen.requests < 80 + 24
    assert seen.refused == 0


@pytest.mark.slow
def test_a_stopped_process_keeps_nobody_waiting_for_long(tmp_path: Path) -> None:
    with fathom_process(LIMIT) as server:
        budget = f"file://{tmp_path}/{uuid.uuid4()}"
        (stopped,) = start_workers(1, server.url, budget, 15)
        server.wait_for(3)
        os.kill(stopped.pid, signal.SIGSTOP)
        try:
            (other,) = start_workers(1, server.url, budget, 12)
            outcome = other.said(Outcome)
        finally:
            os.kill(stopped.pid, signal.SIGCONT)
        assert (outcome.answered, outcome.failed) == (12, [])
        assert stopped.said(Outcome).answered == 15
        assert server.seen().refused == 0
