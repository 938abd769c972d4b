r"""Read all rows of a text column, part by part, with few requests; see `fathom_async._bulk.complete`.

A *split key* is a short text such as ``/blog/m``. It splits all texts in two: those that match `at_least` the key,
and those that do not. The pattern spells out the order of code points with anchors, literals, classes and
alternation, which every dialect has, and is as long as the key:

>>> at_least("/b")
'^([^ -/]|/([^ -b]|b))'

A `KeyRange` lies between two split keys and sends one pattern for each: ``matching`` the lower and ``not matching``
the upper. A row of any text is therefore in at least one of the ranges between successive keys, whatever the patterns
mean to the server: along the keys its answers start with *yes* and end with *no*, so that they change from *yes* to
*no* somewhere. It is in exactly one if the server reads the patterns as nested, and is seen twice if it does not.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import takewhile
from operator import eq
from typing import Final, cast

import attrs

from fathom_async._core.codec.rows import Row
from fathom_async._reports.fields import CATEGORICAL_PROPERTIES, TEXT_PROPERTIES, TextProperty
from fathom_async._reports.filters import Filter

LONGEST_KEY: Final = 150
"""Characters of a split key: its pattern is some twenty times as long in a URL."""

Filters = tuple[Filter, ...]

_SPECIAL: Final = frozenset("\\^$.|?*+()[]{}")
_LOWEST: Final = " "
_VISIBLE: Final = "!"
"""The lowest character that is no blank."""
# Control characters come after all others: a class that begins with a space need not name them.
_RANKS: Final = {code: 0x10FF00 + code for code in range(ord(_LOWEST))}


def rank(text: str) -> str:
    """Return what a text sorts by in the order of `at_least`."""
    return text.translate(_RANKS)


@lru_cache(4096)
def at_least(key: str) -> str:
    """Return the pattern of all texts that are not below the split key."""
    steps = (f"({_above(character)}|{_literal(character)}" for character in key)
    return f"^{''.join(steps)}{')' * len(key)}"


def just_above(text: str) -> str | None:
    """Return the split key between a text and everything above it, or None if no pattern can express it."""
    return _writable(text + _LOWEST)


def just_behind(text: str) -> str | None:
    """Return the split key above a text, with or without blanks behind it, since servers may take those for one."""
    return _writable(text + _VISIBLE)


def split_key(low: str, high: str) -> str | None:
    """Return the shortest split key between two texts, or None if they are equal or no pattern can express it."""
    shared = sum(takewhile(bool, map(eq, low, high)))
    return _writable(high[: shared + 1]) if rank(low) < rank(high) else None


def choose_split_key(texts: Sequence[str], at: int, slack: int) -> tuple[int, str] | None:
    """Choose a key that splits sorted texts in two; return how many are below it, and the key.

    That is `at`, or up to `slack` fewer for the sake of a short key; else the nearest number; None if no key splits
    them. There are at least two texts, sorted by `rank`.
    """
    near = [cut for index in range(at, max(0, at - slack - 1), -1) if (cut := _cut(texts, index))]
    if near:
        return min(near, key=lambda cut: len(cut[1]))
    lower = (cut for index in range(at - slack - 1, 0, -1) if (cut := _cut(texts, index)))
    higher = (cut for index in range(at + 1, len(texts)) if (cut := _cut(texts, index)))
    return next(lower, None) or next(higher, None)


@attrs.frozen
class KeyRange:
    """The texts of a column from one split key, inclusive, to another, exclusive; None is unbounded."""

    column: str
    low: str | None = None
    high: str | None = None

    def filters(self) -> tuple[Filter, ...]:
        name = cast("TextProperty", self.column)
        above = () if self.low is None else (Filter(name, "matching", at_least(self.low)),)
        below = () if self.high is None else (Filter(name, "not matching", at_least(self.high)),)
        return above + below


def texts_of(rows: Sequence[Row], column: str) -> list[str]:
    """Return a column's texts in the order of `rank`, one for each row; null counts as empty."""
    return sorted((cast("str | None", getattr(row, column)) or "" for row in rows), key=rank)


def heaviest(rows: Sequence[Row], column: str, *, most: int) -> list[str]:
    """Return the most frequent values of a categorical column: half of the rows, and `most` values at most."""
    counts = Counter(cast("str | None", getattr(row, column)) for row in rows)
    chosen: list[str] = []
    covered = 0
    for value, count in counts.most_common():
        if len(chosen) == most or 2 * covered >= len(rows):
            break
        if value:
            chosen.append(value)
            covered += count
    return chosen


def choose_column(rows: Sequence[Row], columns: Sequence[str]) -> str | None:
    """Choose the column to split rows by: the text column with the most values, else the categorical one."""
    values = {column: {getattr(row, column) for row in rows} for column in columns}
    several = [column for column in columns if len(values[column]) > 1]
    text = [column for column in several if column in TEXT_PROPERTIES]
    other = [column for column in columns if column in CATEGORICAL_PROPERTIES and any(values[column])]
    one_text = [column for column in columns if column in TEXT_PROPERTIES]
    best = text or [column for column in other if column in several] or one_text or other
    return max(best, key=lambda column: len(values[column]), default=None)


def fits(filters: Sequence[Filter], row: Row) -> bool:
    """Whether a row satisfies the filters; a null always does, since servers differ in how they compare it."""
    values = ((each, cast("str | None", getattr(row, each.property))) for each in filters)
    return all(value is None or _holds(each, value) for each, value in values)


def _holds(condition: Filter, value: str) -> bool:
    if condition.operator in {"matching", "not matching"}:
        found = _compiled(condition.value).search(value) is not None
        return found is (condition.operator == "matching")
    return (value == condition.value) is (condition.operator == "is")


@lru_cache(1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _cut(texts: Sequence[str], index: int) -> tuple[int, str] | None:
    if not 0 < index < len(texts):
        return None
    between = split_key(texts[index - 1], texts[index])
    return None if between is None else (index, between)


def _writable(text: str) -> str | None:
    return text if len(text) <= LONGEST_KEY and min(text) >= _LOWEST else None


def _literal(character: str) -> str:
    return f"\\{character}" if character in _SPECIAL else character


def _above(character: str) -> str:
    r"""Return the class of the characters above one.

    A bracket comes first and a hyphen last, and a backslash stands twice, so that neither a dialect with escapes
    in classes nor one without reads anything else.
    """
    match character:
        case "-":
            return "[^ -,-]"
        case "\\":
            return r"[^ -[\\]"
        case "]":
            return r"[^] -[\\]"
        case " ":
            return "[^ ]"
        case _:
            return f"[^ -{character}]"
