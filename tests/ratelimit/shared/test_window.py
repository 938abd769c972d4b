"""Lanes that share one window, on a virtual clock: each lane stands for a process."""

# pyright: reportPrivateUsage=false

import asyncio
import fcntl
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom_async._ratelimit.admission import SILENT, Feedback
from fathom_async._ratelimit.budget import Budget
from fathom_async._ratelimit.lane import Lane
from fathom_async._ratelimit.plan import Priority, RateLimit
from fathom_async._ratelimit.protocol import Demand, Wanted, Window
from fathom_async._ratelimit.shared.commands import Command
from fathom_async._ratelimit.shared.file import FileStore
from fathom_async._ratelimit.shared.protocol import Done
from fathom_async._ratelimit.shared.window import SharedWindow
from fathom_async._util.clock import LoopClock
from fathom_async.errors import BudgetError, ConfigurationError, WaitTooLongError
from fathom_async.telemetry import Paused, Telemetry
from fathom_async.testing import (
    AlignedWindow,
    ConcurrencyCap,
    LaravelWindow,
    SlidingLog,
    Throttle,
    run_virtual,
)
from fathom_async.testing._traffic import max_in_window

pytestmark = pytest.mark.virtual_time

SPAN = 61.0


def lane_at(
    path: Path,
    requests: int = 10,
    *,
    reserve: int = 0,
    on_lost: float | None = None,
    burst: int | None = None,
    per: float = 60,
    concurrency: int | None = None,
    telemetry: Telemetry | None = None,
) -> Lane:
    clock = LoopClock()
    limit = RateLimit(requests, per=per, burst=burst)
    budget = Budget(f"file://{path}/budget", "k", "fail" if on_lost is None else on_lost)
    share = budget.window(
        "reports", limit, clock=clock, timeout=30.0, reserve=reserve, concurrency=concurrency
    )
    return Lane(
        "reports",
        limit,
        clock=clock,
        reserve=reserve,
        concurrency=concurrency,
        share=share,
        telemetry=telemetry,
    )


def now() -> float:
    return asyncio.get_running_loop().time()


async def request(
    lane: Lane, *, takes: float = 0.1, max_wait: float | None = None, priority: Priority = Priority.NORMAL
) -> float:
    async with lane.permit(priority, max_wait=max_wait) as admission:
        admitted = now()
        admission.sent()
        await asyncio.sleep(takes)
        admission.answered(SILENT)
    return admitted


async def close(lanes: Sequence[Lane]) -> None:
    for lane in lanes:
        await lane.aclose()


class Network:
    """A server that is only a throttle, behind a slow network."""

    def __init__(
        self, throttle: Throttle, *, seed: int = 7, jitter: float = 0.05, is_silent: bool = False
    ) -> None:
        self.throttle = throttle
        self.refused = 0
        self.answered = 0
        self._chance = random.Random(seed)
        self._jitter = jitter
        self._is_silent = is_silent

    async def request(self, lane: Lane, priority: Priority = Priority.NORMAL) -> float:
        """Make a request; return when it was admitted for the last time."""
        while True:
            async with lane.permit(priority) as admission:
                admitted = now()
                admission.sent()
                await asyncio.sleep(self._chance.uniform(0, self._jitter))
                verdict = self.throttle.hit(now())
                if not verdict.allowed:
                    self.refused += 1
                    admission.refused(Feedback(verdict.limit, 0, verdict.retry_after))
                    continue
                remaining = self.throttle.remaining(now())
                await asyncio.sleep(self._chance.uniform(0, self._jitter))
                feedback = SILENT if self._is_silent else Feedback(verdict.limit, remaining, None)
                admission.answered(feedback)
                self.answered += 1
                return admitted


@pytest.mark.parametrize("policy", [LaravelWindow, AlignedWindow, SlidingLog])
@pytest.mark.parametrize(("processes", "each"), [(4, 25), (100, 3)])
def test_processes_stay_inside_one_limit_and_use_it_up(
    policy: Callable[..., Throttle], processes: int, each: int, tmp_path: Path
) -> None:
    network = Network(policy(10, per=60))

    async def scenario() -> float:
        lanes = [lane_at(tmp_path) for _ in range(processes)]
        await asyncio.gather(*(network.request(lane) for lane in lanes for _ in range(each)))
        took = now()
        await close(lanes)
        return took

    took = run_virtual(scenario())
    assert (network.refused, network.answered) == (0, processes * each)
    assert took < 1.03 * network.throttle.optimum(processes * each)


def test_an_admission_takes_about_one_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0
    submit = FileStore.submit

    def counting(self: FileStore, step: Command, done: Done | None = None) -> None:
        nonlocal asked
        asked += step.action == "ask"
        submit(self, step, done)

    monkeypatch.setattr(FileStore, "submit", counting)
    test_processes_stay_inside_one_limit_and_use_it_up(LaravelWindow, 4, 25, tmp_path)
    assert asked < 200


fates = st.tuples(
    st.integers(0, 3),  # process
    st.floats(0, 90),  # starts at
    st.one_of(st.just(0.0), st.floats(0, 4.9)),  # is counted so long after it was sent
    st.one_of(st.just(0.0), st.floats(0, 20)),  # is answered so long after that
    st.sampled_from(["answered", "answered", "cancelled", "lost", "never sent"]),
)


@settings(max_examples=100)
@given(
    st.integers(1, 5),
    st.lists(fates, min_size=1, max_size=40),
    st.lists(st.floats(0, 200), max_size=2),
    st.integers(0, 2**31),
)
def test_no_window_of_server_time_ever_holds_more_hits_than_the_limit(
    requests: int,
    plan: list[tuple[int, float, float, float, str]],
    kills: list[float],
    seed: int,
) -> None:
    """Never over the limit, for any latencies, cancellations and kills; other processes lose no request."""
    chance = random.Random(seed)
    counted: list[float] = []
    finished: set[int] = set()

    async def one(  # noqa: PLR0917 - one field of a fate each
        number: int, lane: Lane, start: float, count_after: float, answer_after: float, fate: str
    ) -> None:
        await asyncio.sleep(start)
        loop = asyncio.get_running_loop()
        async with lane.permit(chance.choice(list(Priority))) as admission:
            if fate != "never sent":
                admission.sent()
                loop.call_later(count_after, lambda: counted.append(loop.time()))
                if fate == "answered":
                    await asyncio.sleep(count_after + answer_after)
                    admission.answered(SILENT)
                else:
                    await asyncio.sleep(chance.uniform(0, count_after + answer_after))
            finished.add(number)
            if fate == "lost":
                raise ConnectionError
            if fate == "cancelled":
                raise asyncio.CancelledError

    async def scenario(directory: Path) -> None:
        lanes = [lane_at(directory, requests) for _ in range(4)]
        tasks = [
            [
                asyncio.create_task(one(number, lanes[wanted], *fate[1:]))
                for number, fate in enumerate(plan)
                if fate[0] == wanted
            ]
            for wanted in range(4)
        ]
        for process, when in enumerate(kills):
            asyncio.get_running_loop().call_later(when, kill, lanes[process], tasks[process])
        await asyncio.gather(*(task for group in tasks for task in group), return_exceptions=True)
        await asyncio.sleep(10)
        alive = {number for number, (process, *_) in enumerate(plan) if process >= len(kills)}
        assert alive <= finished
        await asyncio.sleep(200)
        for lane in lanes[len(kills) :]:
            assert lane.status().used == 0
            assert lane.status().in_flight == 0
        await lanes[3].permit(max_wait=0).__aenter__()
        await close(lanes)

    with TemporaryDirectory() as directory:
        run_virtual(scenario(Path(directory)))
    assert max_in_window(counted, 60) <= requests


def kill(lane: Lane, tasks: Sequence["asyncio.Task[None]"]) -> None:
    """End a process as SIGKILL would, without a word to the store."""
    assert isinstance(lane.window, SharedWindow)
    store = lane.window._store
    assert isinstance(store, FileStore)
    store._is_closed = True
    for task in tasks:
        task.cancel()


@pytest.mark.parametrize("spent", [3, 7, 9])
def test_what_others_have_spent_is_respected(spent: int, tmp_path: Path) -> None:
    network = Network(LaravelWindow(10, per=60))

    async def scenario() -> None:
        for _ in range(spent):
            assert network.throttle.hit(0.0).allowed
        lane = lane_at(tmp_path)
        await asyncio.gather(*(network.request(lane) for _ in range(25)))
        await close([lane])

    run_virtual(scenario())
    assert (network.refused, network.answered) == (0, 25)


async def test_a_refusal_pauses_all_processes(tmp_path: Path) -> None:
    lanes = [lane_at(tmp_path) for _ in range(3)]
    await asyncio.gather(*map(request, lanes))
    async with lanes[0].permit() as admission:
        admission.sent()
        admission.answered(Feedback(10, 6))
    async with lanes[0].permit() as admission:
        admission.sent()
        admission.refused(Feedback(10, 0, 20))
    start = now()
    admitted = await asyncio.gather(*(request(lane, takes=1.0) for lane in lanes for _ in range(2)))
    assert admitted == pytest.approx([start + 21, start + 22] * 3, abs=0.01)  # each probes
    await close(lanes)


async def test_urgent_requests_of_a_process_go_first(tmp_path: Path) -> None:
    lanes = [lane_at(tmp_path, 1) for _ in range(2)]
    await request(lanes[0])
    bulk = asyncio.create_task(request(lanes[0], priority=Priority.BULK))
    await asyncio.sleep(0)
    urgent = await request(lanes[0], priority=Priority.INTERACTIVE)
    assert urgent == pytest.approx(SPAN + 0.1, abs=0.01)
    assert await bulk == pytest.approx(2 * (SPAN + 0.1), abs=0.01)
    await close(lanes)


async def test_a_cancelled_wait_holds_back_nobody(tmp_path: Path) -> None:
    lanes = [lane_at(tmp_path, 1) for _ in range(2)]
    await request(lanes[0])
    first = asyncio.create_task(request(lanes[0]))
    await asyncio.sleep(1)
    second = asyncio.create_task(request(lanes[1]))
    await asyncio.sleep(1)
    first.cancel()
    assert await second == pytest.approx(SPAN + 0.1, abs=31)
    await close(lanes)


async def test_max_wait_looks_at_what_all_have_spent(tmp_path: Path) -> None:
    lanes = [lane_at(tmp_path, 2) for _ in range(2)]
    assert await request(lanes[0], max_wait=0) == 0
    assert await request(lanes[1], max_wait=0) == pytest.approx(0.1)
    with pytest.raises(WaitTooLongError) as caught:
        await request(lanes[1], max_wait=30)
    assert caught.value.eta == pytest.approx(SPAN - 0.1, abs=0.1)
    assert lanes[1].status().used == 2
    assert await request(lanes[1], max_wait=70) == pytest.approx(SPAN + 0.1, abs=0.01)
    await close(lanes)


async def test_a_reserve_holds_for_a_shared_window_too(tmp_path: Path) -> None:
    lanes = [lane_at(tmp_path, 10, reserve=4) for _ in range(2)]
    await asyncio.gather(*map(request, lanes))
    admitted = await asyncio.gather(*(request(lane) for lane in lanes for _ in range(3)))
    assert sum(moment < 1 for moment in admitted) == 4
    await close(lanes)


def test_a_smaller_limit_is_adopted_by_each_process_as_it_hears_of_it(tmp_path: Path) -> None:
    throttle = SlidingLog(6, per=60)
    refused = 0

    async def ask(lane: Lane, *, is_retry: bool = False) -> float:
        nonlocal refused
        async with lane.permit(again="refused" if is_retry else None) as admission:
            admission.sent()
            verdict = throttle.hit(now())
            await asyncio.sleep(0.1)
            if verdict.allowed:
                admission.answered(Feedback(6, verdict.remaining, None))
                return now()
            refused += 1
            admission.refused(Feedback(6, 0, verdict.retry_after))
        return await ask(lane, is_retry=True)

    async def scenario() -> None:
        lanes = [lane_at(tmp_path, 10) for _ in range(3)]
        for lane in lanes:
            await ask(lane)
            await ask(lane)
        assert [lane.status().limit for lane in lanes] == [6, 6, 6]
        answered = sorted(await asyncio.gather(*(ask(lane) for lane in lanes for _ in range(6))))
        assert [moment < SPAN for moment in answered] == [False] * 18
        assert answered[-1] < 4 * SPAN
        await close(lanes)

    run_virtual(scenario())
    assert refused == 0


async def test_what_the_server_names_twice_is_adopted_twice(tmp_path: Path) -> None:
    lane = lane_at(tmp_path, 10)
    for limit in (8, 8, 6, 6):
        async with lane.permit() as admission:
            admission.sent()
            admission.answered(Feedback(limit, limit - 1, None))
    admitted = await asyncio.gather(*(request(lane) for _ in range(8)))
    assert sum(moment < SPAN for moment in admitted) == 2
    await lane.aclose()


async def refuse_second(lane: Lane, feedback: Feedback) -> None:
    """Let the server refuse the second of two requests in flight."""
    async with lane.permit() as first:
        first.sent()
        async with lane.permit() as second:
            second.sent()
            second.refused(feedback)


async def test_a_crowd_at_one_process_is_no_reason_for_the_others_to_stay_away(tmp_path: Path) -> None:
    crowded, other = lane_at(tmp_path), lane_at(tmp_path)
    await request(crowded)
    await request(other)
    await refuse_second(crowded, Feedback(10, 5, 2))
    before = now()
    assert await request(other) == before
    assert crowded.status().paused_for > 0
    await close([crowded, other])


async def test_a_pace_holds_for_a_shared_window_too(tmp_path: Path) -> None:
    paced = lane_at(tmp_path, 60, burst=1)
    admitted = await asyncio.gather(*(request(paced, takes=0) for _ in range(5)))
    assert admitted[-1] - admitted[0] == pytest.approx(4.0, abs=0.1)
    await close([paced])


async def test_closing_gives_back_what_was_not_used(tmp_path: Path) -> None:
    lanes = [lane_at(tmp_path, 2) for _ in range(2)]
    admission = lanes[0].permit()
    await admission.__aenter__()
    assert lanes[1].status().used == 1
    await lanes[0].aclose()
    assert lanes[1].status().used == 0
    await lanes[1].aclose()


async def test_a_lock_that_is_held_for_long_fails_and_heals(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lane = lane_at(tmp_path)
    await request(lane, takes=0)
    with (tmp_path / "budget").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for _ in range(2):
            with pytest.raises(BudgetError, match=r"keeps .* locked"):
                await request(lane, takes=0)
        fcntl.flock(file, fcntl.LOCK_UN)
    await asyncio.sleep(1)
    await request(lane, takes=0)
    await lane.aclose()
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]


async def test_a_lock_that_is_held_for_a_moment_is_no_matter(tmp_path: Path) -> None:
    lane = lane_at(tmp_path)
    with (tmp_path / "budget").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        waiting = asyncio.create_task(request(lane, takes=0))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        fcntl.flock(file, fcntl.LOCK_UN)
    await waiting
    await lane.aclose()


def keep_a_link(path: Path) -> None:
    path.with_name("kept").hardlink_to(path)
    path.unlink()


def move(path: Path) -> None:
    path.rename(path.with_name("moved"))


def delete(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("lose", [delete, move, keep_a_link])
async def test_a_file_that_went_from_its_path_is_made_anew_and_its_slots_are_waited_for(
    lose: Callable[[Path], object], tmp_path: Path
) -> None:
    lanes = [lane_at(tmp_path) for _ in range(2)]
    await asyncio.gather(*map(request, lanes))
    lose(tmp_path / "budget")
    start = now()
    admitted = await asyncio.gather(*map(request, lanes))
    assert admitted == pytest.approx([start + SPAN] * 2, abs=0.01)
    await close(lanes)


async def test_a_file_that_another_version_took_over_is_an_error(tmp_path: Path) -> None:
    lane = lane_at(tmp_path)
    await request(lane)
    with (tmp_path / "budget").open("r+b") as file:
        file.write(b"fathom budget 3\n")
    with pytest.raises(ConfigurationError, match=r"format 3 .* format 2"):
        await request(lane)
    await lane.aclose()


@pytest.mark.parametrize(("is_silent", "within", "told"), [(False, 90, [10.0]), (True, 3700, [10.0, 3590.0])])
def test_an_hour_that_was_forgotten_is_opened_by_a_probe(
    is_silent: bool, within: float, told: list[float], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network = Network(LaravelWindow(2000, per=3600), is_silent=is_silent)
    events: list[object] = []

    async def scenario() -> None:
        telemetry = Telemetry(events.append)
        lanes = [lane_at(tmp_path, 2000, per=3600, telemetry=telemetry) for _ in range(3)]
        await asyncio.gather(*(network.request(lane) for lane in lanes for _ in range(100)))
        (tmp_path / "budget").unlink()
        start = now()
        await asyncio.gather(*(network.request(lane) for lane in lanes for _ in range(17)))
        assert now() - start < within
        await close(lanes)

    run_virtual(scenario())
    assert (network.refused, network.answered) == (0, 3 * 100 + 51)
    paused = [event for event in events if isinstance(event, Paused)]
    assert {event.reason for event in paused} == {"forgotten"}
    seconds = [event.seconds for event in paused]
    assert seconds == pytest.approx([each for each in told for _ in range(3)], abs=3), "each process is told"
    assert "the shared budget was lost, going on in 10.0 s" in caplog.text


@pytest.mark.parametrize("bulk", [1, 4, 20, 100])
@pytest.mark.parametrize("policy", [LaravelWindow, SlidingLog])
def test_a_page_waits_for_no_other_process_of_the_budget(
    policy: Callable[..., Throttle], bulk: int, tmp_path: Path
) -> None:
    """Bulk jobs take what nobody more urgent will want (rule 8), and lose little by it."""
    network, chance, size = Network(policy(10, per=60)), random.Random(1), 300
    waits: list[float] = []

    async def visit(lane: Lane) -> None:
        start = now()
        waits.append(await network.request(lane, Priority.INTERACTIVE) - start)

    async def visits(lane: Lane) -> None:
        async with asyncio.TaskGroup() as pages:
            while True:
                await asyncio.sleep(chance.expovariate(1 / 60))
                pages.create_task(visit(lane))

    async def scenario() -> float:
        lanes = [lane_at(tmp_path) for _ in range(bulk + 1)]
        visiting = asyncio.create_task(visits(lanes[0]))
        await asyncio.sleep(3600)
        start = now()
        waits.clear()
        workers = [lanes[1 + number % bulk] for number in range(size)]
        await asyncio.gather(*(network.request(lane, Priority.BULK) for lane in workers))
        took = now() - start
        visiting.cancel()
        await asyncio.wait([visiting])
        await close(lanes)
        return took

    took = run_virtual(scenario())
    assert network.refused == 0
    assert sum(waits) / len(waits) < 5
    assert max(waits) < 25
    assert took < 1.06 * network.throttle.optimum(size + len(waits))


@pytest.mark.parametrize("processes", [1, 2, 3, 8, 20])
@pytest.mark.parametrize("urgent", [Priority.INTERACTIVE, Priority.NORMAL])
def test_bulk_gets_one_in_nine_wherever_people_wait(processes: int, urgent: Priority, tmp_path: Path) -> None:
    """Whether its own process has people or another one, and however few permits each process gets."""
    network = Network(SlidingLog(10, per=60), seed=processes)
    served = dict.fromkeys(Priority, 0)

    async def forever(lane: Lane, priority: Priority) -> None:
        while True:
            await network.request(lane, priority)
            served[priority] += 1

    async def scenario() -> None:
        lanes = [lane_at(tmp_path) for _ in range(processes)]
        crowds = [(lane, urgent) for lane in lanes for _ in range(1 + 20 // processes)]
        crowds += [(lanes[-1], Priority.BULK)] * 20
        tasks = [asyncio.create_task(forever(*crowd)) for crowd in crowds]
        await asyncio.sleep(3600)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await close(lanes)

    run_virtual(scenario())
    assert network.refused == 0
    assert 1 / 10.5 <= served[Priority.BULK] / sum(served.values()) <= 1 / 8
    assert sum(served.values()) >= 0.97 * 10 * 3600 / SPAN


def test_requests_in_flight_are_counted_across_processes(tmp_path: Path) -> None:
    chance = random.Random(5)
    refused = 0

    async def one(lane: Lane, cap: ConcurrencyCap) -> None:
        nonlocal refused
        async with lane.permit(Priority.BULK) as admission:
            admission.sent()
            await asyncio.sleep(chance.uniform(0, 0.05))
            if not cap.enter():
                refused += 1
                admission.refused(Feedback(600, 599, 1.0))
                return
            await asyncio.sleep(chance.uniform(0.5, 1.5))
            cap.leave()
            await asyncio.sleep(chance.uniform(0, 0.05))
            admission.answered(SILENT)

    def took(processes: int) -> float:
        async def scenario() -> float:
            directory = tmp_path / str(processes)
            directory.mkdir()
            cap = ConcurrencyCap(5)
            lanes = [lane_at(directory, 600, per=3600, concurrency=5) for _ in range(processes)]
            await asyncio.gather(*(one(lanes[number % processes], cap) for number in range(200)))
            end = now()
            await close(lanes)
            return end

        return run_virtual(scenario())

    alone = took(1)
    assert took(4) <= 1.1 * alone
    assert refused == 0


async def test_questions_write_nothing(tmp_path: Path) -> None:
    lanes = [lane_at(tmp_path) for _ in range(2)]
    await request(lanes[0])
    before = (tmp_path / "budget").read_bytes()
    assert lanes[1].status().used == 1
    for priority in Priority:
        assert lanes[1].eta(9, priority) == 0
        assert lanes[1].eta(10, priority) > 50
    assert (tmp_path / "budget").read_bytes() == before
    await close(lanes)


async def test_an_eta_follows_the_cap_that_another_process_was_taught(tmp_path: Path) -> None:
    lane, other = lanes = [lane_at(tmp_path, 100) for _ in range(2)]
    await request(lane, takes=8.0)
    assert lane.eta(20) == 0
    await request(other)
    await refuse_second(other, Feedback(100, 50, 2))
    await asyncio.sleep(10)
    assert lane.eta(20) == pytest.approx(19 * 8.0)
    await close(lanes)


async def test_an_eta_counts_those_of_other_processes_that_go_before(tmp_path: Path) -> None:
    lanes = [lane_at(tmp_path, 2) for _ in range(5)]
    for lane in lanes[:2]:
        await request(lane)
        await asyncio.sleep(20)
    waiting = [asyncio.create_task(request(lane, priority=Priority.BULK)) for lane in lanes[1:4]]
    await asyncio.sleep(0.1)
    etas = [lanes[4].eta(1, priority) for priority in Priority]
    first = SPAN - now() + 0.1
    assert etas[0] == pytest.approx(first, abs=0.1)
    assert etas[1] == pytest.approx(first, abs=0.1)
    assert etas[2] > SPAN, "three of them are before it, and two at a time come back"
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    await close(lanes)


@pytest.mark.parametrize("processes", [2, 3, 5])
@pytest.mark.parametrize(("theirs", "ours"), [(200, 1), (200, 10), (200, 25), (14, 10), (3, 10)])
@pytest.mark.parametrize("phase", [0.0, 25.0])
def test_an_eta_counts_the_turns_of_other_processes(
    processes: int, theirs: int, ours: int, phase: float, tmp_path: Path
) -> None:
    """Behind long queues as behind short ones, so that `max_wait` fails at once only where it is right."""
    network = Network(SlidingLog(10, per=60), seed=processes)

    async def scenario() -> tuple[float, float]:
        *others, lane = (lane_at(tmp_path) for _ in range(processes))
        running = [
            asyncio.create_task(network.request(other, Priority.BULK))
            for other in others
            for _ in range(theirs)
        ]
        await asyncio.sleep(100 + phase)
        start, eta = now(), lane.eta(ours)
        await asyncio.gather(*(network.request(lane, Priority.BULK) for _ in range(ours)))
        took = now() - start
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        await close([*others, lane])
        return eta, took

    eta, took = run_virtual(scenario())
    assert eta == pytest.approx(took, rel=0.25, abs=2)
    assert network.refused == 0


@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize("each", [1, 3])
async def test_who_waits_too_long_hears_when_its_turn_would_have_come(
    priority: Priority, each: int, tmp_path: Path
) -> None:
    """Also of an account of one request a minute, for which each process that goes first is a minute."""
    network = Network(SlidingLog(1, per=60))
    first, *lanes = (lane_at(tmp_path, 1) for _ in range(6))
    await network.request(first, priority)
    running: dict[Lane, list[asyncio.Task[float]]] = {lane: [] for lane in lanes}
    for lane in [*lanes] * each:
        running[lane].append(asyncio.create_task(network.request(lane, priority)))
        await asyncio.sleep(1)
    at, etas = now(), [lane.eta_behind((0, 0, 0), priority) for lane in lanes]
    admitted = [min([await task for task in tasks]) - at for tasks in running.values()]
    assert etas == pytest.approx(admitted, rel=0.05, abs=2)
    assert etas[-1] - etas[0] == pytest.approx(4 * SPAN, rel=0.1)
    await close([first, *lanes])


@pytest.mark.parametrize(("others", "bulk"), [(1, 3), (3, 0), (3, 12), (8, 5)])
@pytest.mark.parametrize("phase", [0.0, 120.0])
def test_an_eta_of_bulk_counts_who_is_more_urgent_once(
    others: int, bulk: int, phase: float, tmp_path: Path
) -> None:
    """It is right to a window and a half, as processes take several permits at once."""
    network = Network(SlidingLog(10, per=60), seed=others)

    async def scenario() -> tuple[float, float]:
        lanes = [lane_at(tmp_path) for _ in range(others + 1)]
        counts = [(40, bulk)] * others + [(12, 0)]
        running = [
            asyncio.create_task(network.request(lane, priority))
            for lane, pair in zip(lanes, counts, strict=True)
            for priority, count in zip((Priority.NORMAL, Priority.BULK), pair, strict=True)
            for _ in range(count)
        ]
        await asyncio.sleep(30 + phase)
        start, eta = now(), lanes[-1].eta()
        await network.request(lanes[-1], Priority.BULK)
        took = now() - start
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        await close(lanes)
        return eta, took

    eta, took = run_virtual(scenario())
    assert eta == pytest.approx(took, rel=0.25, abs=1.5 * 60)
    assert network.refused == 0


async def test_a_process_that_was_silent_need_not_ask_alone_what_another_has_just_heard(
    tmp_path: Path,
) -> None:
    lanes = [lane_at(tmp_path) for _ in range(2)]
    await request(lanes[0])
    admitted = await asyncio.gather(*(request(lanes[1]) for _ in range(5)))
    assert max(admitted) - min(admitted) < 0.1, "the first reply of the budget tells"
    await asyncio.sleep(2 * SPAN)
    admitted = await asyncio.gather(*(request(lanes[1]) for _ in range(5)))
    assert sorted(moment - min(admitted) > 0.05 for moment in admitted) == [False, True, True, True, True]
    await close(lanes)


class Hearing:
    """A lane that wants a permit and remembers what it was told."""

    def __init__(self, priority: Priority = Priority.NORMAL) -> None:
        self.turn = Demand(priority)
        self.told: list[tuple[str, float]] = []

    def wanted(self) -> Wanted | None:
        waiting = [int(priority == self.turn.priority) for priority in Priority]
        return Wanted((waiting[0], waiting[1], waiting[2]), 1)

    def on_change(self) -> None:
        pass

    def on_cap(self, cap: int) -> None:
        self.told.append(("cap", cap))

    def on_forgotten(self, seconds: float) -> None:
        self.told.append(("forgotten", seconds))

    def on_moved(self, requests: int) -> None:
        self.told.append(("moved", requests))


def window_at(path: Path, requests: int = 10) -> Window:
    limit = RateLimit(requests, per=60)
    window = Budget(f"file://{path}/budget", "k").window("reports", limit, clock=LoopClock(), timeout=30.0)
    window.bind(Hearing())
    return window


async def test_a_process_hears_what_others_found_out(tmp_path: Path) -> None:
    windows, lane = [window_at(tmp_path) for _ in range(2)], Hearing()
    windows[1].bind(lane)
    windows[0].on_crowd(3)
    windows[0].move(600)
    assert windows[1].has_room(lane.turn, now())
    await asyncio.sleep(0)
    assert lane.told == [("cap", 3), ("moved", 600)]
    windows[0].on_crowd(2)
    await windows[1].refresh()
    await asyncio.sleep(0)
    assert lane.told[2:] == [("cap", 2)]
    for window in windows:
        await window.aclose()


async def test_a_more_urgent_request_does_not_wait_until_the_next_question(tmp_path: Path) -> None:
    windows, lane = [window_at(tmp_path, 1) for _ in range(2)], Hearing(Priority.BULK)
    windows[1].bind(lane)
    assert windows[0].has_room(lane.turn, now())
    permit = windows[0].take(Priority.NORMAL)
    assert not windows[1].has_room(lane.turn, now())
    look = windows[1].next_look(lane.turn, now())
    assert look is not None
    assert look > now()
    windows[0].release(permit)
    assert not windows[1].has_room(lane.turn, now()), "it is not asked before"
    lane.turn = Demand(Priority.INTERACTIVE)
    assert windows[1].next_look(lane.turn, now()) == now()
    assert windows[1].has_room(lane.turn, now())
    for window in windows:
        await window.aclose()


async def test_who_is_expected_is_known_to_the_others(tmp_path: Path) -> None:
    lanes = [lane_at(tmp_path) for _ in range(2)]
    await asyncio.sleep(1)
    lanes[0].expect(Priority.INTERACTIVE)
    await request(lanes[1], priority=Priority.BULK)
    running = [asyncio.create_task(request(lanes[1], priority=Priority.BULK)) for _ in range(9)]
    await asyncio.sleep(1)
    assert sum(task.done() for task in running) == 7, "two are left for whoever comes first"
    assert await request(lanes[0], priority=Priority.INTERACTIVE, max_wait=0) == pytest.approx(now(), abs=0.2)
    for task in running:
        task.cancel()
    await asyncio.wait(running)
    await close(lanes)
