"""Measure the cost of a queue: CPU time of an admission or a status query, and memory of a waiter."""

# pyright: reportPrivateUsage=false

import argparse
import asyncio
import gc
import itertools
import math
import os
import sys
import time
import tracemalloc
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any

from attrs import frozen

from benchmarks import admission_clock
from benchmarks.harness import Benchmark
from benchmarks.machine import installed
from benchmarks.results import Table
from fathom_async._ratelimit.admission import SILENT
from fathom_async._ratelimit.lane import Lane
from fathom_async._ratelimit.plan import Priority, RateLimit
from fathom_async._ratelimit.window import MEMORY
from fathom_async._util.clock import LoopClock

WAITERS = (100, 1_000, 10_000, 100_000)
LIMIT = 100
PER = 1.0
OURS = "fathom_async"
FLOOR = "bare futures"
NOBODY = "nobody"
BUDGET = 10.0
"""CPU seconds of one measurement, which counts the admissions in that time."""

ROUNDS = 3
"""Most rounds: each starts a process for every limiter and length."""

GIVE_UP = 30.0
"""Real seconds after which to skip a client at one length of the queue."""

MICROS, KILO = 10.0, 1500.0
"""Targets of our client: at most so many microseconds an admission and bytes a waiter."""

Pass = Callable[[], Awaitable[object]]
"""Passes through the limiter once."""


def _fathom_async(
    classes: Sequence[Priority] = (Priority.NORMAL,), *, max_wait: float | None = None, visitors: float = 0.0
) -> Pass:
    """Return our limiter.

    Args:
        classes: Priorities of the requests, in turns.
        max_wait: `max_wait` of all requests, long enough that none fails.
        visitors: Fraction of the limit that more urgent requests have used so far.
    """
    lane = Lane("reports", RateLimit(LIMIT, per=PER), clock=LoopClock())
    _visit(lane, visitors)
    turns = itertools.cycle(classes)

    async def through() -> None:
        async with lane.permit(next(turns), max_wait=max_wait) as admission:
            admission.sent()
            admission.answered(SILENT)

    return through


def _visit(lane: Lane, part: float) -> None:
    requests = int(max(MEMORY, lane.limit.per) * lane.limit.requests / lane.limit.per * part)
    if requests:
        lane.window.expect(Priority.INTERACTIVE, lane.now(), requests)  # simulates past arrivals


def _bare() -> Pass:
    """A deque of futures and one timer, which wakes as many as the limit allows: the lower bound of a queue."""
    loop = asyncio.get_running_loop()
    futures = import_module("collections").deque()

    def wake() -> None:
        for _ in range(min(LIMIT, len(futures))):
            futures.popleft().set_result(None)
        loop.call_later(PER, wake)

    loop.call_later(PER, wake)

    async def through() -> None:
        future = loop.create_future()
        futures.append(future)
        await future

    return through


def _aiolimiter() -> Pass:
    through: Pass = import_module("aiolimiter").AsyncLimiter(LIMIT, PER).acquire
    return through


def _pyrate_limiter() -> Pass:
    pyrate = import_module("pyrate_limiter")
    limiter: Any = pyrate.Limiter(pyrate.InMemoryBucket([pyrate.Rate(LIMIT, int(PER * 1000))]))
    return lambda: limiter.try_acquire_async("reports")


def _limits() -> Pass:
    limits = import_module("limits")
    storage = import_module("limits.aio.storage").MemoryStorage()
    window: Any = import_module("limits.aio.strategies").MovingWindowRateLimiter(storage)
    item = limits.RateLimitItemPerSecond(LIMIT, int(PER))

    async def through() -> None:
        while not await window.hit(item, "reports"):
            stats = await window.get_window_stats(item, "reports")
            await asyncio.sleep(max(stats.reset_time - time.time(), 0.01))

    return through


_THREE = "of three classes"
_PATIENT = "of three classes, all with max_wait"
_BESIDE = "BULK, beside pages at 40 %"
_EVER = 1e9
_PART = 0.4

_CLIENTS: Mapping[str, tuple[str, Callable[[], Pass]]] = {
    FLOOR: ("fathom_async", _bare),
    OURS: ("fathom_async", _fathom_async),
    _THREE: ("fathom_async", lambda: _fathom_async([*Priority])),
    _PATIENT: ("fathom_async", lambda: _fathom_async([*Priority], max_wait=_EVER)),
    _BESIDE: ("fathom_async", lambda: _fathom_async([Priority.BULK], visitors=_PART)),
    "aiolimiter": ("aiolimiter", _aiolimiter),
    "pyrate-limiter": ("pyrate-limiter", _pyrate_limiter),
    "limits": ("limits", _limits),
}


@frozen
class Cost:
    """The cost of one client at one length of the queue.

    Attributes:
        seconds: CPU seconds of an admission, for each round.
        size: Bytes of a waiter, including its task.
        extra: Bytes beyond those of a task that waits for its own future.
    """

    seconds: list[float]
    size: float
    extra: float


async def _admissions(make: Callable[[], Pass], waiters: int) -> float:
    """Return the CPU seconds of one admission at a length of the queue."""
    through, admitted = make(), 0
    wanted = min(waiters, 10 * LIMIT)
    enough = asyncio.Event()
    deadline = math.inf

    async def waiter() -> None:
        nonlocal admitted
        await through()
        admitted += 1
        if admitted >= start + wanted or time.process_time() > deadline:
            enough.set()

    start = math.inf  # nothing is enough before the queue stands
    tasks = [asyncio.ensure_future(waiter()) for _ in range(waiters + 2 * LIMIT)]
    await asyncio.sleep(PER / 100)  # the limiter has admitted its first burst; all others wait
    gc.collect()
    start = admitted
    begin = time.process_time()
    deadline = begin + BUDGET
    await enough.wait()
    took = time.process_time() - begin
    assert admitted <= len(tasks)  # keeps the tasks alive until here: the loop holds weak references
    return took / (admitted - start)


async def _memory(make: Callable[[], Pass] | None, waiters: int) -> float:
    """Return the bytes of a waiter; for None, those of a task that waits for its own future."""
    through = _only_wait() if make is None else make()
    tasks = [asyncio.ensure_future(through()) for _ in range(LIMIT)]
    await asyncio.sleep(PER / 100)
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    tasks += [asyncio.ensure_future(through()) for _ in range(waiters)]
    await asyncio.sleep(PER / 100)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / waiters


QUESTIONS: Mapping[str, Callable[[Lane], object]] = {
    "limits": lambda lane: lane.status(),
    "eta": lambda lane: lane.eta(),
    "eta of a plan of 1,000,000": lambda lane: lane.eta(1_000_000),
}
"""Status queries of a lane."""

_ASKED = 200


async def _asking(question: str, waiters: int) -> float:
    """Return the CPU seconds of a status query at 2,000 an hour, beside pages and waiters of three classes."""
    lane = Lane("crud", RateLimit(2000, per=3600.0), clock=LoopClock())
    _visit(lane, _PART)
    turns = itertools.cycle(Priority)

    async def through() -> None:
        async with lane.permit(next(turns)) as admission:
            admission.sent()
            await asyncio.sleep(0.2)
            admission.answered(SILENT)

    tasks = [asyncio.ensure_future(through()) for _ in range(waiters + lane.limit.requests)]
    await asyncio.sleep(2.0)
    ask = QUESTIONS[question]
    gc.collect()
    begin = time.process_time()
    for _ in range(_ASKED):
        ask(lane)
    took = time.process_time() - begin
    assert sum(not task.done() for task in tasks) >= waiters
    return took / _ASKED


def _only_wait() -> Pass:
    loop = asyncio.get_running_loop()

    async def through() -> None:
        await loop.create_future()

    return through


async def measure(waiters: int, rounds: int) -> dict[str, Cost]:
    """Measure all clients in turns at one length; skip those that take too long."""
    alone = await _in_a_process(NOBODY, waiters, "memory")
    sizes = {
        name: await _in_a_process(name, waiters, "memory")
        for name, (package, _) in _CLIENTS.items()
        if installed(package)
    }
    seconds: dict[str, list[float]] = {name: [] for name, size in sizes.items() if size is not None}
    for _ in range(rounds):
        for name in tuple(seconds):
            took = await _in_a_process(name, waiters, "time")
            if took is None:
                del seconds[name]
            else:
                seconds[name].append(took)
    return {
        name: Cost(times, sizes[name] or 0.0, (sizes[name] or 0.0) - (alone or 0.0))
        for name, times in seconds.items()
    }


async def _in_a_process(name: str, waiters: int, what: str) -> float | None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.queue_cost", name, str(waiters), what),
        cwd=Path(__file__).parent.parent,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(GIVE_UP):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    assert process.returncode == 0, f"{name} failed"
    return float(output)


async def run(rounds: int, lengths: Sequence[int] = WAITERS) -> Sequence[Table]:
    """Measure all lengths of the queue."""
    rounds = min(rounds, ROUNDS)
    costs = {waiters: await measure(waiters, rounds) for waiters in lengths}
    verdicts = _verdicts([costs[waiters] for waiters in lengths])
    return [
        _table(
            f"µs of CPU for one admission, by the number of waiting tasks (median of {rounds} rounds)",
            costs,
            lambda cost: f"{median(cost.seconds) * 1e6:,.1f}",
            verdicts,
        ),
        _table("bytes per waiter, with its task", costs, lambda cost: f"{cost.size:,.0f}"),
        _table("bytes per waiter, without its task and future", costs, lambda cost: f"{cost.extra:,.0f}"),
        await _questions(lengths),
    ]


async def _questions(lengths: Sequence[int]) -> Table:
    rows: list[tuple[str, ...]] = []
    for question in QUESTIONS:
        took = [await _in_a_process(OURS, waiters, question) for waiters in lengths]
        rows.append((question, *("-" if each is None else f"{each * 1e6:,.1f}" for each in took)))
    title = "µs of CPU for one question, at 2,000 an hour, beside pages at 40 %, while so many of three classes wait"
    return Table(title, ("question", *(f"{waiters:,}" for waiters in lengths)), rows)


def _table(
    title: str,
    costs: Mapping[int, Mapping[str, Cost]],
    cell: Callable[[Cost], str],
    notes: Sequence[str] = (),
) -> Table:
    rows = [
        (name, *(cell(at[name]) if name in at else "-" for at in costs.values()))
        for name in _CLIENTS
        if any(name in at for at in costs.values())
    ]
    return Table(title, ("limiter", *(f"{waiters:,}" for waiters in costs)), rows, notes)


def _verdicts(costs: Sequence[Mapping[str, Cost]]) -> list[str]:
    times = [median(at[_THREE].seconds) * 1e6 for at in costs]
    pairs = zip(costs[-1][_PATIENT].seconds, costs[-1][_THREE].seconds, strict=True)
    figures = (
        ("µs an admission with the longest queue of three classes", times[-1], MICROS),
        ("times the cost with the shortest", times[-1] / times[0], 2.0),
        ("times the cost with max_wait (median of pairs)", median(one / other for one, other in pairs), 2.0),
        ("bytes a waiter, beyond its task", max(at[OURS].extra for at in costs), KILO),
    )
    return [
        f"target for {OURS}: at most {most:g} {what}: "
        + (f"reached ({value:,.2f})" if value <= most else f"missed ({value:,.2f})")
        for what, value, most in figures
    ]


BENCHMARK = Benchmark(
    name="queue_cost",
    measures=(
        "The limiters admit 100 tasks a second on a virtual clock and send no requests, while a number of tasks "
        "wait. The cost of an admission is the CPU time of the limiter's timer and bookkeeping, of waking the "
        "task, and of leaving the limiter; ours also processes an answer. The memory of a waiter is its task, "
        "coroutines, future and entry in the queue."
    ),
    run=run,
    packages=("aiolimiter", "pyrate-limiter", "limits"),
)


async def _tell(measurement: Awaitable[float]) -> None:
    print(await measurement, flush=True)
    os._exit(0)  # some limiters take minutes to cancel a hundred thousand waiters


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queue_cost", description=__doc__)
    parser.add_argument("client", choices=[*_CLIENTS, NOBODY])
    parser.add_argument("waiters", type=int)
    parser.add_argument("what", choices=["time", "memory", *QUESTIONS])
    arguments = parser.parse_args()
    admission_clock.install()
    make = None if arguments.client == NOBODY else _CLIENTS[arguments.client][1]
    if arguments.what in QUESTIONS:
        admission_clock.run(_tell(_asking(arguments.what, arguments.waiters)))
    elif arguments.what == "memory" or make is None:
        admission_clock.run(_tell(_memory(make, arguments.waiters)))
    else:
        admission_clock.run(_tell(_admissions(make, arguments.waiters)))


if __name__ == "__main__":
    main()
