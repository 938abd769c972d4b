"""Play scenarios with one client, in a process with virtual time: ``python -m benchmarks.admission_worker``.

The process reads the client and the scenarios from standard input as JSON and writes the outcomes to standard output.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import asdict

from benchmarks import admission_clock
from benchmarks.admission_contenders import CONTENDERS
from benchmarks.admission_world import Outcome, Scenario, World

GIVE_UP = 300.0
"""Real seconds after which to skip a client."""


async def play(contender: str, scenarios: Sequence[Scenario]) -> list[Outcome] | None:
    """Play scenarios in a fresh process; None if that takes too long."""
    orders = [contender, [asdict(scenario) for scenario in scenarios]]
    outcomes = await in_a_process("benchmarks.admission_worker", orders=orders)
    return None if outcomes is None else [Outcome(**outcome) for outcome in outcomes]


async def in_a_process(*arguments: str, orders: object) -> list[dict[str, Any]] | None:
    """Run a module that reads orders and writes outcomes as JSON; return these, or None if that takes too long."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *arguments),
        cwd=Path(__file__).parent.parent,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(GIVE_UP):
            output, _ = await process.communicate(json.dumps(orders).encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
    assert process.returncode == 0, f"{' '.join(arguments)} failed"
    outcomes: list[dict[str, Any]] = json.loads(output)
    return outcomes


async def _play(contender: str, scenario: Scenario) -> Outcome:
    return await World(scenario).play(CONTENDERS[contender].make())


def main() -> None:
    logging.getLogger("fathom_async").setLevel(
        logging.ERROR
    )  # the benchmark counts refusals instead of logging them
    contender, scenarios = json.load(sys.stdin)
    admission_clock.install()
    outcomes = [admission_clock.run(_play(contender, Scenario(**scenario))) for scenario in scenarios]
    json.dump([asdict(outcome) for outcome in outcomes], sys.stdout)


if __name__ == "__main__":
    main()
