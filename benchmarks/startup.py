"""Measure how long a program takes to start: imports in fresh processes, in pairs with a bare interpreter."""

import asyncio
import os
import sys
from collections.abc import Sequence
from functools import partial

from benchmarks.harness import Benchmark, Comparison, Contender, compare
from benchmarks.machine import installed
from benchmarks.results import ROOT, Table

_BARE = "bare interpreter"
_PROGRAMS = {
    _BARE: ("", ("-c", "")),
    "import fathom_async": ("", ("-c", "import fathom_async")),
    "make a FathomClient": ("", ("-c", "import fathom_async; fathom_async.FathomClient('any')")),
    "fathom --help": ("cyclopts", ("-m", "fathom_async", "--help")),
    "import aiohttp": ("aiohttp", ("-c", "import aiohttp")),
    "import gidgethub.aiohttp": ("gidgethub", ("-c", "import gidgethub.aiohttp")),
    "import httpx2": ("httpx2", ("-c", "import httpx2")),
    "import stripe": ("stripe", ("-c", "import stripe")),
}
"""What each program needs to be installed, and the interpreter's arguments."""

ROUNDS = 9


async def _start(arguments: Sequence[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        cwd=ROOT,
        env={**os.environ, "FATHOM_API_TOKEN": "any"},
        stdout=asyncio.subprocess.DEVNULL,
    )
    if await process.wait():
        raise SystemExit(f"{' '.join(arguments)} failed")


async def _run(rounds: int) -> Sequence[Table]:
    contenders = [
        Contender(name, partial(_start, arguments))
        for name, (package, arguments) in _PROGRAMS.items()
        if not package or installed(package)
    ]
    comparison = await compare("start", contenders, unit="start", units=1, rounds=min(rounds, ROUNDS))
    return [_table(comparison)]


def _table(comparison: Comparison) -> Table:
    bare = comparison.standings[0].wall.median
    rows = [
        (each.name, f"{each.wall.median * 1e3:.0f}", f"{(each.wall.median - bare) * 1e3:.0f}")
        for each in comparison.standings
    ]
    title = f"from the start of a process to its end: medians of {len(next(iter(comparison.duels.values())))} rounds"
    return Table(title, ("program", "ms", "ms more than a bare interpreter"), rows)


BENCHMARK = Benchmark(
    name="startup",
    measures=(
        "Each program runs in a fresh process, in turns with an interpreter that does nothing. Modules are compiled "
        "already; what is imported only when needed, such as aiohttp by `import fathom_async`, does not count before."
    ),
    run=_run,
    packages=tuple(package for package, _ in _PROGRAMS.values() if package),
)
