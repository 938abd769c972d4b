"""Which batches of a job go to the engine, and when."""

import logging
import math
from collections.abc import Callable, Sequence

import pytest

from fathom_async import ArgumentError, BudgetError, ClosedError, FathomError, NotFoundError, PageviewQuery
from fathom_async._bulk.results import Outcome
from fathom_async._core.codec.rows import Row
from fathom_async.errors import StoreError, WaitTooLongError
from fathom_async.integrations._dispatch import Dispatch
from fathom_async.integrations.workers import Batch

QUERY = PageviewQuery("CDBUGS", aggregates=["visits"])


def job(*accounts: str, at_once: int = 2, patience: float = 600.0) -> Dispatch[Row]:
    todo: list[Batch[Row]] = [Batch((QUERY,), (0,), account) for account in accounts]
    return Dispatch(todo, at_once=at_once, patience=patience)


def ended(error: FathomError | None = None) -> Sequence[Outcome[Row]]:
    return [Outcome(QUERY, None, error or NotFoundError(404, "nobody"))]


def simulate(dispatch: Dispatch[Row], run: Callable[[int, float], FathomError | None]) -> float:
    """Run each task at once; return when the job is over."""
    now = 0.0
    while not dispatch.is_over:
        for place in dispatch.due(now):
            dispatch.settle(place, ended(run(place, now)), now)
        if not dispatch.is_over and dispatch.next_due() > now:
            now = dispatch.next_due() if dispatch.next_due() < math.inf else now
    return now


def test_accounts_take_turns_and_have_few_unfinished_tasks() -> None:
    dispatch = job("a", "a", "a", "a", "b", "b", "b")
    assert dispatch.due(0.0) == [0, 4, 1, 5]
    assert dispatch.due(0.0) == []
    dispatch.settle(5, ended(), 1.0)
    assert dispatch.due(1.0) == [6]
    for place in (4, 6):
        dispatch.settle(place, ended(), 2.0)
    assert dispatch.due(2.0) == []
    dispatch.settle(0, ended(), 3.0)
    assert dispatch.due(3.0) == [2]


@pytest.mark.parametrize(
    "error", [StoreError("away"), BudgetError("away"), ClosedError("closing"), WaitTooLongError("x", 3, 2)]
)
def test_what_could_not_run_yet_is_no_outcome(error: FathomError) -> None:
    sent: list[int] = []

    def run(place: int, now: float) -> FathomError | None:
        sent.append(place)
        return error if now < 10 else None

    dispatch = job(*["a"] * 10)
    assert simulate(dispatch, run) < 45
    assert all(isinstance(outcomes[0].error, NotFoundError) for outcomes in dispatch.outcomes)
    assert len(sent) <= 10 + 20


def test_one_task_at_a_time_tries_whether_it_can_run() -> None:
    dispatch = job(*["a"] * 9, "b", "b", at_once=3)
    assert dispatch.due(0.0) == [0, 9, 1, 10, 2]
    for place in (0, 1, 2):
        dispatch.settle(place, ended(StoreError("away")), 1.0)
    assert dispatch.due(1.0) == []
    assert dispatch.due(dispatch.next_due()) == [3]
    dispatch.settle(3, ended(), 2.0)
    assert dispatch.due(2.0) == [4, 5, 6]


def test_errors_are_outcomes_when_patience_ends_and_that_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    dispatch = job(*["a"] * 5, *["b"] * 5, patience=100.0)
    end = simulate(dispatch, lambda _place, _now: StoreError("away"))
    assert 100 <= end <= 100 + 30
    assert all(isinstance(outcomes[0].error, StoreError) for outcomes in dispatch.outcomes)
    assert [record.message for record in caplog.records] == [
        "a task cannot run, such tasks are sent again for 100 s: away"
    ]


def test_an_end_of_an_outage_is_told(caplog: pytest.LogCaptureFixture) -> None:
    simulate(job("a", "b"), lambda _place, now: StoreError("away") if now < 50 else None)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert caplog.records[-1].message == "tasks run again"


def test_a_batch_that_never_runs_does_not_keep_others_from_it() -> None:
    dispatch = job(*["a"] * 50, patience=60.0)
    simulate(dispatch, lambda place, _now: StoreError("too large") if place == 7 else None)
    errors = [type(outcomes[0].error) for outcomes in dispatch.outcomes]
    assert errors == [*[NotFoundError] * 7, StoreError, *[NotFoundError] * 42]


def test_a_used_up_limit_is_waited_for_without_tasks_for_as_long_as_it_takes() -> None:
    tried: list[float] = []

    def run(_place: int, now: float) -> FathomError | None:
        tried.append(now)
        return WaitTooLongError("reports", 3720 - now, 120.0) if now < 3600 else None

    dispatch = job(*["a"] * 8, patience=1.0)
    assert simulate(dispatch, run) >= 3600
    assert len([at for at in tried if at < 3600]) <= 2 * 3600 / 300 + 2
    assert all(isinstance(outcomes[0].error, NotFoundError) for outcomes in dispatch.outcomes)


def test_a_server_that_is_away_is_not_waited_for_without_end() -> None:
    dispatch = job("a", patience=60.0)
    simulate(dispatch, lambda _place, _now: WaitTooLongError("reports", 5.0, 120.0, "no connection"))
    assert isinstance(dispatch.outcomes[0][0].error, WaitTooLongError)


def test_bounds_are_checked() -> None:
    with pytest.raises(ArgumentError, match="at_once"):
        job(at_once=0)
    with pytest.raises(ArgumentError, match="patience"):
        job(patience=-1)
