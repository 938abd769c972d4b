"""Keep what benchmarks found, one JSON file each, and write RESULTS.md from all of them.

A file holds what one run showed: so one benchmark can be run again without the others, and RESULTS.md says for each
when and where that was.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import cattrs
from attrs import asdict, frozen

ROOT: Final = Path(__file__).parents[1]
DIRECTORY: Final = Path(__file__).parent / "results"
REPORT: Final = Path(__file__).parent / "RESULTS.md"
PICTURES: Final = ROOT / "docs" / "images"


@frozen
class Table:
    """A table of figures.

    Attributes:
        title: What was compared, in which conditions.
        head: Heads of the columns.
        rows: The cells as they are shown; the first ones name the row.
        notes: What is below the table, such as whether a target was reached.
        names: Number of cells that name a row.
    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    names: int = 1

    def cell(self, *where: str) -> str:
        """Return the cell of a row and a column, given by their names.

        Raises:
            KeyError: The table has no such row or column.
        """
        *row, column = where
        for cells in self.rows:
            if list(cells[: self.names]) == row and column in self.head:
                return cells[self.head.index(column)]
        raise KeyError(f"{self.title!r} has no {' / '.join(where)}")


@frozen
class Picture:
    """A picture in docs/images, drawn by a benchmark."""

    name: str
    text: str


@frozen
class Result:
    """What one run of a benchmark found.

    Attributes:
        name: The benchmark.
        measures: What it measures.
        date: Day of the run.
        machine: Where it ran, with the versions of packages.
        minutes: How long it took.
        rounds: Pairs of turns for each rival at most, or runs of each scene.
        missing: Peers that were not installed.
        tables: What it found.
        pictures: What it drew.
    """

    name: str
    measures: str
    date: str
    machine: str
    minutes: float
    rounds: int
    missing: Sequence[str]
    tables: Sequence[Table]
    pictures: Sequence[Picture] = ()

    def save(self) -> None:
        """Write the file of this benchmark."""
        DIRECTORY.mkdir(exist_ok=True)
        text = json.dumps(asdict(self), indent=1, ensure_ascii=False)
        (DIRECTORY / f"{self.name}.json").write_text(text + "\n", "utf-8")

    def table(self, title: str) -> Table:
        """Return the table whose title begins with these words.

        Raises:
            KeyError: There is none, or more than one.
        """
        found = [table for table in self.tables if table.title.startswith(title)]
        if len(found) != 1:
            raise KeyError(f"{len(found)} tables of {self.name} begin with {title!r}")
        return found[0]


def load(name: str) -> Result | None:
    """Return what the last run of a benchmark found; None if there was none."""
    file = DIRECTORY / f"{name}.json"
    return cattrs.structure(json.loads(file.read_text("utf-8")), Result) if file.exists() else None


_METHOD: Final = """\
<!-- Written by `python -m benchmarks`; edit benchmarks/results.py instead. -->

# Benchmarks

`make bench` runs all benchmarks and writes this page; `python -m benchmarks NAME` runs one of them, and
`python -m benchmarks --render` writes the page from the last run of each, kept in `benchmarks/results`. The figures
in the README and in the documentation are taken from there, and a test compares them.

- **In pairs, in one run.** Where time is measured, a contender and the baseline take turns and alternate in going
  first, so that other load on the machine affects both alike. A pair gives one ratio; the tables show the median of
  the ratios, with the quartiles in brackets.
- **On a virtual clock** where clients wait for limits, so that hours pass in seconds, the same in each run. Every
  client has a process of its own, where all clocks that it may read are virtual.
- **Peers** are those that can play the same scene: limiters with a loop of retries around each where limits are
  tested, HTTP clients where requests are, parsers where rows are. They run as their documentation shows. No peer
  shares limits between processes and obeys headers too, so each process has a limiter of its own there.
- **Targets** are the project's own, and named below the tables whether reached or missed. No test asserts a time.
"""


def render(results: Sequence[Result]) -> str:
    """Return RESULTS.md."""
    return "\n".join([_METHOD, *(line for result in results for line in _section(result))])


def _section(result: Result) -> Iterator[str]:
    yield f"## {result.name}\n\n{result.measures}\n"
    missing = f" Not installed there: {', '.join(result.missing)}." if result.missing else ""
    yield f"Run on {result.date} in {result.minutes:.0f} min, {result.rounds} rounds: {result.machine}.{missing}\n"
    for picture in result.pictures:
        yield f"![{picture.text}](../docs/images/{picture.name})\n"
    for table in result.tables:
        yield f"### {table.title[:1].upper()}{table.title[1:]}\n\n{markdown(table)}\n"
        if table.notes:
            yield "\n".join(f"- {note}" for note in table.notes) + "\n"


def markdown(table: Table) -> str:
    """Return a table in Markdown, with names on the left and figures on the right."""
    rule = ["---" if column < table.names else "---:" for column in range(len(table.head))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (table.head, rule, *table.rows))
