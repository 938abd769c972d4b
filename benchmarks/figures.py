"""Turn measured times into medians, spreads and ratios: pure functions over turns."""

from collections.abc import Mapping, Sequence
from statistics import median, quantiles

from attrs import frozen


@frozen
class Turn:
    """One contender's turn at a fixed amount of work.

    Attributes:
        wall: Elapsed seconds.
        cpu: CPU seconds of this process, in all its threads.
    """

    wall: float
    cpu: float


@frozen
class Pair:
    """Two turns in succession, which give one ratio."""

    baseline: Turn
    rival: Turn


@frozen
class Figure:
    """A median with its spread."""

    median: float
    low: float
    high: float

    def show(self, digits: int) -> str:
        """Return the median and the quartiles, as `540 (520-575)`."""
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f}-{self.high:,.{digits}f})"


@frozen
class Standing:
    """The result of one contender.

    Attributes:
        name: The contender.
        wall: Seconds for one unit of work.
        cpu: CPU seconds for one unit of work.
        wall_ratio: Its speed as a multiple of the baseline's: 2 is twice as fast. None for the baseline itself.
        cpu_ratio: The same by CPU time: 2 needs half of it.
    """

    name: str
    wall: Figure
    cpu: Figure
    wall_ratio: Figure | None = None
    cpu_ratio: Figure | None = None


def figure(values: Sequence[float]) -> Figure:
    """Return the median and the quartiles."""
    if len(values) == 1:
        return Figure(values[0], values[0], values[0])
    low, _, high = quantiles(values, n=4, method="inclusive")
    return Figure(median(values), low, high)


def standings(baseline: str, duels: Mapping[str, Sequence[Pair]], units: int) -> list[Standing]:
    """Return the standing of the baseline, then those of its rivals.

    Args:
        baseline: Name of the contender in every pair.
        duels: The pairs of each rival.
        units: Units of work in a turn.
    """
    baseline_turns = [pair.baseline for pairs in duels.values() for pair in pairs]
    return [_standing(baseline, baseline_turns, units), *(_rival(*duel, units) for duel in duels.items())]


def _standing(name: str, turns: Sequence[Turn], units: int) -> Standing:
    return Standing(
        name,
        wall=figure([turn.wall / units for turn in turns]),
        cpu=figure([turn.cpu / units for turn in turns]),
    )


def _rival(name: str, pairs: Sequence[Pair], units: int) -> Standing:
    alone = _standing(name, [pair.rival for pair in pairs], units)
    return Standing(
        name,
        alone.wall,
        alone.cpu,
        wall_ratio=figure([pair.baseline.wall / pair.rival.wall for pair in pairs]),
        cpu_ratio=figure([pair.baseline.cpu / pair.rival.cpu for pair in pairs]),
    )
