"""Two reports of the same question over two periods, side by side.

1. Rows belong together that have the same groups, and the same place in their period: its third day, its second
   month.
2. What one report has no row for was not counted there: counts are 0; averages, and metrics that this version does
   not know, have no value. But nothing is known of a group that may be among those that a report lacks because it is
   truncated, nor of a day that only the longer period has.
3. A share, such as the bounce rate, changes by points, and its change has no ratio.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import cached_property
from typing import ClassVar, Final, Generic

import attrs

from fathom_async._core.codec.rows import Row, RowT_co
from fathom_async._reports.calendar import Unit
from fathom_async._reports.fields import DATE_COLUMN, HEADINGS, METRIC_KINDS, SHARES
from fathom_async._reports.report import Report
from fathom_async._util.arrow import arrow_table
from fathom_async._util.pydantic_schema import HasSchema
from fathom_async._util.tables import HTML_ROWS, table_html, table_text
from fathom_async._util.text import counted

Figure = int | float | None
Key = tuple[int | None, tuple[str | None, ...]]

_CHANGE: Final = "change"
_PREVIOUS: Final = "previous"
_DIGITS: Final = 10
"""Decimal places of a difference: more than a server answers, and fewer than binary fractions err by."""


@attrs.frozen
class Change(HasSchema):
    """A figure now and before.

    Attributes:
        current: The figure; None if it is not known, or an average of nothing.
        previous: The same of the former period.
        is_share: Whether it is a share of 1, such as the bounce rate, whose change is told in points.
    """

    current: Figure
    previous: Figure
    is_share: bool = False

    _derived: ClassVar[Mapping[str, object]] = {"absolute": Figure, "relative": float | None}

    @property
    def absolute(self) -> Figure:
        """The difference, None if one of the figures is None; 0.05 of a share is 5 points."""
        if self.current is None or self.previous is None:
            return None
        return round(self.current - self.previous, _DIGITS)

    @property
    def relative(self) -> float | None:
        """The difference as a share of the former figure; None for shares, and where that figure is 0 or None."""
        if self.absolute is None or not self.previous or self.is_share:
            return None
        return self.absolute / self.previous

    @property
    def figure(self) -> Figure:
        """The change in one figure: absolute for shares, relative otherwise."""
        return self.absolute if self.is_share else self.relative

    def __str__(self) -> str:
        if self.absolute is None:
            return "-"
        if self.is_share:
            return f"{self.absolute * 100:+z.1f} points"
        if self.relative is None:
            return "new" if self.current else "0 %"
        return f"{self.relative * 100:+z,.1f} %"


@attrs.frozen
class ComparedRow(HasSchema):
    """A group in both periods.

    Attributes:
        date: The date in the current period, None if the query does not group by date; a day that only the former
            period has is told as that period's.
        groups: The groups, in the order of the query.
        changes: The figures by metric.
        is_new: Whether only the current report has the group, although the former one would tell it.
        is_gone: The other way round.
    """

    date: datetime | date | None
    groups: tuple[str | None, ...]
    changes: Mapping[str, Change]
    is_new: bool = False
    is_gone: bool = False


@attrs.frozen(repr=False)
class Comparison(HasSchema, Generic[RowT_co]):
    """A report and the same report of a former period.

    Attributes:
        current: The report; its query has the range that was compared.
        previous: The report of the former period.
        limit: The most rows of either period that are compared.
    """

    current: Report[RowT_co]
    previous: Report[RowT_co]
    limit: int | None = None

    _derived: ClassVar[Mapping[str, object]] = {"rows": tuple[ComparedRow, ...]}

    def change(self, metric: str) -> Change:
        """Return the change of a metric's total, over all groups whatever the limit.

        Raises:
            ArgumentError: The reports have no such metric.
            QueryError: The rows do not add up to a total; compare the query without its groups.
        """
        return Change(self.current.total(metric), self.previous.total(metric), metric in SHARES)

    @cached_property
    def rows(self) -> tuple[ComparedRow, ...]:
        """Each group or date of both reports, in the order of the current one, then of the former one.

        With a limit, those that are among the first ones of either.
        """
        now, before = self._by_key(self.current), self._by_key(self.previous)
        first = [*[*now][: self.limit], *[*before][: self.limit]]
        return tuple(self._row(key, now.get(key), before.get(key)) for key in dict.fromkeys(first))

    def to_dicts(self) -> list[dict[str, "str | int | float | date | None"]]:
        """Return each row as a dict, with ``visits``, ``visits_previous`` and ``visits_change`` of each metric.

        The change is absolute for shares, such as the bounce rate, and relative otherwise.
        """
        return [dict(zip(self.columns, self.cells(row), strict=True)) for row in self.rows]

    def cells(self, row: ComparedRow, *, in_words: bool = False) -> "list[str | int | float | date | None]":
        """Return the values of a row, in the order of `columns`; in words, a change is such as ``+12.5 %``."""
        cells: list[str | int | float | date | None] = [*row.groups]
        if self.current.query.date_grouping is not None:
            cells.insert(0, row.date)
        for change in row.changes.values():
            told = "gone" if row.is_gone else str(change)
            cells += [change.current, change.previous, told if in_words else change.figure]
        return cells

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Export the rows of `to_dicts` as an Arrow table, as a report does."""
        own = {column.name: column.kind for column in self.current.query.codec.columns}
        kinds = {name: own.get(name.removesuffix(f"_{_PREVIOUS}"), "number") for name in self.columns}
        table = arrow_table(kinds, [self.cells(row) for row in self.rows])
        return table.__arrow_c_stream__(requested_schema)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of `to_dicts`."""
        labels, metrics = _parted(self.current)
        figures = (name + end for name in metrics for end in ("", f"_{_PREVIOUS}", f"_{_CHANGE}"))
        return (*labels, *figures)

    def __iter__(self) -> Iterator[ComparedRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<Comparison of {self.current!r} with {self.previous!r}: {counted(len(self), 'row')}>"

    def __str__(self) -> str:
        return table_text(*self._shown())

    def _repr_html_(self) -> str:
        return table_html(*self._shown())

    def _shown(self) -> tuple[Sequence[str], Sequence[Sequence[object]], range, int]:
        """Return headings, cells, the columns of figures, and the number of rows."""
        labels, metrics = _parted(self.current)
        titles = [title for name in metrics for title in (HEADINGS.get(name, name), _PREVIOUS, _CHANGE)]
        rows = [self.cells(row, in_words=True) for row in self.rows[:HTML_ROWS]]
        return [*labels, *titles], rows, range(len(labels), len(self.columns)), len(self)

    def _by_key(self, report: Report[RowT_co]) -> dict[Key, RowT_co]:
        place = _place_in(report)
        groups = [name for name in _parted(report)[0] if name != DATE_COLUMN]
        return {(place(row), tuple(getattr(row, name) for name in groups)): row for row in report}

    def _row(self, key: Key, now: RowT_co | None, before: RowT_co | None) -> ComparedRow:
        place, groups = key
        changes = {
            name: Change(
                self._figure(self.current, now, place, name),
                self._figure(self.previous, before, place, name),
                name in SHARES,
            )
            for name in _parted(self.current)[1]
        }
        is_told = not self.previous.truncated and _has_place(self.previous, place)
        was_told = not self.current.truncated and _has_place(self.current, place)
        return ComparedRow(
            self._date(place, now, before),
            groups,
            changes,
            is_new=before is None and is_told and bool(groups),
            is_gone=now is None and was_told and bool(groups),
        )

    def _figure(self, report: Report[RowT_co], row: Row | None, place: int | None, metric: str) -> Figure:
        if row is not None:
            figure: Figure = getattr(row, metric)
            return figure
        is_told = not report.truncated and _has_place(report, place)
        return 0 if is_told and METRIC_KINDS.get(metric) == "count" else None  # rule 2

    def _date(self, place: int | None, now: Row | None, before: Row | None) -> date | None:
        if place is None:
            return None
        query, start = self.current.query, self.current.query.date_from
        if (
            now is not None
            or start is None
            or query.date_grouping is None
            or not _has_place(self.current, place)
        ):
            found: date | None = getattr(now or before, DATE_COLUMN)
            return found
        unit = Unit(query.date_grouping)
        return unit.value(unit.index(start) + place)


def _parted(report: Report[Row]) -> tuple[list[str], list[str]]:
    """Return the columns of dates and groups, and those of metrics, also of those that this version does not know."""
    columns = report.query.codec.columns
    metrics = [column.name for column in columns if column.kind in {"count", "number"}]
    return [name for name in report.columns if name not in metrics], metrics


def _place_in(report: Report[Row]) -> Callable[[Row], int | None]:
    """Return a function that tells a row's place in the period of its report."""
    query = report.query
    if query.date_grouping is None or query.date_from is None:
        return lambda _: None
    unit = Unit(query.date_grouping)
    first = unit.index(query.date_from)
    return lambda row: unit.index(getattr(row, DATE_COLUMN)) - first


def _has_place(report: Report[Row], place: int | None) -> bool:
    query = report.query
    if place is None or query.date_grouping is None or query.date_from is None or query.date_to is None:
        return True
    unit = Unit(query.date_grouping)
    return place <= unit.index(query.date_to) - unit.index(query.date_from)
