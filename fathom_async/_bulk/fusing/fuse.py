"""Fuse queries into requests: find families, pack them into bins, write each bin as one query, split its answer."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Generic, cast

import attrs

from fathom_async._bulk.fusing.bin import Bin, QueryShape, bins, shape_of
from fathom_async._bulk.fusing.texts import folded, one_of
from fathom_async._core.codec.rows import Row, RowT, RowT_co
from fathom_async._reports.calendar import Buckets
from fathom_async._reports.fields import DATE_COLUMN, MAX_ROWS, METRIC_KINDS, TEXT_PROPERTIES, TIMESTAMP
from fathom_async._reports.filters import Filter
from fathom_async._reports.query import Query
from fathom_async._reports.report import Report
from fathom_async.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Hashable

    from fathom_async._reports.fields import TextProperty


_Key = tuple[object, ...]


@attrs.frozen
class Member(Generic[RowT_co]):
    """One of the queries that a request answers.

    Attributes:
        positions: Where it was asked, in the order given; more than one where it was asked more than once.
        query: The query.
        values: Columns of the answer by which its rows are told apart, with the values they have.
        buckets: The dates of its rows, if the answer has others too.
    """

    positions: tuple[int, ...]
    query: Query[RowT_co]
    values: Mapping[str, str] = attrs.field(factory=dict[str, str], hash=False)
    buckets: Buckets | None = None


@attrs.frozen
class Fused(Generic[RowT_co]):
    """One request, and the queries that it answers.

    Attributes:
        query: What to send: the query itself, where there is only one.
        asked: The queries that it answers, in the order asked.
        how: What was put together, in words such as ``12 pathnames in one``.
    """

    query: Query[RowT_co]
    asked: tuple[Member[RowT_co], ...]
    how: tuple[str, ...] = ()

    def split(self, report: Report[Row]) -> Sequence[Report[RowT_co]] | None:
        """Return the reports of the queries asked, in their order.

        Args:
            report: The answer to `query`.

        Returns:
            What each query would have been answered by itself; or None if that cannot be told from the answer,
            because it was cut off, or the server compares texts in a way of its own. Then ask each by itself.

        Raises:
            ArgumentError: The report is one of another query.
        """
        if report.query != self.query:
            raise ArgumentError(f"this is no answer to {self.query!r}, but to {report.query!r}")
        if len(self.asked) == 1:
            return [cast("Report[RowT_co]", report)]
        # A limit below the server's own was asked for: it cuts here where it cuts there.
        if report.truncated and self.query.limit in {None, MAX_ROWS}:
            return None
        answer = _Answer(report, tuple(self.asked[0].values))
        if answer.is_ambiguous:
            return None
        reports: list[Report[RowT_co]] = []
        for asked in self.asked:
            rows = answer.rows(asked)
            if rows is None:
                return None
            reports.append(_as_asked(asked.query, rows, report.columns))
        return reports


class _Answer:
    """The rows of a fused request, by what they are told apart by."""

    def __init__(self, report: Report[Row], names: Sequence[str]) -> None:
        others = [name for name in report.columns if name not in METRIC_KINDS and name not in names]
        self._values, self._rest = _reader(names), _reader(others)
        self._rows: dict[_Key, dict[_Key, Row]] = defaultdict(dict)
        self._look_alikes: dict[_Key, set[_Key]] = defaultdict(set)
        for row in report:
            values = self._values(row)
            self._rows[values][self._rest(row)] = row
            self._look_alikes[_folded(values)].add(values)
        self.is_ambiguous = sum(map(len, self._rows.values())) < len(report)

    def rows(self, asked: Member[Row]) -> Sequence[Row] | None:
        """Return the rows of a query, in the order of the answer.

        A server that takes two texts for one names their common row after either of them. So where the asked text
        has no row, but one like it has, it cannot be told whose that is: then None.
        """
        values = tuple(asked.values.values())
        own = self._rows.get(values, {})
        for other in self._look_alikes.get(_folded(values), ()):
            if other != values and any(
                rest not in own and _is_within(asked.buckets, row) for rest, row in self._rows[other].items()
            ):
                return None
        return [row for row in own.values() if _is_within(asked.buckets, row)]


def _is_within(buckets: Buckets | None, row: Row) -> bool:
    return buckets is None or buckets.holds(getattr(row, DATE_COLUMN))


def _folded(values: _Key) -> _Key:
    return tuple([folded(cast("str | None", value)) for value in values])


def _as_asked(query: Query[RowT_co], rows: Sequence[Row], columns: tuple[str, ...]) -> Report[RowT_co]:
    """Return the answer to a query, from all of its rows in the order of the server."""
    if query.date_grouping is not None:
        is_falling = query.sort_by == f"{TIMESTAMP}:desc"
        rows = sorted(rows, key=attrgetter(DATE_COLUMN), reverse=is_falling)
    rows = rows[: query.limit]
    if query.columns != columns:
        read, make = _reader(query.columns), query.codec.row
        rows = [make(*read(row)) for row in rows]
    return Report(query, cast("tuple[RowT_co, ...]", tuple(rows)))


def _reader(names: Sequence[str]) -> Callable[[Row], _Key]:
    """Return what reads columns of a row, as a tuple however many there are."""
    match names:
        case []:
            return lambda _: ()
        case [name]:
            return lambda row: (getattr(row, name),)
        case _:
            return attrgetter(*names)


def fuse(queries: Sequence[Query[RowT]]) -> tuple[Fused[RowT], ...]:
    """Return few requests that together answer all queries, each of them exactly.

    The same queries in the same order give the same requests. Requests come in the order of the first query that
    they answer, and every position is answered by one of them.

    Args:
        queries: Any queries, of any sites, mixed.
    """
    fused: list[Fused[RowT]] = []
    asked_as: dict[QueryShape, Member[RowT]] = {}
    families: dict[Hashable, list[QueryShape]] = defaultdict(list)
    for asked in _distinct(queries):
        shape = shape_of(asked.query)
        if shape is None:
            fused.append(_alone(asked))
        else:
            asked_as[shape] = asked
            families[shape.family].append(shape)
    for family in families.values():
        for box in bins(family):
            members = sorted(((asked_as[shape], shape) for shape in box.shapes), key=_first_asked)
            fused.append(_together(members, box) if len(members) > 1 else _alone(members[0][0]))
    return tuple(sorted(fused, key=lambda each: each.asked[0].positions))


def _first_asked(member: tuple[Member[RowT], QueryShape]) -> tuple[int, ...]:
    return member[0].positions


def _distinct(queries: Sequence[Query[RowT]]) -> list[Member[RowT]]:
    """Return each query once.

    Queries are equal in any order of their columns; but where they leave the order of rows to the server, it may
    well be another for other columns.
    """
    positions: dict[Hashable, list[int]] = defaultdict(list)
    for position, query in enumerate(queries):
        positions[query.key(), query.columns].append(position)
    return [Member(tuple(found), queries[found[0]]) for found in positions.values()]


def _alone(asked: Member[RowT]) -> Fused[RowT]:
    return Fused(asked.query, (asked,), tuple(_repeats([asked])))


def _together(members: Sequence[tuple[Member[RowT], QueryShape]], box: Bin) -> Fused[RowT]:
    varied, is_spread = box.varied, box.buckets is not None
    asked = tuple(
        attrs.evolve(
            each,
            values={name: shape.fixed[name] for name in varied},
            buckets=shape.time.buckets if is_spread else None,
        )
        for each, shape in members
    )
    return Fused(_request(asked, box), asked, tuple(_words(asked, box)))


def _request(asked: Sequence[Member[RowT]], box: Bin) -> Query[RowT]:
    first, varied, buckets = asked[0].query, box.varied, box.buckets
    queries = [each.query for each in asked]
    counted = {name for query in queries for name in query.aggregates}
    changes: dict[str, object] = {
        "aggregates": [name for name in METRIC_KINDS if name in counted],
        "field_grouping": list(dict.fromkeys((*first.field_grouping, *varied))),
        "filters": list(dict.fromkeys((*sorted(box.shapes[0].others), *_restrictions(box)))),
        "sort_by": first.sort_by if box.shapes[0].free else None,
        "limit": None,
    }
    if buckets is not None:
        changes |= {"date_grouping": buckets.unit, "date_from": buckets.begin, "date_to": buckets.end}
    elif not varied and (limit := _common_limit(queries)):
        changes |= {"sort_by": first.sort_by, "limit": limit}
    return first.replace(**changes)


def _restrictions(box: Bin) -> Iterator[Filter]:
    for name, values in box.values.items():
        text = cast("TextProperty", name)
        if len(values) == 1:
            yield Filter(text, "is", next(iter(values)))
        elif name in TEXT_PROPERTIES:
            yield Filter(text, "matching", one_of(sorted(values)))


def _common_limit(queries: Sequence[Query[RowT]]) -> int | None:
    """Return the highest limit, if all queries have one, and cut the same rows in the same order."""
    limits = [query.limit for query in queries if query.limit is not None]
    is_common = len(limits) == len(queries) and len({query.sort_by for query in queries}) == 1
    return max(limits) if is_common else None


def _words(asked: Sequence["Member[Row]"], box: Bin) -> Iterator[str]:
    counted = {frozenset(each.query.aggregates) for each in asked}
    if len(counted) > 1:
        yield f"{len(frozenset[str]().union(*counted))} aggregates in one"
    for name in box.varied:
        yield f"{len(box.values[name])} {_plural(name)} in one"
    if buckets := box.buckets:
        is_dated = any(time.is_dated for time in box.times)
        times = f"ranges by the {buckets.unit}" if is_dated else f"{buckets.unit}s"
        yield f"{len(box.times)} {times} in one"
    if len(counted) == 1 and not box.varied and not box.buckets:
        yield f"{len(asked)} views of one answer"
    yield from _repeats(asked)


def _repeats(asked: Sequence["Member[Row]"]) -> Iterator[str]:
    if repeats := sum(len(each.positions) - 1 for each in asked):
        yield f"{repeats} repeat{'s' if repeats > 1 else ''} left out"


def _plural(name: str) -> str:
    words = name.replace("_", " ")
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"
