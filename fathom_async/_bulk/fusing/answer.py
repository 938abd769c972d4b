"""What a fused request answers, and how the answers asked for are cut out of it."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Generic, cast

import attrs

from fathom_async._bulk.fusing.texts import folded
from fathom_async._core.codec.rows import Row, RowT_co
from fathom_async._reports.calendar import Buckets
from fathom_async._reports.fields import DATE_COLUMN, MAX_ROWS, METRIC_KINDS, TIMESTAMP
from fathom_async._reports.query import Query
from fathom_async._reports.report import Report
from fathom_async.errors import ArgumentError

_Key = tuple[object, ...]


@attrs.frozen
class Asked(Generic[RowT_co]):
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
    asked: tuple[Asked[RowT_co], ...]
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

    def rows(self, asked: Asked[Row]) -> Sequence[Row] | None:
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
