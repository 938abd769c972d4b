"""The admission benchmark's figures as tables, for the terminal and in Markdown."""

from collections.abc import Iterator, Sequence
from statistics import median

from benchmarks.admission_contenders import OURS
from benchmarks.admission_scenarios import Chapter, Played
from benchmarks.admission_world import Outcome
from benchmarks.report import table

DEFINITIONS = """\
refused     answers 429, median of the runs (the worst in brackets where it differs)
lost        requests that never got another answer
optimum     until a perfect client, which knows the server's clock, has its last request let in: Throttle.optimum;
            beside another client, that of a server with so much less to give, whether or not it got its share
makespan    until the last answer, over the optimum and the mean handler time: when the perfect client has its last
            answer, if that one takes as long as they do on average (the slowest of its last window takes longer)
over par    the same with one mean round trip a window and one for a probe added to what it is compared with
admitted    until the server let the last request in, over the optimum
theirs      how many of the other client's requests were refused when it first asked, or asked again, for each of them
"""


def show(chapter: Chapter, played: Played) -> str:
    """Return a chapter as text, with our target below."""
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
    """Say which of our targets were reached."""
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
    """Return the median of makespan over what a perfect client needs."""
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
