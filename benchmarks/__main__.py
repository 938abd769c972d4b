"""Run all benchmarks, or those named, and write benchmarks/RESULTS.md: ``python -m benchmarks``."""

import argparse
import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import date
from typing import Final

from benchmarks import (
    admission,
    claims,
    dashboard,
    fleet,
    fusing,
    machine,
    plots,
    queue_cost,
    report,
    request,
    results,
    startup,
)
from benchmarks import rows as rows_
from benchmarks.claimed import CLAIMS
from benchmarks.harness import Benchmark, Comparison

BENCHMARKS: Final = {
    benchmark.name: benchmark
    for benchmark in (
        admission.BENCHMARK,
        fusing.BENCHMARK,
        request.BENCHMARK,
        rows_.BENCHMARK,
        queue_cost.BENCHMARK,
        startup.BENCHMARK,
        dashboard.BENCHMARK,
        fleet.BENCHMARK,
    )
}


def _run(benchmark: Benchmark, rounds: int, *, memory_kept: bool) -> None:
    print(f"\n{benchmark.name}: {benchmark.measures}", flush=True)
    begin = time.monotonic()
    found = asyncio.run(benchmark.run(rounds))
    tables = [report.tabulate(each) if isinstance(each, Comparison) else each for each in found]
    for table in tables:
        print(f"\n{report.show(table)}", flush=True)
    results.Result(
        benchmark.name,
        benchmark.measures,
        date=f"{date.today():%Y-%m-%d}",  # noqa: DTZ011 - the day where it ran
        machine=str(machine.describe(benchmark.packages, memory_kept=memory_kept)),
        minutes=(time.monotonic() - begin) / 60,
        rounds=rounds,
        missing=[name for name in benchmark.packages if machine.installed(name) is None],
        tables=tables,
        pictures=[*benchmark.pictures, *(chart.picture for chart in plots.CHARTS.get(benchmark.name, ()))],
    ).save()


def _run_each(names: Sequence[str], rounds: int) -> None:
    """Run benchmarks, each in a process of its own: what one leaves in memory would count for the next."""
    if len(names) == 1:
        memory_kept = machine.keep_memory()
        _run(BENCHMARKS[names[0]], rounds, memory_kept=memory_kept)
        return
    for name in names:
        command = [sys.executable, "-m", "benchmarks", name, "--rounds", str(rounds)]
        subprocess.run(command, cwd=results.ROOT, check=True)


def _render() -> None:
    last = [result for name in BENCHMARKS if (result := results.load(name))]
    for result in last:
        for chart in plots.CHARTS.get(result.name, ()):
            plots.draw(chart, result, results.PICTURES / chart.name)
    results.REPORT.write_text(results.render(last), "utf-8")
    try:
        claims.write(CLAIMS)
    except LookupError as missing:
        raise SystemExit(f"README and docs stay as they are: {missing}") from missing


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all by default"
    )
    parser.add_argument("--rounds", type=int, default=20, help="pairs of turns for every rival, at most")
    parser.add_argument("--render", action="store_true", help="run nothing; write what the last runs found")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - BENCHMARKS.keys():
        parser.error(f"unknown benchmark: {', '.join(sorted(unknown))}")
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    if not arguments.render:
        _run_each(arguments.names or [*BENCHMARKS], arguments.rounds)
    _render()


if __name__ == "__main__":
    main()
