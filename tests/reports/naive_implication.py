"""The rules of implied answers, written out naively: what `SourceAnswer` is compared with.

Dates are taken bucket by bucket, and rows are compared each with each.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, timedelta
from itertools import chain, pairwise
from zoneinfo import ZoneInfo

from attrs import frozen

from fathom_async import EventQuery, Report
from fathom_async._core.codec.rows import Row
from fathom_async._reports.calendar import Unit, is_shown_once
from fathom_async._reports.collation import folded, is_certain, may_be_read_otherwise
from fathom_async._reports.patterns import forgives, lets_through
from fathom_async._reports.query import AnyQuery

ADDITIVE = {"pageviews", "conversions", "value"}
TEXTS = {"pathname", "browser"}
SECOND = timedelta(seconds=1)

Values = dict[str, object]
"""A row, by its columns."""


@frozen
class Naive:
    """A source and a target; the site's clocks are those of `zone`, and it compares `exact` exactly."""

    source: AnyQuery
    target: AnyQuery
    zone: ZoneInfo | None = None
    exact: Collection[str] = ()

    # What the queries tell.

    def is_implied(self, *, is_truncated: bool) -> bool:
        ours, theirs = self.target, self.source
        return (
            not ours.extra
            and not theirs.extra
            and self.is_same_subject()
            and set(ours.aggregates) <= set(theirs.aggregates)
            and set(ours.field_grouping) <= set(theirs.field_grouping)
            and self.chosen() is not None
            and self.has_dates()
            and (set(ours.aggregates) <= ADDITIVE or not self.is_summed())
            and self.may_be_in_order()
            and (self.is_first_rows() or not is_truncated)
        )

    def is_same_subject(self) -> bool:
        """Rule 1."""
        ours, theirs = (
            (
                type(each),
                each.site_id,
                each.timezone,
                each.entity_name if isinstance(each, EventQuery) else None,
            )
            for each in (self.target, self.source)
        )
        return ours == theirs

    def chosen(self) -> dict[str, str] | None:
        """Return the values that the target has filters for in addition; rule 2."""
        added = [each for each in self.target.filters if each not in self.source.filters]
        values: dict[str, str] = {each.property: each.value for each in added}
        of_source = {each.property for each in self.source.filters if each.operator == "is"}
        are_values = (
            all(each.operator == "is" and is_certain(each.value) for each in added)
            and values.keys() <= set(self.source.field_grouping)
            and not values.keys() & of_source
            and len(values) == len(set(added))
        )
        are_let_through = all(
            each.operator == "matching"
            and each.property in values
            and lets_through(each.value, values[each.property])
            for each in self.source.filters
            if each not in self.target.filters
        )
        return values if are_values and are_let_through else None

    @property
    def is_cut(self) -> bool:
        return self.range_of(self.source) != self.range_of(self.target)

    @staticmethod
    def range_of(query: AnyQuery) -> tuple[datetime | None, datetime | None]:
        return query.date_from, query.date_to

    def has_dates(self) -> bool:
        """Whether the target's range and buckets are made of the source's; rules 5 and 6."""
        unit, longer = self.source.date_grouping, self.target.date_grouping
        if unit is None:
            return longer is None and not self.is_cut
        order = ["hour", "day", "month", "year", None]
        return order.index(longer) >= order.index(unit) and self.begins() and self.ends()

    def begins(self) -> bool:
        unit, first, earlier = self.unit, self.target.date_from, self.source.date_from
        return first == earlier or (
            first is not None
            and (earlier is None or earlier < first)
            and unit.index(first - SECOND) != unit.index(first)
            and is_shown_once(first, unit, self.clock)
        )

    def ends(self) -> bool:
        unit, last, later = self.unit, self.target.date_to, self.source.date_to
        return last == later or (
            last is not None
            and last.year < 9999
            and (later is None or last < later)
            and unit.index(last) != unit.index(last + SECOND)
            and is_shown_once(last, unit, self.clock)
        )

    @property
    def unit(self) -> Unit:
        assert self.source.date_grouping is not None
        return Unit(self.source.date_grouping)

    @property
    def clock(self) -> ZoneInfo | None:
        return ZoneInfo(self.target.timezone) if self.target.timezone else self.zone

    def is_summed(self) -> bool:
        """Whether a row of the target may be several of the source; rules 4 and 5."""
        groups = {*self.target.field_grouping, *(self.chosen() or {})}
        return set(self.source.field_grouping) != groups or self.sums_dates()

    def sums_dates(self) -> bool:
        first, last = self.range_of(self.target)
        if self.source.date_grouping in {None, self.target.date_grouping}:
            return False
        if first is None or last is None:
            return True
        later = map(self.unit.start, range(self.unit.index(first) + 1, self.unit.index(last) + 1))
        return any(self.bucket(one) == self.bucket(other) for one, other in pairwise(chain([first], later)))

    def bucket(self, moment: date) -> date | None:
        """Return the target's date of a moment."""
        if self.target.date_grouping is None:
            return None
        unit = Unit(self.target.date_grouping)
        return unit.value(unit.index(moment))

    def may_be_in_order(self) -> bool:
        """Rule 7, as far as the queries tell."""
        fixed = {each.property for each in self.target.filters if each.operator == "is"}
        ours, theirs = self.target.sort_by, self.source.sort_by
        if ours is None:
            return set(self.target.field_grouping) <= fixed
        column = column_of(ours)
        return column not in TEXTS - fixed or (theirs is not None and column == column_of(theirs))

    def is_like(self) -> bool:
        """Whether only metrics and limits may differ."""
        ours, theirs = (
            (
                set(each.filters),
                set(each.field_grouping),
                each.date_grouping,
                each.sort_by,
                *self.range_of(each),
            )
            for each in (self.target, self.source)
        )
        return ours == theirs

    def is_first_rows(self) -> bool:
        """Rule 8."""
        ours, theirs = self.target.effective_limit, self.source.effective_limit
        return self.is_like() and ours is not None and theirs is not None and ours < theirs

    # What the rows tell.

    def derived(self, report: Report[Row]) -> tuple[Sequence[Values], bool] | None:
        """Return the target's rows, and whether there may be more; None for no answer."""
        rows: list[Values] = [{name: getattr(row, name) for name in report.columns} for row in report.rows]
        if self.source == self.target and len(rows) <= (self.target.effective_limit or len(rows)):
            return rows, report.truncated
        is_doubtful = has_twins(self.labels(self.source), rows) or self.hides_look_alikes(rows)
        if not self.is_implied(is_truncated=report.truncated) or (is_doubtful and not report.truncated):
            return None
        rows = [row for row in rows if self.is_in_range(row) and self.is_chosen(row)]
        rows = [row | {"date": self.bucket(self.date_of(row))} if "date" in row else row for row in rows]
        if self.is_summed():
            rows = self.summed(rows)
            texts = {name: {row[name] for row in rows} for name in self.target.field_grouping}
            is_doubtful = any(self.look_alike(name, each) for name, each in texts.items())
        else:
            is_bucketed = self.target.date_grouping != self.source.date_grouping
            is_doubtful = is_bucketed and has_twins(self.labels(self.target), rows)
        return None if is_doubtful else self.in_order(rows, report)

    @staticmethod
    def labels(query: AnyQuery) -> list[str]:
        return [name for name in query.columns if name not in query.aggregates]

    def hides_look_alikes(self, rows: Sequence[Values]) -> bool:
        """Rule 9, of the values that are chosen."""
        chosen = (self.chosen() or {}).items()
        return any(self.is_doubtful(name, value, rows) for name, value in chosen if name not in self.exact)

    def is_doubtful(self, name: str, value: str, rows: Sequence[Values]) -> bool:
        patterns = [
            each.value for each in self.source.filters if (each.property, each.operator) == (name, "matching")
        ]
        others = {text(row[name]) for row in rows} - {value}
        return (
            may_be_read_otherwise(value)
            or folded(value) in map(folded, others)
            or not all(forgives(pattern, value) for pattern in patterns)
        )

    def look_alike(self, name: str, values: Collection[object]) -> bool:
        return name not in self.exact and len({folded(text(each)) for each in values}) < len(values)

    @staticmethod
    def date_of(row: Values) -> date:
        found = row["date"]
        assert isinstance(found, date)
        return found

    def is_in_range(self, row: Values) -> bool:
        """Whether a row is in the target's range; what lies beyond an end of the source is, if it is the target's."""
        if "date" not in row:
            return True
        first, last = self.range_of(self.target)
        moment, unit = self.date_of(row), self.unit
        return (
            first is None or first == self.source.date_from or unit.index(moment) >= unit.index(first)
        ) and (last is None or last == self.source.date_to or unit.index(moment) <= unit.index(last))

    def is_chosen(self, row: Values) -> bool:
        return all(row[name] == value for name, value in (self.chosen() or {}).items())

    def summed(self, rows: Iterable[Values]) -> list[Values]:
        """Rule 3."""
        parts: dict[tuple[object, ...], list[Values]] = {}
        for row in rows:
            parts.setdefault(tuple(row[name] for name in self.labels(self.target)), []).append(row)
        return [
            part[0] | {name: total(row[name] for row in part) for name in self.target.aggregates}
            for part in parts.values()
        ]

    def in_order(self, rows: list[Values], report: Report[Row]) -> tuple[Sequence[Values], bool] | None:
        """Return the rows that the limit leaves of the only order that they may have; rules 7 and 8."""
        is_grouped = self.target.field_grouping or self.target.date_grouping
        limit = self.target.effective_limit if is_grouped and self.target.effective_limit else 1_000_000
        values: list[object]
        if self.target.sort_by is None:
            if len(rows) > limit:
                return None
            rows = sorted(rows, key=lambda row: number(row.get("date")))
            values = [row.get("date") if self.target.date_grouping else None for row in rows]
        else:
            column = column_of(self.target.sort_by)
            is_alike = self.target.sort_by == self.source.sort_by and column in TEXTS
            if None in [row[column] for row in rows] and not is_alike and (column in TEXTS or len(rows) > 1):
                return None
            if column in TEXTS:
                rows = rows if is_alike else rows[::-1]
                values = [folded(text(row[column])) for row in rows]
            else:
                is_descending = self.target.sort_by.endswith(":desc")
                rows = sorted(rows, key=lambda row: number(row[column]), reverse=is_descending)
                values = [row[column] for row in rows]
        values = values[: limit + 1]
        is_short = report.truncated and len(rows) <= limit
        return None if is_short or len(set(values)) < len(values) else (rows[:limit], len(rows) >= limit)


def column_of(sort_by: str) -> str:
    column = sort_by.partition(":")[0]
    return "date" if column == "timestamp" else column


def text(value: object) -> str | None:
    assert value is None or isinstance(value, str)
    return value


def number(value: object) -> float:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, date):
        return value.toordinal()
    assert value is None or isinstance(value, (int, float))
    return value or 0


def total(values: Iterable[object]) -> float | None:
    known = [number(value) for value in values if value is not None]
    return sum(known) if known else None


def has_twins(labels: Sequence[str], rows: Sequence[Values]) -> bool:
    found = [[row[name] for name in labels] for row in rows]
    return any(each in found[:place] for place, each in enumerate(found))
