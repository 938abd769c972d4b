"""What a query needs of an answer: its groups, the values it fixes, and the times it can be cut out of.

See the rules of `fathom_async._reports.implication`; this module only finds candidates for them.
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import attrs

from fathom_async._core.codec.rows import Row
from fathom_async._reports.calendar import Buckets, Unit, count_periods
from fathom_async._reports.fields import (
    ADDITIVE_METRICS,
    DATE_GROUPINGS,
    FIELD_GROUPINGS,
    MAX_ROWS,
    TIMESTAMP,
    DateGrouping,
)
from fathom_async._reports.filters import Filter
from fathom_async._reports.implication import is_shown_once
from fathom_async._reports.query import EventQuery, Query

_MOST_HOURS: Final = 7 * 24
_LONGEST_TOP: Final = 100
"""Rows above which two of equal rank are all but certain."""


@attrs.frozen
class Time:
    """A range, as an answer may have it: of its own ends, or of any whole buckets of a unit.

    Attributes:
        unit: The date grouping.
        ends: First and last second; None where the range may grow by whole buckets.
    """

    unit: DateGrouping | None
    ends: tuple[datetime | None, datetime | None] | None = None


Span = tuple[int, int]
"""First and last bucket."""


@attrs.frozen(eq=False)
class Shape:
    """What a query needs; equal only to itself.

    Attributes:
        query: The query.
        subject: What requests share: entity, site, event, time zone, and all filters that fix no group.
        fixed: The value of each groupable property that one ``is`` filter fixes.
        groups: The properties that its rows show.
        is_additive: Whether groups and buckets may be added up.
        order: The order of texts in which the server must answer; None where rows are put in order here.
        times: The ranges of which it may be a part, with its own buckets.
    """

    query: Query[Row]
    subject: Hashable
    fixed: Mapping[str, str]
    groups: frozenset[str]
    is_additive: bool
    order: str | None
    times: Mapping[Time, Span]

    @property
    def natural(self) -> Time:
        """The time that it shares with queries of its kind: whole buckets, as long as can be."""
        return next(
            (time for time in reversed(tuple(self.times)) if time.ends is None), next(iter(self.times))
        )

    @property
    def is_top(self) -> bool:
        """Whether it shows the first rows by a figure, between which there may be ties."""
        column = (self.query.sort_by or "").partition(":")[0]
        return column in self.query.aggregates and bool(self.groups or self.query.date_grouping)

    @property
    def others(self) -> frozenset[Filter]:
        """Its filters that fix no group."""
        return frozenset(
            each
            for each in self.query.filters
            if each.operator != "is" or self.fixed.get(each.property) != each.value
        )


def shape_of(query: Query[Row], zone: ZoneInfo | None = None) -> Shape | None:
    """Return the shape of a query, or None if more than one sequence of rows answers it.

    Args:
        query: The query.
        zone: The site's time zone, if known.
    """
    counts = Counter(each.property for each in query.filters if each.operator == "is")
    # A value that is not known is an empty text to one server and null to another, so that '' is not fixed.
    fixing = [
        each
        for each in query.filters
        if each.operator == "is"
        and each.value
        and each.property in FIELD_GROUPINGS
        and counts[each.property] == 1
    ]
    fixed: dict[str, str] = {each.property: each.value for each in fixing}
    groups = frozenset[str](query.field_grouping)
    if not _is_ordered(query, groups.difference(fixed)):
        return None
    subject = (
        *(query.entity, query.site_id, query.entity_name if isinstance(query, EventQuery) else None),
        *(query.timezone, frozenset(query.filters).difference(fixing)),
    )
    column = (query.sort_by or "").partition(":")[0]
    order = query.sort_by if column in groups.difference(fixed) else None
    is_additive = ADDITIVE_METRICS.issuperset(query.aggregates)
    return Shape(
        query, subject, fixed, groups, is_additive, order, dict(_times(query, zone, is_additive=is_additive))
    )


def _is_ordered(query: Query[Row], free: frozenset[str]) -> bool:
    """Whether there may be one sequence of rows that answers the query; see rule 7 of the implications."""
    column = (query.sort_by or "").partition(":")[0]
    if column in query.aggregates and (free or query.date_grouping):
        return query.limit is not None and query.limit <= _LONGEST_TOP
    if column in free:
        return len(free) == 1 and query.date_grouping is None
    if free:
        return False
    return query.date_grouping is None or column == TIMESTAMP or (column == "" and query.limit is None)


def _times(query: Query[Row], zone: ZoneInfo | None, *, is_additive: bool) -> Iterator[tuple[Time, Span]]:
    """Yield the times of which a query's own is a part; see rules 3, 5 and 6 of the implications."""
    unit, first, last = query.date_grouping, query.date_from, query.date_to
    zone = zone if query.timezone is None else ZoneInfo(query.timezone)
    dates = count_periods(unit, first, last) if unit else 1
    yield Time(unit, (first, last)), (1, dates or MAX_ROWS)
    if query.exceeds_hour_span:
        return
    for finer in DATE_GROUPINGS:
        if unit is not None and DATE_GROUPINGS.index(finer) > DATE_GROUPINGS.index(unit):
            return
        buckets = Buckets.of(finer, first, last)
        parts = count_periods(finer, first, last)
        if finer == "hour" and (zone is None or parts is None or parts > _MOST_HOURS):
            continue
        if not (is_additive or finer == unit or (parts is not None and parts == dates)):
            continue
        if finer not in {unit, "hour"} and parts != 1:
            yield Time(finer, (first, last)), (1, parts or MAX_ROWS)
        if buckets is None or not (_is_plain(first, finer, zone) and _is_plain(last, finer, zone)):
            continue
        yield Time(finer), (buckets.first, buckets.last)


def _is_plain(moment: datetime | None, unit: DateGrouping, zone: ZoneInfo | None) -> bool:
    return moment is not None and is_shown_once(moment, Unit(unit), zone)
