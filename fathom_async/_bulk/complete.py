"""Every row of a report, past the 1,000 rows at which the server stops.

The rows of a report are groups, and filters on the columns they are grouped by separate whole groups. So the groups
are split by disjoint filters, each part is requested by itself, and the answers are joined. Every figure of a row is
the server's own, computed over all records of its group. The time range is never cut, because unique visitors,
durations and bounce rates of two ranges do not add up to those of both.

**What makes it exact.** The parts cover everything by construction (see `fathom_async._bulk.range_scan`), and a part
counts only if its answer stays below the row cap, or if the figures prove it: pageviews (or conversions) of disjoint
groups add up, so the total is requested first, and rows that add up to it are all rows. Servers differ in collation
and in their dialect of regular expressions, so every answer is checked: a row in two parts, or one that its part did
not request, is an error. SQL's null, which neither matches nor fails to match, is lost by filters; rows of null that
other answers contained fill the gap, and what is still missing then is an error.

**What makes it cheap.** A *window*, the first 1,000 rows in the order of the column, is all rows below a split key at
its end, if the server's order is that of code points. The next window begins at that key, and so on: with the total,
a request for each thousand rows and one more. The last window may be full, too. If the rows add up to the total then,
they are all; but not if traffic may have come in since the total was requested, which would make up for rows that are
missing. If the rows do not add up to the total, because the order is another one or because traffic came in, each
part that was presumed whole is requested by itself.

Categorical columns support only ``is`` and ``is not``, so they are split into their most frequent values and the
rest. A value that alone exceeds the row cap is split by the next column.
"""

import math
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from operator import attrgetter
from typing import Final, Generic, NoReturn, cast
from urllib.parse import urlencode

import attrs

from fathom_async._bulk.range_scan import (
    Filters,
    KeyRange,
    choose_column,
    choose_split_key,
    fits,
    heaviest,
    just_above,
    just_behind,
    rank,
    texts_of,
)
from fathom_async._bulk.request import Ask
from fathom_async._cache.entry import GRACE, is_over
from fathom_async._core.codec.rows import Row, RowT
from fathom_async._reports.chunks import hour_chunks
from fathom_async._reports.fields import (
    CATEGORICAL_PROPERTIES,
    DATE_COLUMN,
    MAX_ROWS,
    TEXT_PROPERTIES,
    CategoricalProperty,
)
from fathom_async._reports.filters import Filter
from fathom_async._reports.query import LONGEST_QUERY, Query
from fathom_async._reports.report import Report, sort_rows
from fathom_async._util.tasks import gather_all
from fathom_async.errors import ArgumentError, FathomError, QueryError


class InseparableError(FathomError):
    """No filter separates the rows past the server's row cap; raised instead of returning a part of them.

    Args:
        message: What could not be separated, and what to change.
        query: The query of the part that stayed too large.
        separated: How many rows of the report had been separated and read by then.
    """

    def __init__(self, message: str, query: "Query[Row]", separated: int) -> None:
        super().__init__(message, query, separated)
        self.message = message
        self.query = query
        self.separated = separated

    def __str__(self) -> str:
        return f"{self.message} ({self.separated:,} rows had been separated by then)"


class InconsistentError(FathomError):
    """Answers of the server that contradict each other, so that a report made of them might be wrong."""


_MOST_VALUES: Final = 8
_COUNTS: Final = {"pageview": "pageviews", "event": "conversions"}


async def complete(
    query: Query[RowT], ask: Ask[RowT], max_requests: int | None = None, *, now: float = -math.inf
) -> Report[RowT]:
    """Return the report with every row of a query without a limit; the Unix time `now` tells if its range is over."""
    if query.limit is not None:
        raise QueryError(f"a complete report has every row; leave out limit={query.limit}")
    left = max_requests

    async def ask_if_allowed(part: Query[RowT]) -> Report[RowT]:
        nonlocal left
        if left is not None:
            if left < 1:
                raise ArgumentError(
                    f"the report takes more requests than max_requests={max_requests}; allow more"
                )
            left -= 1
        return await ask(part)

    if names := query.extra.get("field_grouping"):
        raise QueryError(
            f"a complete report is known to be complete by its groups adding up, and those of {', '.join(names)} in "
            "extra may overlap; ask by reports.aggregate with filters or dates for at most 1,000 rows each"
        )
    chunks = await gather_all(
        _Completion(chunk, ask_if_allowed, is_over=is_over(chunk, now, None, GRACE)).run()
        for chunk in hour_chunks(query)
    )
    return Report(query, tuple(sort_rows(query, (row for rows in chunks for row in rows))), truncated=False)


class _Completion(Generic[RowT]):
    """Collects the rows of one report."""

    def __init__(self, query: Query[RowT], ask: Ask[RowT], *, is_over: bool) -> None:
        self._wanted = query
        self._ask = ask
        self._is_over = is_over
        self._total = 0
        self._count = _COUNTS[query.entity]
        counted = query.aggregates if self._count in query.aggregates else (*query.aggregates, self._count)
        self._query = query.replace(aggregates=counted, sort_by=None)
        by_date = () if query.date_grouping is None else (DATE_COLUMN,)
        self.keys = (*by_date, *query.field_grouping)
        known = {*TEXT_PROPERTIES, *CATEGORICAL_PROPERTIES}
        self._columns = tuple(name for name in query.field_grouping if name in known)
        self._rows: dict[tuple[object, ...], RowT] = {}
        self._nulls: dict[tuple[object, ...], RowT] = {}
        self._presumed: list[tuple[Sequence[RowT], Callable[[], Coroutine[object, object, None]]]] = []

    async def run(self) -> Sequence[RowT]:
        if not self._wanted.field_grouping:
            return (await self._ask(self._wanted)).rows
        text = next((name for name in self._columns if name in TEXT_PROPERTIES), None)
        first = await self.part((), f"{text}:asc" if text else self._sampling)
        if first.truncated:
            self._total = await self._ask_total()
        if not first.truncated or self._add_up(first):
            self.keep(first)
            return self._projected()
        await self.separate((), frozenset(), first)
        if self._presumed and self._missing():
            presumed, self._presumed = self._presumed, []
            for key in [self._key(row) for rows, _ in presumed for row in rows]:
                del self._rows[key]
            await gather_all(read() for _, read in presumed)
        self._check()
        return self._projected()

    @property
    def _sampling(self) -> str:
        return f"{self._count}:desc"

    async def part(self, own: Filters, sort_by: str) -> Report[RowT]:
        query = self.query_of(own, sort_by)
        if not _fits_into_url(query):
            self._give_up(own, "the filters that would separate them do not fit into a URL")
        report = await self._ask(query)
        for row in report:
            if not fits(own, row):
                raise InconsistentError(
                    f"the server compares texts differently: it returned {row} for {', '.join(map(str, own))}"
                )
        return report

    def query_of(self, own: Filters, sort_by: str) -> Query[RowT]:
        filters = tuple(dict.fromkeys(self._wanted.filters + own))
        return self._query.replace(filters=filters, sort_by=sort_by)

    def is_all(self, rows: Sequence[RowT]) -> bool:
        return self._is_over and self._add_up(rows)

    def _add_up(self, rows: Iterable[RowT]) -> bool:
        counts = [self._counted(row) for row in rows]
        return all(counts) and self._missing() == sum(counts)

    async def _ask_total(self) -> int:
        whole = self._query.replace(aggregates=(self._count,), field_grouping=(), date_grouping=None)
        return sum(map(self._counted, await self._ask(whole)))

    def _counted(self, row: RowT) -> int:
        return cast("int | None", getattr(row, self._count)) or 0

    def _key(self, row: RowT) -> tuple[object, ...]:
        return tuple([getattr(row, name) for name in self.keys])

    def keep(self, rows: Iterable[RowT]) -> None:
        for row in rows:
            key = self._key(row)
            if key in self._rows:
                raise InconsistentError(
                    f"the server put {key} into two disjoint parts: it compares texts or reads patterns differently"
                )
            self._rows[key] = row

    def presume(self, rows: Sequence[RowT], read: Callable[[], Coroutine[object, object, None]]) -> None:
        self.keep(rows)
        self._presumed.append((rows, read))

    async def separate(self, own: Filters, spent: frozenset[str], seen: Report[RowT]) -> None:
        """Read all rows of a part whose answer reached the row cap; the columns `spent` cannot split it further."""
        for row in seen:
            if None in (key := self._key(row)):
                self._nulls[key] = row
        column = choose_column(seen.rows, [name for name in self._columns if name not in spent])
        if column is None:
            self._give_up(own, self._advice())
        if column in CATEGORICAL_PROPERTIES:
            await self._by_value(own, spent, column, seen)
            return
        await _RangeScan(self, own, spent, column).begin(seen)

    async def _by_value(self, own: Filters, spent: frozenset[str], column: str, seen: Report[RowT]) -> None:
        name = cast("CategoricalProperty", column)
        values = heaviest(seen.rows, column, most=_MOST_VALUES)
        # The rest goes first: if its filters do not fit into a URL, it fails before the values are requested.
        await self._all(own + tuple(Filter(name, "is not", value) for value in values), spent)
        await gather_all([self._all((*own, Filter(name, "is", value)), spent | {column}) for value in values])

    async def _all(self, own: Filters, spent: frozenset[str]) -> None:
        report = await self.part(own, self._sampling)
        if report.truncated:
            await self.separate(own, spent, report)
        else:
            self.keep(report)

    def _give_up(self, own: Filters, why: str) -> NoReturn:
        part = self._wanted.replace(filters=tuple(dict.fromkeys(self._wanted.filters + own)))
        raise InseparableError(
            f"more than {MAX_ROWS:,} rows cannot be separated: {why}", part, len(self._rows)
        )

    def _advice(self) -> str:
        others = [name for name in self._wanted.field_grouping if name not in self._columns]
        if others:
            return f"{', '.join(others)} cannot be filtered on; group by another field too, or filter"
        if self._wanted.date_grouping is not None:
            return (
                f"one group has too many dates by the {self._wanted.date_grouping}; group by a longer unit, or "
                "request shorter ranges as separate reports"
            )
        return f"{', '.join(self._columns)} have no more values to split by; filter more narrowly"

    def _missing(self) -> int:
        return self._total - sum(map(self._counted, self._rows.values()))

    def _check(self) -> None:
        """Reject rows that add up to less than the total; more than it is new traffic."""
        missing = self._missing()
        if missing <= 0:
            return
        for key, row in self._nulls.items():
            if self._rows.setdefault(key, row) is row:
                missing -= self._counted(row)
        if missing > 0:
            raise InconsistentError(
                f"{missing:,} of {self._total:,} {self._count} are missing: the server leaves out rows without a "
                f"value when it filters on {', '.join(self._columns)}; add a filter for known values, such as "
                f"Filter({self._columns[0]!r}, 'matching', '.')"
            )

    def _projected(self) -> Sequence[RowT]:
        rows = self._rows.values()
        if self._query.aggregates == self._wanted.aggregates:
            return tuple(rows)
        read, make = attrgetter(*self._wanted.columns), self._wanted.codec.row
        return tuple(make(*read(row)) for row in rows)


class _RangeScan(Generic[RowT]):
    """Reads all texts of one column, window by window, of the part that the filters `own` describe."""

    def __init__(self, reader: _Completion[RowT], own: Filters, spent: frozenset[str], column: str) -> None:
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
                await self._heavy(attrs.evolve(span, high=key), seen)
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
        behind = just_behind(texts[-1]) if self._reader.keys == (self._column,) else None
        last, short = (choose_split_key(texts, len(texts) - 1, slack) for slack in (0, len(texts) // 20))
        keys = (behind, last and last[1])
        return next(
            (key for key in keys if key and self._fits(attrs.evolve(span, high=key))), short and short[1]
        )

    def _fits(self, span: KeyRange) -> bool:
        own = self._own + span.filters()
        return _fits_into_url(self._reader.query_of(own, f"{self._column}:asc"))

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


def _fits_into_url(query: Query[RowT]) -> bool:
    return len(urlencode(query.params())) <= LONGEST_QUERY
