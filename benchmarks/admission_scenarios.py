"""The scenarios of the admission benchmark, with targets for our client."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from attrs import evolve, frozen

from benchmarks.admission_world import THROTTLES, Outcome, Scenario

_ALIGNED = "clock-aligned"


@frozen
class Target:
    """The target of our client on every throttle.

    Attributes:
        refused: Most refusals in a run.
        over_par: Highest median of makespan over par; None for no target.
        aligned: `over_par` for windows that follow the calendar, whose start no client can know.
        is_worst: Whether `refused` bounds the worst run instead of the median.
    """

    refused: int
    over_par: float | None = None
    aligned: float | None = None
    is_worst: bool = True

    def judge(self, throttle: str, outcomes: Sequence[Outcome]) -> list[str]:
        """Return each missed target and the difference."""
        missed: list[str] = []
        refusals = [outcome.refused for outcome in outcomes]
        refused = max(refusals) if self.is_worst else median(refusals)
        if refused > self.refused:
            missed.append(f"{throttle}: {refused:g} refused, {refused - self.refused:g} too many")
        if lost := sum(outcome.lost for outcome in outcomes):
            missed.append(f"{throttle}: {lost} lost")
        bound = self.aligned if throttle == _ALIGNED and self.aligned else self.over_par
        ratio = median(outcome.makespan / outcome.par for outcome in outcomes)
        if bound is not None and ratio > bound:
            missed.append(f"{throttle}: {ratio:.3f} of par, {ratio - bound:.3f} over {bound:g}")
        return missed


@frozen
class Chapter:
    """A set of conditions, played on every throttle.

    Attributes:
        title: Title of its table.
        change: Derives its scenario from the plain one.
        target: Target of our client.
        is_main: Whether all clients take part.
    """

    title: str
    change: Callable[[Scenario], Scenario]
    target: Target
    is_main: bool = False

    def scenarios(self, seeds: int) -> list[Scenario]:
        """Return the scenario of each run, grouped by throttle."""
        return [self.change(Scenario(throttle, seed)) for throttle in THROTTLES for seed in range(seeds)]


CHAPTERS: Sequence[Chapter] = (
    Chapter("100 at once", lambda plain: plain, Target(0, over_par=1.02, aligned=1.10), is_main=True),
    Chapter(
        "network of 0-500 ms each way",
        lambda plain: evolve(plain, jitter=0.5),
        Target(0, over_par=1.02, aligned=1.10),
    ),
    Chapter(
        "handlers of 5-20 s",
        lambda plain: evolve(plain, handler=(5.0, 20.0)),
        Target(0, over_par=1.15),
    ),
    Chapter(
        "handlers of 0-15 s: quick ones answer while slow ones age",
        lambda plain: evolve(plain, handler=(0.0, 15.0)),
        Target(0),
    ),
    Chapter(
        "another client requests 2 a window, without retries",
        lambda plain: evolve(plain, foreign=2),
        Target(2, is_worst=False),
    ),
    Chapter(
        "another client requests 5 a window, without retries",
        lambda plain: evolve(plain, foreign=5),
        Target(2, is_worst=False),
    ),
    Chapter(
        "another client takes 2 a window, with retries",
        lambda plain: evolve(plain, foreign=2, insistent=True),
        Target(2, is_worst=False),
    ),
    Chapter(
        "another client takes 5 a window, with retries",
        lambda plain: evolve(plain, foreign=5, insistent=True),
        Target(2, is_worst=False),
    ),
    Chapter(
        "undocumented limit of 5 in flight; handlers of 0.5-2 s",
        lambda plain: evolve(plain, cap=5, handler=(0.5, 2.0)),
        Target(5),
    ),
    Chapter("started with 7 of 10 spent", lambda plain: evolve(plain, spent=7), Target(0)),
)

Played = Mapping[str, Mapping[str, Sequence[Outcome]]]
"""Outcomes by client and throttle."""


def by_throttle(scenarios: Sequence[Scenario], outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """Group outcomes by the throttle of their scenarios."""
    sorted_: dict[str, list[Outcome]] = {}
    for scenario, outcome in zip(scenarios, outcomes, strict=True):
        sorted_.setdefault(scenario.throttle, []).append(outcome)
    return sorted_
