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
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import lru_cache, partial
from itertools import takewhile
from operator import eq
from typing import TYPE_CHECKING, Final, Generic, Protocol, cast

import attrs

from fathom_async._core.codec.rows import Row, RowT
from fathom_async._reports.fields import CATEGORICAL_PROPERTIES, TEXT_PROPERTIES
from fathom_async._reports.filters import Filter
from fathom_async._reports.report import Report
from fathom_async._util.tasks import gather_all

if TYPE_CHECKING:
    from fathom_async._reports.fields import TextProperty


LONGEST_KEY: Final = 150
"""Characters of a split key: its pattern is some twenty times as long in a URL."""

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
        """Return the filters on the column."""
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


Filters = tuple[Filter, ...]


class Reader(Protocol[RowT]):
    """Sends the requests of a scan, and collects the rows."""

    async def part(self, own: Filters, sort_by: str) -> Report[RowT]:
        """Request one part."""
        ...

    def may_be_asked(self, own: Filters, sort_by: str) -> bool:
        """Whether the filters of a part fit into a URL."""
        ...

    def has_one_row_each(self, column: str) -> bool:
        """Whether no two rows have the same text in a column."""
        ...

    def is_all(self, rows: Sequence[RowT]) -> bool:
        """Whether it is proven that these rows are all that were missing."""
        ...

    def keep(self, rows: Iterable[RowT]) -> None:
        """Collect the rows of a part that is complete."""
        ...

    def presume(self, rows: Sequence[RowT], read: Callable[[], Coroutine[object, object, None]]) -> None:
        """Collect rows that are a whole part unless the server has another order; `read` reads that part."""
        ...

    async def separate(self, own: Filters, spent: frozenset[str], seen: Report[RowT]) -> None:
        """Read a part whose answer reached the row cap, splitting it by columns that are not yet spent."""
        ...


class RangeScan(Generic[RowT]):
    """Reads all texts of one column, window by window, of the part that the filters `own` describe."""

    def __init__(self, reader: Reader[RowT], own: Filters, spent: frozenset[str], column: str) -> None:
        self._reader = reader
        self._own = own
        self._spent = spent
        self._column = column

    async def begin(self, seen: Report[RowT]) -> None:
        """Read everything, given an answer that reached the row cap."""
        span = KeyRange(self._column)
        if seen.query.sort_by != f"{self._column}:asc":
            seen = await self._window(span)
        while seen.truncated and not self._reader.is_all(seen.rows):
            texts = texts_of(seen.rows, self._column)
            key = self._choose_key(span, texts)
            if key is None:
                key = just_above(texts[0])
                await self._heavy(attrs.evolve(span, high=key or span.high), seen)
                if key is None:
                    return
            else:
                self._presume(attrs.evolve(span, high=key), seen.rows)
            span = attrs.evolve(span, low=key)
            seen = await self._window(span)
        self._reader.keep(seen)

    def _choose_key(self, span: KeyRange, texts: Sequence[str]) -> str | None:
        """Return the split key nearest to the end of a window, or a short one if that takes too long a URL.

        It is behind all rows, if no other row may have the last text, and else before those of the last text.
        """
        behind = just_behind(texts[-1]) if self._reader.has_one_row_each(self._column) else None
        last, short = (choose_split_key(texts, len(texts) - 1, slack) for slack in (0, len(texts) // 20))
        keys = (behind, last and last[1])
        is_usable = (key and self._fits(attrs.evolve(span, high=key)) for key in keys)
        return next((key for key, usable in zip(keys, is_usable, strict=True) if usable), short and short[1])

    def _fits(self, span: KeyRange) -> bool:
        return self._reader.may_be_asked(self._own + span.filters(), f"{self._column}:asc")

    def _presume(self, span: KeyRange, rows: Sequence[RowT]) -> None:
        high = rank(span.high or "")
        below = [row for row in rows if rank(getattr(row, self._column) or "") < high]
        self._reader.presume(below, partial(self._read, span))

    async def _read(self, span: KeyRange) -> None:
        """Read a part that should fit, or else its halves."""
        report = await self._window(span)
        if not report.truncated:
            self._reader.keep(report)
            return
        texts = texts_of(report.rows, self._column)
        cut = choose_split_key(texts, len(texts) // 2, len(texts) // 4)
        if cut is not None:
            halves = (attrs.evolve(span, high=cut[1]), attrs.evolve(span, low=cut[1]))
            await gather_all(self._read(half) for half in halves)
            return
        key = just_above(texts[0])
        await self._heavy(attrs.evolve(span, high=key or span.high), report)
        if key is not None:
            await self._read(attrs.evolve(span, low=key))

    async def _heavy(self, span: KeyRange, seen: Report[RowT]) -> None:
        """Read a region in which one text alone exceeds the row cap."""
        await self._reader.separate(self._own + span.filters(), self._spent | {self._column}, seen)

    async def _window(self, span: KeyRange) -> Report[RowT]:
        return await self._reader.part(self._own + span.filters(), f"{self._column}:asc")
