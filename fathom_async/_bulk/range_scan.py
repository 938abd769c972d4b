"""Reading all rows of a text column, part by part, with few requests; see `fathom_async._bulk.complete`."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from math import ceil, sqrt
from typing import Final, Generic, Protocol

import attrs

from fathom_async._bulk.parts import Span, choose_border, just_above, rank, texts_of
from fathom_async._core.codec.rows import RowT
from fathom_async._reports.fields import MAX_ROWS
from fathom_async._reports.filters import Filter
from fathom_async._reports.report import Report
from fathom_async._util.tasks import gather_all

Filters = tuple[Filter, ...]

_FULL: Final = MAX_ROWS - 1
_MARGIN: Final = 1.3  # standard deviations that a part is planned below the wall
_SPARE: Final = 10
_FEW: Final = 2  # texts that say nothing about a density
_SURPRISE: Final = 0.4
_ROWS_A_WALKER: Final = 5_000
_MOST_WALKERS: Final = 4


class Reader(Protocol[RowT]):
    """What a walk asks, and where it leaves what it read."""

    @property
    def sampling(self) -> str:
        """The order whose first rows are spread over all texts."""
        ...

    async def part(self, own: Filters, sort_by: str) -> Report[RowT]:
        """Ask for a part."""
        ...

    def keep(self, report: Report[RowT]) -> None:
        """Take the rows of a whole part."""
        ...

    async def separate(self, own: Filters, spent: frozenset[str], seen: Report[RowT]) -> None:
        """Read a part of which an answer stopped at the wall, by other columns than those spent."""
        ...


@attrs.frozen
class Knowledge:
    """What is known of a region: which rows it begins with, and how they go on.

    Attributes:
        window: Texts of the region's first rows, sorted, one for each row.
        sample: Texts above those, sorted: a share of all.
        rows: How many rows were met of late, where there were...
        texts: ...so many texts of the sample.
    """

    window: Sequence[str] = ()
    sample: Sequence[str] = ()
    rows: float = 0.0
    texts: float = 0.0

    @property
    def density(self) -> float:
        """How many rows one text of the sample stands for; 0 while nobody knows."""
        return self.rows / max(self.texts, _FEW)

    @property
    def expected(self) -> float:
        """How many rows the region has."""
        return len(self.window) + self.density * len(self.sample)

    def next_part(self) -> int:
        """Return how many texts of the sample to take next: all of them while their density is not known."""
        if not self.rows:
            return len(self.sample)
        margin = 1 + _MARGIN / sqrt(_FULL / max(self.density, 1.0))
        parts = ceil(self.density * len(self.sample) * margin / _FULL)
        return ceil(len(self.sample) / max(parts, 1))

    def above(self, text: str) -> "Knowledge":
        """Return what is known of the region above a text."""
        left = self.sample[bisect_right(self.sample, rank(text), key=rank) :]
        return attrs.evolve(self, window=(), sample=left)

    def met(self, rows: int, texts: int) -> "Knowledge":
        """Return what is known after so many rows and texts were met.

        What was met before counts half, and not at all where it promised far more than there was.
        """
        old = 0.0 if rows < _SURPRISE * self.density * texts else 0.5
        return attrs.evolve(self, rows=self.rows * old + rows, texts=self.texts * old + texts)


class RangeScan(Generic[RowT]):
    """Reads a region of one column.

    Args:
        reader: Asks, and takes the rows.
        own: Filters of the part that the region belongs to.
        spent: Columns that can't part it any more.
        column: The column to part it by.
    """

    def __init__(self, reader: Reader[RowT], own: Filters, spent: frozenset[str], column: str) -> None:
        self._reader = reader
        self._own = own
        self._spent = spent
        self._column = column

    async def begin(self, seen: Report[RowT]) -> None:
        """Read everything, given an answer that stopped at the wall."""
        texts = texts_of(seen.rows, self._column)
        if seen.query.sort_by == f"{self._column}:asc":
            await self._after_window(Span(self._column), Knowledge(window=texts), seen)
        else:
            await self._after_sample(Span(self._column), texts, seen)

    async def _go(self, span: Span, known: Knowledge) -> None:
        """Read a region from its low end on."""
        while known.sample:
            count = known.next_part()
            cut = choose_border(known.sample, count, count // 20) if count < len(known.sample) else None
            count, high = cut or (len(known.sample), span.high)
            report = await self._window(part := attrs.evolve(span, high=high))
            if report.truncated:
                window = texts_of(report.rows, self._column)
                left = known.above(window[-1])
                left = left.met(len(window), len(known.sample) - len(left.sample))
                await self._after_window(span, attrs.evolve(left, window=window), report)
                return
            self._reader.keep(report)
            if part == span:
                return
            known = attrs.evolve(known.met(len(report), count), sample=known.sample[count:])
            span = attrs.evolve(span, low=high)
        report = await self._reader.part(self._own + span.filters(), self._reader.sampling)
        if report.truncated:
            await self._after_sample(span, texts_of(report.rows, self._column), report)
        else:
            self._reader.keep(report)

    async def _after_window(self, span: Span, known: Knowledge, seen: Report[RowT]) -> None:
        """Read a region whose first rows were seen: the next part is certain."""
        cut = choose_border(known.window, len(known.window) - _SPARE, len(known.window) // 20)
        if cut is None:
            await self._after_heavy(span, known.window[0], known, seen)
            return
        places = self._places(attrs.evolve(span, low=cut[1]), attrs.evolve(known, window=()))
        walks = [self._go(place, knowledge) for place, knowledge in places]
        await gather_all([self._leaf(attrs.evolve(span, high=cut[1])), *walks])

    async def _after_sample(self, span: Span, texts: Sequence[str], seen: Report[RowT]) -> None:
        """Read a region of which texts from all over were seen, by a part that is likely whole and the others."""
        cut = choose_border(texts, len(texts) // 3, len(texts) // 20)
        if cut is None:
            await self._after_heavy(span, texts[0], Knowledge(), seen)
            return
        count, border = cut
        await gather_all(
            [
                self._go(attrs.evolve(span, high=border), Knowledge(sample=texts[:count])),
                self._go(attrs.evolve(span, low=border), Knowledge(sample=texts[count:])),
            ]
        )

    async def _after_heavy(self, span: Span, text: str, known: Knowledge, seen: Report[RowT]) -> None:
        """Read a region with one text that exceeds the wall alone."""
        border = just_above(text)
        low = span if border is None else attrs.evolve(span, high=border)
        work = [self._reader.separate(self._own + low.filters(), self._spent | {self._column}, seen)]
        if low != span:
            work.append(self._go(attrs.evolve(span, low=border), known.above(text)))
        await gather_all(work)

    async def _leaf(self, span: Span) -> None:
        """Read a part that should be whole, or else its halves."""
        report = await self._window(span)
        if not report.truncated:
            self._reader.keep(report)
            return
        texts = texts_of(report.rows, self._column)
        cut = choose_border(texts, len(texts) // 2, len(texts) // 4)
        if cut is None:
            await self._after_heavy(span, texts[0], Knowledge(), report)
            return
        halves = (attrs.evolve(span, high=cut[1]), attrs.evolve(span, low=cut[1]))
        await gather_all(self._leaf(half) for half in halves)

    async def _window(self, span: Span) -> Report[RowT]:
        return await self._reader.part(self._own + span.filters(), f"{self._column}:asc")

    def _places(self, span: Span, known: Knowledge) -> list[tuple[Span, Knowledge]]:
        """Return where to walk on: in several places of a region with many rows."""
        certain = known.texts > _FEW
        walkers = max(1, min(_MOST_WALKERS, int(known.expected / _ROWS_A_WALKER))) if certain else 1
        size = len(known.sample) // walkers
        cuts = [choose_border(known.sample, size * number, size // 20) for number in range(1, walkers)]
        inner = sorted({cut for cut in cuts if cut is not None})
        ends = [(0, span.low), *inner, (len(known.sample), span.high)]
        return [
            (Span(self._column, low, high), attrs.evolve(known, sample=known.sample[start:end]))
            for (start, low), (end, high) in pairwise(ends)
        ]
