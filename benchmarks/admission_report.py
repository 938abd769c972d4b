"""The admission benchmark's figures as tables, for the terminal and in Markdown."""

from collections.abc import Iterator, Sequence
from statistics import median

from benchmarks.admission_contenders import OURS
from benchmarks.admission_scenarios import Chapter, Played
from benchmarks.admission_world import Outcome
from benchmarks.report import table

DEFINITIONS = """\
refused     number of 429 answers: median of the runs (worst run in brackets where it differs)
lost        requests that got no other answer than 429
optimum     until the server admits the last request of a perfect client, which knows its clock: Throttle.optimum;
            beside another client, the optimum of a server without that client's share, used or not
makespan    until the last answer, over the optimum plus the mean handler time: the perfect client's last answer, if
            it takes the mean time (the slowest of the last window takes longer)
over par    the same, with one mean round trip a window and one for a probe added to the divisor
admitted    until the server admitted the last request, over the optimum
theirs      refusals of the other client, retries included, for each of its requests
"""


def show(chapter: Chapter, played: Played) -> str:
    """Return a chapter as text, with our target below the table."""
    rows: list[tuple[str, ...]] = [
        ("", "throttle", "refused", "lost", "makespan", "over par", "admitted", "theirs")
    ]
    rows += [
        (name, throttle, *_cells(outcomes))
        for name, throttles in played.items()
        for throttle, outcomes in throttles.items()
    ]
    return "\n".join([chapter.title, table(rows), *verdicts(chapter, played)])


def verdicts(chapter: Chapter, played: Played) -> Iterator[str]:
    """Report whether our client reached its target, and where it missed."""
    target = chapter.target
    wanted = f"at most {target.refused} refused{'' if target.is_worst else ' (median)'}, none lost"
    if target.over_par is not None:
        wanted += f", {target.over_par:g} of par"
    if target.aligned is not None:
        wanted += f" ({target.aligned:g} on aligned windows)"
    missed = [line for throttle, runs in played[OURS].items() for line in target.judge(throttle, runs)]
    yield f"target for {OURS}: {wanted}: {'missed' if missed else 'reached in this run'}"
    yield from (f"  {line}" for line in missed)


def markdown(played: Played) -> str:
    """Return refused / makespan for every client and throttle, as a table for a README."""
    throttles = list(played[OURS])
    lines = [f"| client | {' | '.join(throttles)} |", f"|---|{'---|' * len(throttles)}"]
    for name, outcomes in played.items():
        cells = [_brief(outcomes[throttle]) for throttle in throttles]
        if name == OURS:
            cells = [f"**{cell}**" for cell in cells]
        head = f"**{name}**" if name == OURS else name
        lines.append(f"| {head} | {' | '.join(cells)} |")
    return "\n".join(lines)


def makespan(outcomes: Sequence[Outcome]) -> float:
    """Return the median ratio of the makespan to that of a perfect client."""
    return median(outcome.makespan / outcome.comparable for outcome in outcomes)


def _brief(outcomes: Sequence[Outcome]) -> str:
    refused = median(outcome.refused for outcome in outcomes)
    if lost := median(outcome.lost for outcome in outcomes):
        return f"{refused:.0f} refused, {lost:.0f} lost"
    return f"{refused:.0f} / {makespan(outcomes):.2f}"


def _cells(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    asked = sum(outcome.foreign for outcome in outcomes)
    return (
        _count([outcome.refused for outcome in outcomes]),
        _count([outcome.lost for outcome in outcomes]),
        f"{makespan(outcomes):.3f}",
        f"{median(outcome.makespan / outcome.par for outcome in outcomes):.3f}",
        f"{median(outcome.admitted / outcome.optimum for outcome in outcomes):.3f}",
        f"{sum(outcome.starved for outcome in outcomes) / asked:.2f}" if asked else "-",
    )


def _count(values: Sequence[int]) -> str:
    middle, worst = median(values), max(values)
    return f"{middle:g}" if middle == worst else f"{middle:g} ({worst})"
