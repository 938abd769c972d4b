r"""Answers that another answer contains: derived exactly, or not at all.

A report is a table of groups. The server puts each record that passes the filters into the group of its labels, and
computes each group from its own records. So the *complete* answer of one query, the source, contains the answers of
others, the targets, under these rules. `implies` tells from the queries alone whether a target may be contained, and
`SourceAnswer.derive` returns its rows, or None where rows or texts leave a doubt.

1. **Subject.** Entity, site, event and ``timezone`` are the same, and the source has all metrics of the target.
2. **Filters.** The target has all filters of the source. Each filter that it has in addition is ``property is value``
   of a property that the source groups by, with a value that every server reads alike
   (`fathom_async._reports.collation.is_certain`): the group of that value. No other operator is evaluated, except
   that a source may be restricted to some values by a pattern of literals between anchors, such as ``^(/a|/b)$``:
   every dialect lets these through. Rule 9 says when that is enough.
3. **Sums.** ``pageviews``, ``conversions`` and ``value`` count occurrences: they are *additive* over groups, and null
   only if every part is. Visitors of two groups are not those of both, and averages have no sum: the other metrics
   are derived only where one group of the target is one of the source.
4. **Groupings.** The source has all groupings of the target. Others are summed over, except where rule 2 chooses
   one value.
5. **Time.** Both have the same range; or the source is grouped by date, and the target begins and ends with the
   source or with a whole bucket of it. Buckets of a source can be summed to longer ones, or to none.
6. **Clocks.** An end that is not one of the source's must be a moment that the clock shows exactly once: servers
   read others differently. Where the site's time zone is not known, no hour is certain, and a day is if it is in
   all time zones that lately changed their clocks at midnight. One doubt is left to callers who name no time zone:
   in the Azores, the two days a year on which clocks change at 0:00 begin with the first 0:00, as most servers have
   it. Else no range of any site could begin on the last Sunday of October. An end that is the source's stays where
   the server saw it: dates beyond an end that clocks skip are within it, and of two for one of the target, none is.
7. **Order.** A target is derived if exactly one sequence of rows answers it. It has one row, or only dates, which
   the rows must show, since a server may find several groups for one value of ``is``; or sorts
   by a column in which no two of its rows are equal, down to and including the first one that its limit cuts off.
   Numbers and dates sort as such. Texts keep the order of a source that sorts by the same column, since collations
   differ.
8. **Limits.** A truncated source is no complete answer, nor may one of 1,000 dates be: only other metrics of the same
   dates in the same order are derived of it. But its rows are the first ones of the same report with a lower limit.
9. **Look-alikes.** A server may take two texts for the same (`fathom_async._reports.collation.folded`). So no group
   is chosen if another one looks like it, or if the server may read its value as another, and rows are not summed
   into groups that look alike, unless the caller knows that the server compares the property exactly. A pattern may
   hide what looks like a value, so none is chosen behind one that does not let all of that through
   (`fathom_async._reports.patterns.forgives`).

A group without records has no row. A server that answers totals without records with a row of zeros says the same by
it: `Report.total` is 0 either way, and None for averages.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from operator import attrgetter
from typing import Final, Generic, cast
from zoneinfo import ZoneInfo

import attrs

from fathom_async._core.codec.rows import Row, RowT, RowT_co
from fathom_async._reports.calendar import SECOND, Unit, count_periods, is_shown_once
from fathom_async._reports.collation import folded, is_certain, may_be_read_otherwise
from fathom_async._reports.fields import (
    ADDITIVE_METRICS,
    DATE_COLUMN,
    DATE_GROUPINGS,
    FIELD_GROUPINGS,
    MAX_ROWS,
    TIMESTAMP,
)
from fathom_async._reports.filters import Filter
from fathom_async._reports.patterns import forgives, lets_through
from fathom_async._reports.query import EventQuery, Query
from fathom_async._reports.report import Report

_LAST_YEAR: Final = 9999


@attrs.frozen(eq=False)
class _View:
    """What the rules compare of a query."""

    subject: tuple[str | None, ...]
    metrics: frozenset[str]
    is_additive: bool
    groups: frozenset[str]
    filters: frozenset[Filter]
    constant: frozenset[str]
    """Properties of which its rows have one value."""


@lru_cache(16_384)
def _view(query: Query[Row]) -> _View:
    event = query.entity_name if isinstance(query, EventQuery) else None
    metrics = frozenset(query.aggregates)
    return _View(
        (query.entity, query.site_id, event, query.timezone),
        metrics,
        metrics <= ADDITIVE_METRICS,
        frozenset(query.field_grouping),
        frozenset(query.filters),
        frozenset(each.property for each in query.filters if each.operator == "is"),
    )


@attrs.frozen
class _Match:
    """How a source contains a target.

    `values` are to be chosen of these groupings. `is_merged`: rows are to be summed. `is_same`: only metrics and
    limits may differ. `is_prefix`: it is the same, with a lower limit. `is_cut`: the range of the target is shorter.
    """

    values: Mapping[str, str]
    is_merged: bool
    is_same: bool
    is_prefix: bool
    is_cut: bool


def implies(
    source: Query[Row], target: Query[Row], *, zone: ZoneInfo | None = None, is_truncated: bool = False
) -> bool:
    """Whether the answer to a query whose range is over may contain the answer to another, also in the same request.

    This is cheap: it looks at the queries only. `SourceAnswer.derive` may still find that the rows leave a doubt.
    `is_truncated` says that the source may lack rows.
    """
    match = _match(source, target, zone)
    return match is not None and (match.is_prefix or not is_truncated)


def _match(source: Query[Row], target: Query[Row], zone: ZoneInfo | None) -> _Match | None:
    one, two = _view(source), _view(target)
    if source.extra or target.extra:
        return None  # what it asks for is not known
    if one.subject != two.subject or not two.metrics <= one.metrics:  # rule 1
        return None
    if not two.groups <= one.groups or not _keeps_order(source, target, two):  # rules 4 and 7
        return None
    values, merges_dates = _chosen(one, two), _merges_dates(source, target, zone)
    if values is None or merges_dates is None:
        return None
    is_merged = merges_dates or one.groups != two.groups | values.keys()
    if is_merged and not two.is_additive:  # rule 3
        return None
    is_cut = (source.date_from, source.date_to) != (target.date_from, target.date_to)
    limit = target.effective_limit
    is_same = (
        not (is_merged or is_cut or values)
        and source.sort_by == target.sort_by
        and (one.groups, source.date_grouping) == (two.groups, target.date_grouping)
    )
    is_prefix = is_same and limit is not None and (source.effective_limit or 0) > limit
    return _Match(values, is_merged, is_same, is_prefix, is_cut)


def _keeps_order(source: Query[Row], target: Query[Row], view: _View) -> bool:
    """Whether the order of the target's rows may follow from the source's; see rule 7."""
    if target.sort_by is None:
        return view.groups <= view.constant
    column = target.sort_by.partition(":")[0]
    is_text = column in FIELD_GROUPINGS and column not in view.constant
    return not is_text or (source.sort_by or "").partition(":")[0] == column


def _chosen(source: _View, target: _View) -> Mapping[str, str] | None:
    """Return the values of groupings that the target chooses, or None if its filters differ otherwise; see rule 2."""
    if source.filters == target.filters:
        return {}
    values: dict[str, str] = {}
    for each in target.filters - source.filters:
        name = each.property
        if each.operator != "is" or not is_certain(each.value) or name not in source.groups or name in values:
            return None
        values[name] = each.value
    for each in source.filters:
        if each.operator == "is" and each.property in values:
            return None
        if each not in target.filters:
            value = values.get(each.property)
            if value is None or each.operator != "matching" or not lets_through(each.value, value):
                return None
    return values


def _is_within(unit: Unit, source: Query[Row], target: Query[Row], zone: ZoneInfo | None) -> bool:
    """Whether the target's range is made of buckets of the source; see rules 5 and 6."""
    clock = zone if target.timezone is None else ZoneInfo(target.timezone)
    first, last = target.date_from, target.date_to
    if first != source.date_from:
        if first is None or not (source.date_from is None or source.date_from < first):
            return False
        if unit.start(unit.index(first)) != first or not is_shown_once(first, unit, clock):
            return False
    if last != source.date_to:
        if last is None or last.year == _LAST_YEAR or not (source.date_to is None or last < source.date_to):
            return False
        behind = last + SECOND
        return unit.start(unit.index(behind)) == behind and is_shown_once(last, unit, clock)
    return True


def _merges_dates(source: Query[Row], target: Query[Row], zone: ZoneInfo | None) -> bool | None:
    """Return whether one date of the target may be several of the source; None if it lacks them; see rule 5."""
    unit, longer = source.date_grouping, target.date_grouping
    is_cut = (source.date_from, source.date_to) != (target.date_from, target.date_to)
    if unit is None:
        return None if is_cut or longer is not None else False
    if is_cut and not _is_within(Unit(unit), source, target, zone):
        return None
    if longer == unit:
        return False
    if longer is not None and DATE_GROUPINGS.index(longer) < DATE_GROUPINGS.index(unit):
        return None
    parts = count_periods(unit, target.date_from, target.date_to)
    whole = count_periods(longer, target.date_from, target.date_to) if longer else 1
    return parts is None or parts != whole


_Key = tuple[object, ...]


class SourceAnswer(Generic[RowT_co]):
    """An answer, from which others can be derived; the server is known to compare the properties `exact` exactly."""

    def __init__(
        self, report: Report[RowT_co], *, zone: ZoneInfo | None = None, exact: Collection[str] = ()
    ) -> None:
        self._report = report
        self._query = report.query
        self._zone = zone
        self._exact = frozenset(exact)
        self._by_values: dict[tuple[str, ...], Mapping[_Key, Sequence[Row]]] = {}
        self._looks: dict[str, Mapping[str, int]] = {}
        labels = [name for name in self._query.columns if name not in self._query.aggregates]
        self._is_ambiguous = len(set(map(_reader(labels), report.rows))) < len(report.rows)

    def derive(self, target: Query[RowT]) -> Report[RowT] | None:
        """Return the answer to a query that this one contains, or None if it cannot be told.

        It has the same rows in the same order, and is truncated if that one would be.
        """
        query = self._query
        if target.key() == query.key() and len(self._report) <= (target.effective_limit or len(self._report)):
            rows = _in_columns(target, self._report.rows, query.columns)
            return Report(target, rows, truncated=self._report.truncated)
        match = _match(query, target, self._zone)
        if match is None or not self._is_enough_for(match):
            return None
        if self._is_ambiguous and not self._report.truncated:  # of that one, first rows are taken as they are
            return None
        chosen = self._choose(match, target)
        if chosen is None:
            return None
        derived = self._merge(target, chosen) if match.is_merged else self._take(target, chosen)
        if derived is None or (not match.is_merged and self._has_more_dates(target, derived)):
            return None
        return _in_order(target, derived, query, is_all=not self._report.truncated)

    def _is_enough_for(self, match: _Match) -> bool:
        """Whether the answer has all rows that it takes; see rule 8."""
        if self._report.truncated:
            return match.is_prefix
        return match.is_same or bool(self._query.field_grouping) or len(self._report) < MAX_ROWS

    def _choose(self, match: _Match, target: Query[Row]) -> Sequence[Row] | None:
        """Return the rows of the target's values and range, or None if others look like them."""
        rows: Sequence[Row] = self._report.rows
        if match.values:
            names = tuple(sorted(match.values))
            for name in names:
                if name not in self._exact and self._is_doubtful(name, match.values[name]):  # rule 9
                    return None
            rows = self._grouped(names).get(tuple(match.values[name] for name in names), ())
        if match.is_cut and self._query.date_grouping is not None:
            unit = Unit(self._query.date_grouping)
            first, last = (  # at an end of the source, its dates may lie beyond where clocks skip that moment
                None if end is None or end == its else unit.index(end)
                for end, its in (
                    (target.date_from, self._query.date_from),
                    (target.date_to, self._query.date_to),
                )
            )
            dated = ((unit.index(_date(row)), row) for row in rows)
            rows = [
                row for at, row in dated if (first is None or first <= at) and (last is None or at <= last)
            ]
        return rows

    def _is_doubtful(self, name: str, value: str) -> bool:
        patterns = [
            each.value for each in self._query.filters if (each.property, each.operator) == (name, "matching")
        ]
        if may_be_read_otherwise(value) or not all(forgives(each, value) for each in patterns):
            return True
        counts = self._looks.get(name)
        if counts is None:
            texts = {cast("str | None", getattr(row, name)) for row in self._report.rows}
            counts = self._looks[name] = Counter(map(folded, texts))
        is_known = (value,) in self._grouped((name,))
        return counts.get(folded(value), 0) > is_known

    def _grouped(self, names: tuple[str, ...]) -> Mapping[_Key, Sequence[Row]]:
        found = self._by_values.get(names)
        if found is None:
            groups: dict[_Key, list[Row]] = defaultdict(list)
            read = _reader(names)
            for row in self._report.rows:
                groups[read(row)].append(row)
            found = self._by_values[names] = groups
        return found

    def _take(self, target: Query[RowT], rows: Iterable[Row]) -> Sequence[RowT]:
        """Return rows of the source as those of the target, which has the same groups."""
        if target.date_grouping == self._query.date_grouping:
            return _in_columns(target, rows, self._query.columns)
        return [target.codec.row(*(_value(target, row, name) for name in target.columns)) for row in rows]

    def _has_more_dates(self, target: Query[RowT], rows: Collection[RowT]) -> bool:
        """Whether one date of the target is several of the source, which rule 6 explains."""
        if target.date_grouping == self._query.date_grouping:
            return False
        labels = _reader([name for name in target.columns if name not in target.aggregates])
        return len(set(map(labels, rows))) < len(rows)

    def _merge(self, target: Query[RowT], rows: Iterable[Row]) -> Sequence[RowT] | None:
        """Return the sums of rows, in the order of their first parts; see rules 3 and 9."""
        labels = [name for name in target.columns if name not in target.aggregates]
        read = _reader(target.aggregates)
        sums: dict[_Key, list[object]] = {}
        for row in rows:
            key = tuple([_value(target, row, name) for name in labels])
            parts = read(row)
            if (total := sums.get(key)) is None:
                sums[key] = [*parts]
            else:
                total[:] = map(_sum, total, parts)
        for place, name in enumerate(labels):
            if name != DATE_COLUMN and name not in self._exact:
                texts = {cast("str | None", key[place]) for key in sums}
                if len({folded(text) for text in texts}) < len(texts):
                    return None
        return [target.codec.row(*key, *total) for key, total in sums.items()]


def _in_order(
    target: Query[RowT], rows: Sequence[RowT], source: Query[Row], *, is_all: bool
) -> Report[RowT] | None:
    """Return the report of these rows, or None if more than one sequence of them answers it; see rules 7 and 8."""
    limit = target.effective_limit
    if target.sort_by is None:
        is_cut = limit is not None and len(rows) > limit
        if target.date_grouping is not None:
            rows = sorted(rows, key=_date)
        dates = {None if target.date_grouping is None else _date(row) for row in rows}
        return None if is_cut or len(dates) < len(rows) else Report(target, tuple(rows))
    column, _, direction = target.sort_by.partition(":")
    read = attrgetter(DATE_COLUMN if column == TIMESTAMP else column)
    if column in FIELD_GROUPINGS:
        if source.sort_by != target.sort_by and any(read(row) is None for row in rows):
            return None  # servers differ in where nulls go
        ordered = list(rows) if source.sort_by == target.sort_by else list(reversed(rows))
        keys = [folded(cast("str | None", read(row))) for row in ordered]
    else:
        if len(rows) > 1 and any(read(row) is None for row in rows):  # servers differ in where nulls go
            return None
        ordered = sorted(rows, key=read, reverse=direction == "desc")
        keys = [read(row) for row in ordered]
    seen = keys if limit is None else keys[: limit + 1]
    if len(set(seen)) < len(seen) or (not is_all and len(seen) <= (limit or 0)):
        return None
    return Report(target, tuple(ordered[:limit]))


def _in_columns(target: Query[RowT], rows: Iterable[Row], columns: tuple[str, ...]) -> tuple[RowT, ...]:
    if target.columns == columns:
        return cast("tuple[RowT, ...]", tuple(rows))
    read, make = _reader(target.columns), target.codec.row
    return tuple(make(*read(row)) for row in rows)


def _value(target: Query[Row], row: Row, name: str) -> object:
    if name != DATE_COLUMN or target.date_grouping is None:
        return cast("object", getattr(row, name))
    unit = Unit(target.date_grouping)
    return unit.value(unit.index(_date(row)))


def _sum(one: object, two: object) -> object:
    if one is None or two is None:
        return two if one is None else one
    return cast("int", one) + cast("int", two)


def _date(row: Row) -> date:
    return cast("date", getattr(row, DATE_COLUMN))


def _reader(names: Sequence[str]) -> Callable[[Row], _Key]:
    """Return what reads columns of a row, as a tuple however many there are."""
    if len(names) > 1:
        return attrgetter(*names)
    return lambda row: tuple([getattr(row, name) for name in names])
