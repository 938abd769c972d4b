"""Compare contenders in the same run, in turns, on the same machine.

A rival and the baseline take turns in pairs and alternate in going first, so that other load on the machine, a
warming CPU or a growing heap affects both alike. Each pair gives one ratio; reports show the median of the ratios
with its quartiles rather than times alone, which depend more on the machine.

The harness collects garbage before each turn, and never forces it during one: contenders pay for their own garbage.
"""

import gc
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence

from attrs import frozen

from benchmarks.figures import Pair, Standing, Turn, standings
from benchmarks.results import Picture, Table


@frozen
class Contender:
    """One way to do the work.

    Attributes:
        name: Its name in tables.
        turn: Runs one turn: a fixed number of units, the same for all contenders.
    """

    name: str
    turn: Callable[[], Awaitable[object]]


@frozen
class Comparison:
    """The result of a comparison.

    Attributes:
        title: Title of the comparison.
        unit: Name of a unit of work.
        units: Units of work in one turn.
        duels: The measured turns of each rival, paired with the baseline's.
        standings: The standings, the baseline first.
        target: The project's target for the wall ratio to the baseline; reported, never asserted.
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
        name: Its name on the command line.
        measures: Description of the measurement, for readers of the figures.
        run: Runs the benchmark with a number of rounds.
        packages: Packages whose versions the figures depend on.
        pictures: What it draws into docs/images.
    """

    name: str
    measures: str
    run: Callable[[int], Coroutine[object, object, Sequence[Comparison | Table]]]
    packages: Sequence[str] = ()
    pictures: Sequence[Picture] = ()


async def compare(
    title: str,
    contenders: Sequence[Contender],
    *,
    unit: str,
    units: int,
    rounds: int,
    target: float | None = None,
) -> Comparison:
    """Measure contenders against the first one.

    Args:
        title: Title of the comparison.
        contenders: The baseline, then its rivals.
        unit: Name of a unit of work.
        units: Units of work in one turn.
        rounds: Number of pairs for each rival.
        target: See `Comparison`.
    """
    baseline, *rivals = contenders
    for contender in contenders:  # warm connections, caches and adaptive code before measuring
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
    """Yield the next rival, and whether the baseline goes first."""
    for number in range(rounds):
        for rival in rivals:
            yield rival, number % 2 == 0


async def _timed(contender: Contender) -> Turn:
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    await contender.turn()
    return Turn(wall=time.perf_counter() - wall, cpu=time.process_time() - cpu)
