"""Contenders side by side: what is compared was measured in the same run, in turns, on the same machine.

A rival and the baseline take turns in pairs, and who goes first alternates, so that a neighbour who keeps the
machine busy, a warming CPU or a growing heap touches both alike. Each pair gives one ratio; what is reported is
the median of the ratios with its quartiles, and never a bare time, which says more about the machine.

Garbage is collected before each turn and not by hand during it: a contender pays for what it leaves behind.
"""

import gc
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence

from attrs import frozen

from benchmarks.figures import Pair, Standing, Turn, standings


@frozen
class Contender:
    """One way to do the work.

    Attributes:
        name: What tables call it.
        turn: Does one turn: a fixed number of units, the same for all contenders.
    """

    name: str
    turn: Callable[[], Awaitable[object]]


@frozen
class Comparison:
    """What came of comparing.

    Attributes:
        title: What was compared.
        unit: What was counted.
        units: How many of them were in one turn.
        duels: The measured turns of each rival, with the baseline's right beside them.
        standings: The baseline first.
        target: The ratio by wall to the baseline that the project wants; for people to read, never asserted.
    """

    title: str
    unit: str
    units: int
    duels: dict[str, list[Pair]]
    standings: list[Standing]
    target: float | None = None


@frozen
class Benchmark:
    """A benchmark by name.

    Attributes:
        name: What the command line calls it.
        measures: What it measures and how, for the reader of its figures.
        run: Runs it, with so many rounds.
        packages: Whose versions the figures depend on.
    """

    name: str
    measures: str
    run: Callable[[int], Coroutine[object, object, Sequence[Comparison]]]
    packages: Sequence[str] = ()


async def compare(
    title: str,
    contenders: Sequence[Contender],
    *,
    unit: str,
    units: int,
    rounds: int,
    target: float | None = None,
) -> Comparison:
    """Measure contenders against the first of them.

    Args:
        title: What is compared.
        contenders: The baseline, then its rivals.
        unit: What is counted.
        units: How many of them are in one turn.
        rounds: How many pairs every rival gets.
        target: See `Comparison`.
    """
    baseline, *rivals = contenders
    for contender in contenders:  # connections, caches and adaptive code are warm before anything counts
        await contender.turn()
    duels: dict[str, list[Pair]] = {rival.name: [] for rival in rivals}
    for rival, baseline_first in schedule(rivals, rounds):
        if baseline_first:
            pair = Pair(baseline=await _timed(baseline), rival=await _timed(rival))
        else:
            pair = Pair(rival=await _timed(rival), baseline=await _timed(baseline))
        duels[rival.name].append(pair)
    return Comparison(title, unit, units, duels, standings(baseline.name, duels, units), target)


def schedule(rivals: Sequence[Contender], rounds: int) -> Iterator[tuple[Contender, bool]]:
    """Yield who meets the baseline next, and whether the baseline goes first."""
    for number in range(rounds):
        for rival in rivals:
            yield rival, number % 2 == 0


async def _timed(contender: Contender) -> Turn:
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    await contender.turn()
    return Turn(wall=time.perf_counter() - wall, cpu=time.process_time() - cpu)
