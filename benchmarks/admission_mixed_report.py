"""The chapters of mixed work on one budget, and their tables."""

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import mean, median

from attrs import evolve, frozen

from benchmarks.admission_contenders import OURS, peers
from benchmarks.admission_mixed import KINDS, Outcome, Scene, perform_in_a_process
from benchmarks.machine import installed
from benchmarks.results import Table


@frozen
class Chapter:
    """Scenes of one kind, and the columns of their table.

    Attributes:
        title: Title of the table.
        columns: Heads of the columns.
        cells: Returns the cells for the outcomes of one scene.
        scenes: The scenes by name.
        peers: Runs of each other client; some make a hundred thousand attempts in one.
    """

    title: str
    columns: Sequence[str]
    cells: Callable[[Sequence[Outcome]], Sequence[str]]
    scenes: Mapping[str, Scene]
    peers: int = 5


def _middle(values: Iterable[float], digits: int = 0) -> str:
    return f"{median(values):,.{digits}f}"


def _paged(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    waits = sorted(wait for outcome in outcomes for wait in outcome.waits)
    wanted = len(waits) + sum(outcome.unserved for outcome in outcomes)
    return (
        f"{mean(waits):.1f}" if waits else "-",
        f"{waits[min(len(waits) - 1, int(0.99 * len(waits)))]:.0f}" if waits else "-",
        f"{len(waits) / wanted:.0%}" if wanted else "-",
        _middle(outcome.refused for outcome in outcomes),
        f"{mean(outcome.makespan / outcome.optimum for outcome in outcomes):.2f}",
    )


_PAGED = ("mean wait", "p99", "served", "refused", "makespan")


def _short(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    return (_middle(each.short for each in outcomes), _middle(each.refused for each in outcomes))


def _away(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    return (
        _middle(each.hits for each in outcomes),
        _middle(each.lost for each in outcomes),
        _middle(each.refused for each in outcomes),
        _middle(each.makespan for each in outcomes),
    )


def _silent(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    return (
        _middle(each.refused for each in outcomes),
        _middle(each.lost for each in outcomes),
        _middle((each.makespan / each.optimum for each in outcomes), 2),
    )


DEFINITIONS = (
    "mean wait: seconds from the arrival of a page until its admitted request is sent; p99: 99th percentile",
    "served: share of the pages that arrive while the job runs",
    "hits: requests during the outage; seconds: from the start to the last answer",
    "makespan: time of the job over that of a perfect client that serves as many pages; a mean beside pages",
    "all other figures are medians",
)

_PAGE = Scene("Laravel", 0, pages=60.0)
_OUTAGE = Scene("Laravel", 0, bulk=1500, limit=2000, plan=2000, per=3600.0, handler=(0.02, 0.05))
_CROWD = Scene(
    "Laravel",
    0,
    bulk=200,
    limit=2000,
    plan=2000,
    per=3600.0,
    handler=(1.0, 3.0),
    cap=5,
    silent=True,
    best=80.0,
)

CHAPTERS: Sequence[Chapter] = (
    Chapter(
        "one page a minute beside 300 BULK reports, 10 a minute allowed",
        _PAGED,
        _paged,
        {kind: evolve(_PAGE, throttle=kind) for kind in KINDS},
    ),
    Chapter(
        "the same pages, none of which waits for more than 5 s",
        _PAGED,
        _paged,
        {kind: evolve(_PAGE, throttle=kind, max_wait=5.0) for kind in KINDS},
    ),
    Chapter(
        "the job in several processes, the pages in another; ours on one file budget, peers with a limiter each",
        _PAGED,
        _paged,
        {f"{count} on Laravel": evolve(_PAGE, processes=count) for count in (1, 4, 20)},
    ),
    Chapter(
        "a run of 10 that starts a minute after a run of 1,000",
        ("seconds of the short run", "refused"),
        _short,
        {kind: Scene(kind, 0, bulk=1000, short=10) for kind in ("Laravel", "sliding log")},
        peers=1,
    ),
    Chapter(
        "1,500 requests at 2,000 an hour; 503 from the start",
        ("hits during the outage", "lost", "refused", "seconds"),
        _away,
        {f"{seconds:.0f} s": evolve(_OUTAGE, away=seconds) for seconds in (5.0, 30.0)},
        peers=1,
    ),
    Chapter(
        "no headers but Retry-After",
        ("refused", "lost", "makespan"),
        _silent,
        {
            "5 in flight": _CROWD,
            "5 a minute, plan says 10": Scene("Laravel", 0, bulk=60, limit=5, silent=True, best=660.0),
        },
    ),
)
"""The chapters, in order."""


Played = Mapping[str, Mapping[str, Sequence[Outcome]]]
"""Outcomes by client and scene."""


async def play(seeds: int) -> Mapping[str, Played]:
    """Play all chapters, each client in its own processes; return them by title."""
    taking_part = [OURS, *(name for name, (package, _) in peers(1, 1.0).items() if installed(package))]
    at_once = asyncio.Semaphore(os.cpu_count() or 1)

    async def one(name: str, scene: Scene, peers: int) -> list[Outcome] | None:
        async with at_once:
            runs = seeds if name == OURS else min(seeds, peers)
            return await perform_in_a_process(name, [evolve(scene, seed=seed) for seed in range(runs)])

    chapters: dict[str, Played] = {}
    for chapter in CHAPTERS:
        parts = [(name, what) for name in taking_part for what in chapter.scenes]
        results = await asyncio.gather(
            *(one(name, chapter.scenes[what], chapter.peers) for name, what in parts)
        )
        played: dict[str, dict[str, Sequence[Outcome]]] = {}
        for (name, what), outcomes in zip(parts, results, strict=True):
            played.setdefault(name, {})[what] = outcomes or []
        chapters[chapter.title] = played
        print(f"played: {chapter.title}", flush=True)
    return chapters


def tabulate(chapters: Mapping[str, Played]) -> list[Table]:
    """Return a table for each chapter; a client that took too long has dashes."""
    return [
        Table(
            chapter.title,
            ("client", "scene", *chapter.columns),
            [
                (name, what, *(chapter.cells(outcomes) if outcomes else ["-"] * len(chapter.columns)))
                for name, scenes in chapters[chapter.title].items()
                for what, outcomes in scenes.items()
            ],
            DEFINITIONS if chapter is CHAPTERS[0] else (),
            names=2,
        )
        for chapter in CHAPTERS
    ]
