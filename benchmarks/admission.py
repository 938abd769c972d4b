"""Compare how clients get 100 requests through a limit of 10 a minute: refusals, losses and time."""

import asyncio
import os
from collections.abc import Collection, Sequence

from benchmarks import (
    admission_mixed_report,
    admission_plot,
    admission_report,
    admission_sockets,
    admission_worker,
)
from benchmarks.admission_contenders import CONTENDERS, OURS
from benchmarks.admission_scenarios import CHAPTERS, Chapter, Played, by_throttle
from benchmarks.admission_world import Outcome
from benchmarks.harness import Benchmark
from benchmarks.machine import installed
from benchmarks.results import PICTURES, Picture, Table


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


async def run(seeds: int) -> Sequence[Table]:
    """Play all chapters, and draw the first."""
    tables: list[Table] = []
    for chapter in CHAPTERS:
        played = await play(chapter, seeds, contenders(chapter))
        if chapter.is_main:
            admission_plot.draw(played, PICTURES / "admission.png")
        tables += admission_report.tabulate(chapter, played)
        print(f"played: {chapter.title}", flush=True)
    tables.append(await admission_sockets.tabulate())
    mixed = await admission_mixed_report.play(seeds)
    plain, hurried, *_ = mixed.values()
    admission_plot.draw_pages(plain, hurried, PICTURES / "admission-pages.png")
    return [*tables, *admission_mixed_report.tabulate(mixed)]


BENCHMARK = Benchmark(
    name="admission",
    measures=(
        "Each client sends 100 requests at once through a limit of 10 per 60 s, on a virtual clock. The servers "
        "limit in different ways, start at random phases of their clocks, and are 0-50 ms away each way. Each "
        "client runs in its own process, with the same seeds. Then come harder conditions, a run over sockets, "
        "and mixed work on one budget: pages beside a job, several processes, outages, servers without headers."
    ),
    run=run,
    packages=(
        *dict.fromkeys(entry.package for name, entry in CONTENDERS.items() if name != OURS),
        "matplotlib",
    ),
    pictures=(
        Picture("admission.png", "Refused requests and time taken, by client and by the server's limiter"),
        Picture(
            "admission-pages.png", "Mean wait of a page and share served within 5 s, by client and server"
        ),
    ),
)
