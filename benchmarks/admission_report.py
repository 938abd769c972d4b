"""The admission benchmark's figures as tables."""

from collections.abc import Callable, Iterator, Sequence
from statistics import median

from benchmarks.admission_contenders import OURS
from benchmarks.admission_scenarios import Chapter, Played
from benchmarks.admission_world import Outcome
from benchmarks.results import Table

DEFINITIONS = (
    "each cell: refused / makespan. refused: number of 429 answers, the median of the runs (the worst in brackets)",
    "lost: as many requests got no other answer than 429, and were not sent again",
    (
        "makespan: until the last answer, over that of a perfect client, which knows the server's clock; beside "
        "another client, over the optimum of a server without that client's share, used or not"
    ),
)


def tabulate(chapter: Chapter, played: Played) -> Iterator[Table]:
    """Yield the table of a chapter, with our target below, and what another client went through."""
    notes = (*verdicts(chapter, played), *(DEFINITIONS if chapter.is_main else ()))
    yield _table(chapter.title, played, _brief, notes)
    if any(outcome.foreign for outcomes in played[OURS].values() for outcome in outcomes):
        yield _table(f"{chapter.title}: its refusals for each of its requests", played, _theirs, ())


def _table(
    title: str, played: Played, cell: Callable[[Sequence[Outcome]], str], notes: Sequence[str]
) -> Table:
    servers = list(played[OURS])
    rows = [(name, *(cell(outcomes[server]) for server in servers)) for name, outcomes in played.items()]
    return Table(title, ("client", *servers), rows, notes)


def verdicts(chapter: Chapter, played: Played) -> Iterator[str]:
    """Report whether our client reached its target, and where it missed."""
    target = chapter.target
    wanted = f"at most {target.refused} refused{'' if target.is_worst else ' (median)'}, none lost"
    if target.over_par is not None:
        wanted += f", {target.over_par:g} of par"
    if target.aligned is not None:
        wanted += f" ({target.aligned:g} on aligned windows)"
    missed = [line for throttle, runs in played[OURS].items() for line in target.judge(throttle, runs)]
    yield f"target for {OURS}: {wanted}: {'; '.join(['missed', *missed]) if missed else 'reached in this run'}"


def makespan(outcomes: Sequence[Outcome]) -> float:
    """Return the median ratio of the makespan to that of a perfect client."""
    return median(outcome.makespan / outcome.comparable for outcome in outcomes)


def _brief(outcomes: Sequence[Outcome]) -> str:
    refused = _count([outcome.refused for outcome in outcomes])
    if lost := median(outcome.lost for outcome in outcomes):
        return f"{lost:.0f} lost"
    return f"{refused} / {makespan(outcomes):.2f}"


def _theirs(outcomes: Sequence[Outcome]) -> str:
    starved = sum(outcome.starved for outcome in outcomes)
    return f"{starved / sum(outcome.foreign for outcome in outcomes):.2f}"


def _count(values: Sequence[int]) -> str:
    middle, worst = f"{median(values):,.0f}", f"{max(values):,}"
    return middle if middle == worst else f"{middle} ({worst})"
