"""Which batches of a job go to the engine, and when."""

import logging
import math
from collections.abc import Callable, Sequence

import pytest

from fathom_async import ArgumentError, BudgetError, ClosedError, FathomError, NotFoundError, PageviewQuery
from fathom_async._bulk.results import Outcome
from fathom_async._core.codec.rows import Row
from fathom_async.errors import StoreError, WaitTooLongError, WorkerTokenError
from fathom_async.integrations._dispatch import Dispatch
from fathom_async.integrations.batches import Batch

QUERY = PageviewQuery("CDBUGS", aggregates=["visits"])


def job(*accounts: str, at_once: int = 2, patience: float = 600.0) -> Dispatch[Row]:
    todo: list[Batch[Row]] = [Batch((QUERY,), (0,), account) for account in accounts]
    return Dispatch(todo, at_once=at_once, patience=patience)


def ended(error: FathomError | None = None) -> Sequence[Outcome[Row]]:
    return [Outcome(QUERY, None, error or NotFoundError(404, "nobody"))]


Found = dict[int, Exception | None]


def simulate(
    dispatch: Dispatch[Row], run: Callable[[int, float], Exception | None]
) -> tuple[float, Sequence[Exception | None]]:
    """Run each task at once; return when the job is over, and the errors of its batches."""
    now, found = 0.0, Found()
    while not dispatch.is_over:
        for place in dispatch.due(now):
            error = run(place, now)
            if error is None or isinstance(error, FathomError):
                outcomes = dispatch.settle(place, ended(error), now)
            else:
                outcomes = dispatch.put_back(place, error, now)
            if outcomes is not None:
                found[place] = outcomes[0].error
        if not dispatch.is_over and dispatch.next_due() > now:
            now = dispatch.next_due() if dispatch.next_due() < math.inf else now
    return now, [found[place] for place in range(len(found))]


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
    end, errors = simulate(dispatch, run)
    assert end < 45
    assert [type(each) for each in errors] == [NotFoundError] * 10
    assert len(sent) <= 10 + 21


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
    end, errors = simulate(dispatch, lambda _place, _now: StoreError("away"))
    assert 100 <= end <= 100 + 30
    assert [type(each) for each in errors] == [StoreError] * 10
    assert [record.message for record in caplog.records] == [
        "a task cannot run, such tasks are sent again for 100 s: away"
    ]


def test_an_end_of_an_outage_is_told(caplog: pytest.LogCaptureFixture) -> None:
    simulate(job("a", "b"), lambda _place, now: StoreError("away") if now < 50 else None)
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert caplog.records[-1].message == "tasks run again"


def test_a_batch_that_never_runs_does_not_keep_others_from_it() -> None:
    dispatch = job(*["a"] * 50, patience=60.0)
    _, errors = simulate(dispatch, lambda place, _now: StoreError("too large") if place == 7 else None)
    assert [type(each) for each in errors] == [*[NotFoundError] * 7, StoreError, *[NotFoundError] * 42]


def test_a_used_up_limit_is_waited_for_without_tasks_for_as_long_as_it_takes() -> None:
    tried: list[float] = []

    def run(_place: int, now: float) -> FathomError | None:
        tried.append(now)
        return WaitTooLongError("reports", 3720 - now, 120.0) if now < 3600 else None

    dispatch = job(*["a"] * 8, patience=1.0)
    end, errors = simulate(dispatch, run)
    assert end >= 3600
    assert len([at for at in tried if at < 3600]) <= 2 * 3600 / 300 + 2
    assert [type(each) for each in errors] == [NotFoundError] * 8


def test_an_outage_after_a_long_wait_for_the_limit_is_waited_for_like_the_first() -> None:
    def run(_place: int, now: float) -> FathomError | None:
        if now < 10 or 3500 < now < 3700:
            return BudgetError("away")
        return WaitTooLongError("reports", 3720 - now, 120.0) if now < 3600 else None

    _, errors = simulate(job(*["a"] * 8), run)
    assert [type(each) for each in errors] == [NotFoundError] * 8


def test_a_server_that_is_away_is_not_waited_for_without_end() -> None:
    dispatch = job("a", patience=60.0)
    away = WaitTooLongError("reports", 5.0, 120.0, "no connection")
    assert simulate(dispatch, lambda _place, _now: away)[1] == [away]


def test_what_the_engine_fails_to_run_while_it_runs_others_is_not_sent_for_ever() -> None:
    tried: list[int] = []

    def run(place: int, _now: float) -> Exception | None:
        tried.append(place)
        return RuntimeError("the worker died") if place == 3 else None

    end, errors = simulate(job(*["a"] * 9), run)
    assert end < 10
    assert tried.count(3) == 3
    assert [str(each) for each in errors if not isinstance(each, NotFoundError)] == [
        "the task failed: the worker died"
    ]


def test_an_engine_that_runs_nothing_is_waited_for_as_long_as_patience_lasts() -> None:
    def run(_place: int, now: float) -> Exception | None:
        return ConnectionError("the broker is away") if now < 500 else None

    end, errors = simulate(job(*["a"] * 9), run)
    assert 500 <= end <= 530
    assert [type(each) for each in errors] == [NotFoundError] * 9


def test_the_time_left_is_that_of_the_slowest_account_by_plan_or_by_pace() -> None:
    dispatch = job(*["a"] * 10, *["b"] * 4)
    assert dispatch.seconds_left(lambda requests: 6.0 * requests, 0.0) == 60.0
    for now in (100.0, 200.0):
        for place in dispatch.due(now - 100.0):
            if place >= 10:
                dispatch.settle(place, ended(), now)
    assert dispatch.seconds_left(lambda requests: 6.0 * requests, 200.0) == 60.0
    for place in dispatch.due(200.0) or (0, 1):
        dispatch.settle(place, ended(), 200.0)
    assert dispatch.seconds_left(lambda requests: 6.0 * requests, 200.0) == 8 * 100.0


def test_bounds_are_checked() -> None:
    with pytest.raises(ArgumentError, match="at_once"):
        job(at_once=0)
    with pytest.raises(ArgumentError, match="patience"):
        job(patience=-1)


def test_a_token_that_every_worker_finds_rejected_is_waited_for_a_minute() -> None:
    rejected = WorkerTokenError("a", "host", 7, "Unauthenticated.")
    end, errors = simulate(job(*["a"] * 5), lambda _place, _now: rejected)
    assert 60 <= end <= 90
    assert errors == [rejected] * 5
    _, errors = simulate(job(*["a"] * 9), lambda place, now: rejected if place % 2 and now < 50 else None)
    assert [type(each) for each in errors] == [NotFoundError] * 9


def test_a_token_that_is_replaced_within_patience_fails_nothing() -> None:
    rejected = WorkerTokenError("a", "host", 7, "Unauthenticated.")
    _, errors = simulate(job(*["a"] * 9), lambda place, now: rejected if place > 2 and now < 500 else None)
    assert [type(each) for each in errors] == [NotFoundError] * 9


def test_a_rejected_token_of_a_worker_is_told_once_while_others_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tries = iter(range(200))
    rejected = [WorkerTokenError("a", "host", number, "Unauthenticated.") for number in (7, 8)]
    simulate(
        job(*["a"] * 50), lambda _place, _now: None if (now := next(tries)) % 2 else rejected[now % 4 // 2]
    )
    assert 2 <= len(caplog.records) <= 4
