"""Measured figures in the README and in the documentation: what they must say, and where it was measured.

A claim is a sentence or a row of a table with ``{}`` for each figure. It stands between the comments
``<!-- measured -->`` and ``<!-- end of measured -->``, in which each number has to belong to a claim, so that none is
written by hand. `write` puts in what the last runs found, and a test fails where `faults` finds something else.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Final

from attrs import frozen

from benchmarks import results

_SECTION: Final = re.compile(r"<!-- measured -->(.*?)<!-- end of measured -->", re.DOTALL)
_NUMBER: Final = re.compile(r"\d[\d,.]*")
_PICTURE: Final = re.compile(r"!?\[[^\]]*\]\([^)]*\)")


@frozen
class Claim:
    """A sentence with figures.

    Attributes:
        file: Path of the file, below the root.
        text: The sentence, with ``{}`` for each figure.
        figures: Functions that return the figures.
    """

    file: str
    text: str
    figures: Sequence[Callable[[], str]]

    @property
    def pattern(self) -> re.Pattern[str]:
        """The sentence, with any white space between words and a group for each figure."""
        words = [re.escape(word).replace(r"\{\}", r"([^|\n]+?)") for word in self.text.split()]
        return re.compile(r"\s+".join(words))

    def fill(self, text: str) -> str:
        """Return a file's text with these figures; as it is if it does not have the sentence."""
        if (match := self.pattern.search(text)) is None:
            return text
        parts, end = list[str](), 0
        for group, figure in enumerate(self.figures, start=1):
            parts += [text[end : match.start(group)], figure()]
            end = match.end(group)
        return "".join([*parts, text[end:]])

    def span(self, text: str) -> tuple[int, int] | None:
        """Return where a file's text has the sentence."""
        return match.span() if (match := self.pattern.search(text)) else None


@cache
def _result(name: str) -> results.Result:
    result = results.load(name)
    if result is None:
        raise LookupError(f"benchmarks/results has no {name}.json; run python -m benchmarks {name}")
    return result


def cell(benchmark: str, table: str, *where: str, form: Callable[[str], str] = str) -> Callable[[], str]:
    """Return a function that returns a cell: a table by the first words of its title, a row, and a column.

    Args:
        benchmark: The benchmark.
        table: First words of the table's title.
        where: The names of the row, and the column.
        form: Changes how the figure is shown.
    """
    return lambda: form(_result(benchmark).table(table).cell(*where))


def _by_file(claims: Sequence[Claim]) -> Mapping[str, Sequence[Claim]]:
    found: dict[str, list[Claim]] = {}
    for claim in claims:
        found.setdefault(claim.file, []).append(claim)
    return found


def write(all_claims: Sequence[Claim]) -> None:
    """Put the figures of the last runs into the files."""
    for name, claims in _by_file(all_claims).items():
        file = results.ROOT / name
        text = file.read_text("utf-8")
        for claim in claims:
            text = claim.fill(text)
        file.write_text(text, "utf-8")


def faults(all_claims: Sequence[Claim]) -> Iterator[str]:
    """Yield each claim that is not in its file, or with other figures, and each number that is in no claim."""
    for name, claims in _by_file(all_claims).items():
        text = (results.ROOT / name).read_text("utf-8")
        for claim in claims:
            if claim.span(text) is None:
                yield f"{name} does not say: {claim.text}"
            elif claim.fill(text) != text:
                yield f"{name} has other figures than benchmarks/results: {claim.text}"
        yield from (f"{name}: {number} was not measured" for number in unclaimed(text, claims))


def unclaimed(text: str, claims: Sequence[Claim]) -> Iterator[str]:
    """Yield the numbers of measured sections that belong to no claim, with their surroundings."""
    spans = [span for claim in claims if (span := claim.span(text))]
    spans += [match.span() for match in _PICTURE.finditer(text)]
    for section in _SECTION.finditer(text):
        for number in _NUMBER.finditer(text, *section.span(1)):
            if not any(start <= number.start() and number.end() <= end for start, end in spans):
                yield f"{number[0]!r} in {text[number.start() - 30 : number.end() + 30]!r}"
