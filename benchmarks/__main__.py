"""Run all benchmarks, or those named: ``python -m benchmarks``."""

import argparse
import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

from benchmarks import admission, fleet, fusing, machine, queue_cost, report, request, rows
from benchmarks.harness import Benchmark, Comparison

BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        request.BENCHMARK,
        rows.BENCHMARK,
        admission.BENCHMARK,
        queue_cost.BENCHMARK,
        fusing.BENCHMARK,
        fleet.BENCHMARK,
    )
}


def _run(benchmark: Benchmark, rounds: int) -> Sequence[Comparison]:
    print(f"\n{benchmark.name}: {benchmark.measures}")
    comparisons = asyncio.run(benchmark.run(rounds))
    for comparison in comparisons:
        print(f"\n{report.show(comparison)}", flush=True)
    return comparisons


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all by default"
    )
    parser.add_argument("--rounds", type=int, default=15, help="pairs of turns for every rival")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all measurements to this file")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - BENCHMARKS.keys():
        parser.error(f"unknown benchmark: {', '.join(sorted(unknown))}")
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")

    chosen = [BENCHMARKS[name] for name in arguments.names or BENCHMARKS]
    packages = dict.fromkeys(package for benchmark in chosen for package in benchmark.packages)
    here = machine.describe([*packages], memory_kept=machine.keep_memory())
    print(here)
    results = [(benchmark, _run(benchmark, arguments.rounds)) for benchmark in chosen]
    if arguments.json:
        arguments.json.write_text(json.dumps(report.document(here, results), indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
