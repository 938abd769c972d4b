"""Format figures as tables, for the terminal and for RESULTS.md."""

from collections.abc import Iterator, Sequence

from benchmarks.figures import Figure, Standing
from benchmarks.harness import Comparison
from benchmarks.results import Table

_MICRO = 1e6
_FEW = 10


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Align the first column left and the others right; the first row is the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths) for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def show(table: Table) -> str:
    """Return a table as text."""
    return "\n".join([table.title, aligned([table.head, *table.rows]), *table.notes])


def tabulate(comparison: Comparison) -> Table:
    """Return a comparison as a table."""
    baseline, *_ = comparison.standings
    rounds = len(next(iter(comparison.duels.values()), ()))
    return Table(
        f"{comparison.title}: {rounds} rounds of {comparison.units:,} {comparison.unit}s",
        (
            "median (quartiles)",
            f"{comparison.unit}s/s",
            f"wall µs/{comparison.unit}",
            f"CPU µs/{comparison.unit}",
            f"x {baseline.name} by wall",
            "by CPU",
        ),
        [_row(standing) for standing in comparison.standings],
        [*_verdicts(comparison)],
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return "  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]).rstrip()


def _row(standing: Standing) -> tuple[str, ...]:
    return (
        standing.name,
        f"{1 / standing.wall.median:,.0f}",
        _micros(standing.wall),
        _micros(standing.cpu),
        "1" if standing.wall_ratio is None else standing.wall_ratio.show(2),
        "1" if standing.cpu_ratio is None else standing.cpu_ratio.show(2),
    )


def _micros(seconds: Figure) -> str:
    """Return microseconds, with decimals where they are few."""
    scaled = Figure(seconds.median * _MICRO, seconds.low * _MICRO, seconds.high * _MICRO)
    return scaled.show(0 if scaled.median >= _FEW else 2)


def _verdicts(comparison: Comparison) -> Iterator[str]:
    if comparison.target is None:
        return
    ours = next(s for s in comparison.standings if s.wall_ratio is not None)
    if ours.wall_ratio is not None:
        word = "reached" if ours.wall_ratio.median >= comparison.target else "missed"
        yield f"target for {ours.name}: {comparison.target:g} by wall, {word} in this run"
