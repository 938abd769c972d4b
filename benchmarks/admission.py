"""Compare how clients get 100 requests through a limit of 10 a minute: refusals, losses and time.

``python -m benchmarks.admission`` has further options, such as ``--plot FILE``; ``python -m benchmarks admission``
plays and shows the same.
"""

import argparse
import asyncio
import os
from collections.abc import Collection, Sequence
from pathlib import Path

from benchmarks import admission_mixed, admission_plot, admission_report, admission_sockets, admission_worker
from benchmarks.admission_contenders import CONTENDERS, OURS
from benchmarks.admission_scenarios import CHAPTERS, Chapter, Played, by_throttle
from benchmarks.admission_world import Outcome
from benchmarks.harness import Benchmark, Comparison
from benchmarks.machine import installed


def contenders(chapter: Chapter) -> list[str]:
    """Return the installed clients that take part in a chapter."""
    return [
        name
        for name, entry in CONTENDERS.items()
        if installed(entry.package) and (entry.is_further if not chapter.is_main else entry.is_main)
    ]


async def play(chapter: Chapter, seeds: int, names: Collection[str]) -> Played:
    """Play a chapter with each client in its own process."""
    scenarios = chapter.scenarios(seeds)
    at_once = asyncio.Semaphore(os.cpu_count() or 1)  # time is virtual, so the clients can share the machine

    async def one(name: str) -> list[Outcome] | None:
        async with at_once:
            return await admission_worker.play(name, scenarios)

    results = await asyncio.gather(*(one(name) for name in names))
    played: dict[str, dict[str, list[Outcome]]] = {}
    for name, outcomes in zip(names, results, strict=True):
        if outcomes is None:
            print(f"skipping {name}, which takes too long")
        else:
            played[name] = by_throttle(scenarios, outcomes)
    return played


async def run(seeds: int, plot: Path | None = None) -> Sequence[Comparison]:
    """Play all chapters and show them."""
    for name, entry in CONTENDERS.items():
        if not installed(entry.package):
            print(f"skipping {name}: {entry.package} is not installed")
    print(admission_report.DEFINITIONS)
    for chapter in CHAPTERS:
        played = await play(chapter, seeds, contenders(chapter))
        print(f"\n{admission_report.show(chapter, played)}", flush=True)
        if chapter.is_main:
            print(f"\nrefused / makespan\n\n{admission_report.markdown(played)}", flush=True)
            if plot is not None:
                admission_plot.draw(played, plot)
    print(f"\n{await admission_sockets.show()}", flush=True)
    mixed = await admission_mixed.show(seeds)
    if plot is not None:
        plain, hurried, *_ = mixed.values()
        admission_plot.draw_pages(plain, hurried, plot.with_stem(f"{plot.stem}-pages"))
    return ()


BENCHMARK = Benchmark(
    name="admission",
    measures=(
        "Each client sends 100 requests at once through a limit of 10 per 60 s, on a virtual clock. The servers "
        "limit in different ways, start at random phases of their clocks, and are 0-50 ms away each way. Each "
        "client runs in its own process, with the same seeds. Then come harder conditions, a run over sockets, "
        "and mixed work on one budget."
    ),
    run=run,
    packages=tuple(dict.fromkeys(entry.package for name, entry in CONTENDERS.items() if name != OURS)),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.admission", description=__doc__)
    parser.add_argument("--seeds", type=int, default=15, help="runs of each client on each throttle")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw the main table, as PNG or SVG")
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error("--seeds must be at least 1")
    if arguments.plot and not installed("matplotlib"):
        parser.error("--plot needs matplotlib")
    print(BENCHMARK.measures)
    asyncio.run(run(arguments.seeds, arguments.plot))


if __name__ == "__main__":
    main()
