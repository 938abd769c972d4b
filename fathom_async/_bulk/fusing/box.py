"""What queries need of an answer, and boxes: requests that are wide enough for many of them.

A request that groups by two properties and by the day answers for every combination of their values with every day
of its range, whether somebody asked for it or not. So boxes grow as little as possible, and a box is full when its
answer might have more rows than an answer can, or its filters more characters than a URL. What a box contains is only
a candidate: `fathom_async._reports.implication` has the rules.
"""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from datetime import datetime
from math import inf, prod
from typing import Final, Self
from urllib.parse import quote
from zoneinfo import ZoneInfo

import attrs

from fathom_async._bulk.fusing.knowledge import ServerKnowledge
from fathom_async._bulk.fusing.texts import length_of
from fathom_async._core.codec.rows import Row
from fathom_async._reports.calendar import Buckets, Unit, count_periods, is_shown_once
from fathom_async._reports.collation import is_certain
from fathom_async._reports.fields import (
    ADDITIVE_METRICS,
    DATE_GROUPINGS,
    FIELD_GROUPINGS,
    MAX_ROWS,
    TEXT_PROPERTIES,
    TIMESTAMP,
    DateGrouping,
)
from fathom_async._reports.filters import Filter, filters_to_json
from fathom_async._reports.query import EventQuery, Query

_MOST_HOURS: Final = 7 * 24
_LONGEST_TOP: Final = 100
"""Rows above which two of equal rank are all but certain."""


@attrs.frozen
class Time:
    """A range, as an answer may have it: from its own first second to its last, or of any whole buckets of a unit."""

    unit: DateGrouping | None
    ends: tuple[datetime | None, datetime | None] | None = None


Span = tuple[int, int]
"""First and last bucket."""


@attrs.frozen(eq=False)
class Shape:
    """What a query needs; equal only to itself.

    The subject is what requests share: entity, site, event, time zone, and all filters that fix no group. `fixed` are
    the values of the groupable properties that one ``is`` filter each fixes, `others` all other filters, and `groups`
    the properties that rows show.
    `is_additive` says whether groups and buckets may be added up; `order` in which order of texts the server must
    answer, None where rows are put in order here. It may be a part of the ranges `times`, with its own buckets.
    """

    query: Query[Row]
    subject: Hashable
    fixed: Mapping[str, str]
    others: frozenset[Filter]
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
        is_by_figure = _sort_column(self.query) in self.query.aggregates
        return is_by_figure and bool(self.groups or self.query.date_grouping)


def shape_of(query: Query[Row], zone: ZoneInfo | None = None) -> Shape | None:
    """Return the shape of a query, or None if more than one sequence of rows answers it."""
    counts = Counter(each.property for each in query.filters if each.operator == "is")
    fixing = [
        each
        for each in query.filters
        if each.operator == "is"
        and is_certain(each.value)
        and each.property in FIELD_GROUPINGS
        and counts[each.property] == 1
    ]
    fixed: dict[str, str] = {each.property: each.value for each in fixing}
    groups = frozenset[str](query.field_grouping)
    if query.extra or not _is_ordered(query, groups.difference(fixed)):
        return None
    others = frozenset(query.filters).difference(fixing)
    event = query.entity_name if isinstance(query, EventQuery) else None
    subject = (query.entity, query.site_id, event, query.timezone, others)
    order = query.sort_by if _sort_column(query) in groups.difference(fixed) else None
    is_additive = ADDITIVE_METRICS.issuperset(query.aggregates)
    times = dict(_times(query, zone, is_additive=is_additive))
    return Shape(query, subject, fixed, others, groups, is_additive, order, times)


def depends_on_zone(query: Query[Row]) -> bool:
    """Whether it takes the site's time zone to tell if the query may be a part of a longer range."""
    ends = (query.date_from, query.date_to)
    return query.timezone is None and not all(
        end is None or is_shown_once(end, Unit("day"), None) for end in ends
    )


def _sort_column(query: Query[Row]) -> str:
    return (query.sort_by or "").partition(":")[0]


def _is_ordered(query: Query[Row], free: frozenset[str]) -> bool:
    """Whether there may be one sequence of rows that answers the query; see rule 7 of the implications."""
    column = _sort_column(query)
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
        if finer == "hour" and (parts is None or parts > _MOST_HOURS):
            continue
        if not (is_additive or finer == unit or (parts is not None and parts == dates)):
            continue
        if finer not in {unit, "hour"} and parts != 1:
            yield Time(finer, (first, last)), (1, parts or MAX_ROWS)
        if buckets is not None and all(_is_plain(end, finer, zone) for end in (first, last)):
            yield Time(finer), (buckets.first, buckets.last)


def _is_plain(moment: datetime | None, unit: DateGrouping, zone: ZoneInfo | None) -> bool:
    return moment is not None and is_shown_once(moment, Unit(unit), zone)


LONGEST_PATTERNS: Final = 4_000
"""Characters that all values asked for may take in the URL."""
MOST_DATES: Final = 1_000
"""Dates of one answer, where the server sets no limit of its own."""

_LONGEST_FILTERS: Final = 6_000
"""Characters of these and of all other filters; what else is in a URL is short."""
_SPARSE: Final = 0.7
"""Of the combinations of several properties few occur; this power of their number is a guess."""


@attrs.frozen(eq=False)
class Box:
    """What a request must have to answer some queries.

    `fields` are the values asked for of each property that a query names, None for all values. Rows must show
    `groups`, and may show `allowed`, because figures that do not add up need their own groups. `room` is how many
    characters its values may take in the URL, and `lengths` how many those of a property take at the most, of each
    that the request filters on. `rows` is how many rows its answer may well have.
    """

    shapes: tuple[Shape, ...]
    fields: Mapping[str, frozenset[str] | None]
    groups: frozenset[str]
    allowed: frozenset[str] | None
    times: Mapping[Time, Span]
    order: str | None
    room: int
    lengths: Mapping[str, int]
    rows: int = 0

    @classmethod
    def of(cls, shape: Shape, knowledge: ServerKnowledge) -> Self:
        """Return the box of one query, which is always possible."""
        fields: dict[str, frozenset[str] | None] = dict.fromkeys(shape.groups)
        fields |= {name: frozenset({value}) for name, value in shape.fixed.items()}
        others = len(quote(filters_to_json(shape.others), safe="")) if shape.others else 0
        room = _LONGEST_FILTERS - others
        room = min(room, LONGEST_PATTERNS, knowledge.longest_patterns)
        allowed = None if shape.is_additive else shape.groups.union(shape.fixed)
        lengths = {name: length_of(frozenset({shape.fixed[name]}), room) for name in sorted(shape.fixed)}
        box = cls((shape,), fields, shape.groups, allowed, shape.times, shape.order, room, lengths)
        return attrs.evolve(box, rows=box.count_groups(knowledge) * _fewest_dates(box.times))

    def joined(self, other: Self, knowledge: ServerKnowledge) -> Self | None:
        """Return the smallest box for the queries of both, or None if none is small enough."""
        if self.order != other.order and None not in {self.order, other.order}:
            return None
        times: Mapping[Time, Span] = {
            time: (min(span[0], other.times[time][0]), max(span[1], other.times[time][1]))
            for time, span in self.times.items()
            if time in other.times
        }
        if not times:
            return None
        groups = self.groups | other.groups
        fields = {name: self._values(name, other) for name in {*self.fields, *other.fields}}
        allowed = self.allowed if other.allowed is None else other.allowed
        if None not in {self.allowed, other.allowed}:
            allowed = (self.allowed or frozenset()) & (other.allowed or frozenset())
        if allowed is not None and not _grouped(fields, groups) <= allowed:
            return None
        order = self.order or other.order
        shapes, room = self.shapes + other.shapes, min(self.room, other.room)
        lengths = self._lengths(other, room)
        box = type(self)(shapes, fields, groups, allowed, times, order, room, lengths)
        one, two = self.shapes[0].query, other.shapes[0].query
        is_one_order = (one.date_grouping, one.sort_by) == (two.date_grouping, two.sort_by)
        is_one_range = any(time.ends is not None and time in other.times for time in self.times)
        is_alike = is_one_range and (self.fields, self.groups) == (other.fields, other.groups)
        is_same = is_alike and (is_one_order or bool(box.grouped))  # no longer than one of them
        count = box.count_groups(knowledge)
        times = times if is_same else _short(times, count, is_grouped=bool(box.grouped))
        return attrs.evolve(box, times=times, rows=count * _fewest_dates(times)) if times else None

    def _values(self, name: str, other: Self) -> frozenset[str] | None:
        """Return the values of a property; one that some query does not name is summed over."""
        mine, theirs = self.fields.get(name), other.fields.get(name)
        return None if mine is None or theirs is None else mine | theirs

    @property
    def grouped(self) -> frozenset[str]:
        """The properties that the request groups by."""
        return _grouped(self.fields, self.groups)

    def _lengths(self, other: Self, room: int) -> Mapping[str, int]:
        """Return what those values take that still fit in, added up where that is enough."""
        found: dict[str, int] = {}
        mine, theirs = self.restricted(), other.restricted()
        for name, values in {name: mine[name] | theirs[name] for name in mine if name in theirs}.items():
            if len(values) > 1 and name not in TEXT_PROPERTIES:
                continue
            length = length_of(values, room, known=mine[name], length=self.lengths[name])
            if length <= room or len(values) == 1:
                found[name] = length
                room -= length
        return found

    def restricted(self) -> Mapping[str, frozenset[str]]:
        """Return the properties that the request filters on, with the values that it lets through."""
        return {name: values for name in self.lengths if (values := self.fields[name])}

    @property
    def pattern_length(self) -> int:
        """How many characters its patterns take in the URL, at the most."""
        return sum(self.lengths[name] for name, values in self.restricted().items() if len(values) > 1)

    @property
    def time(self) -> tuple[Time, Span]:
        """The range of the request, with the fewest dates."""
        return min(self.times.items(), key=lambda item: (_dates(item[1]), -_UNITS.index(item[0].unit)))

    @property
    def days(self) -> float:
        """Days in its range, at the most."""
        return _days(self.time)

    @property
    def ends(self) -> tuple[datetime | None, datetime | None]:
        """First and last second of the request."""
        time, (first, last) = self.time
        if time.ends is not None or time.unit is None:
            return time.ends or (None, None)
        buckets = Buckets(time.unit, first, last)
        return buckets.begin, buckets.end

    def count_groups(self, knowledge: ServerKnowledge) -> int:
        """Return how many groups an answer may well have on a date."""
        query, groups, guessed = self.shapes[0].query, 1, list[int]()
        days = max(map(_days, self.times.items()))
        for name in self.grouped:
            values = self.fields[name] or ()
            if name in self.lengths:
                groups *= len(values)
                continue
            count = knowledge.count(query, name, days, least=2 * len(values))
            if knowledge.is_known(query, name):
                groups *= count
            else:
                guessed.append(count)
        return groups * max([*guessed, round(math.pow(prod(guessed), _SPARSE))])


def _short(times: Mapping[Time, Span], groups: int, *, is_grouped: bool) -> Mapping[Time, Span]:
    """Return the ranges of which an answer with so many groups on each date is surely complete."""
    most = MAX_ROWS - 1 if is_grouped else MOST_DATES
    return {
        time: span
        for time, span in times.items()
        if groups * _dates(span) <= most and (time.unit != "hour" or _dates(span) <= _MOST_HOURS)
    }


def _fewest_dates(times: Mapping[Time, Span]) -> int:
    return min(map(_dates, times.values()))


def _grouped(fields: Mapping[str, frozenset[str] | None], groups: Iterable[str]) -> frozenset[str]:
    varied = (name for name, values in fields.items() if values is None or len(values) > 1)
    return frozenset(groups).union(varied)


def _dates(span: Span) -> int:
    return span[1] - span[0] + 1


_UNITS: Final = (*DATE_GROUPINGS, None)
_DAYS: Final[Mapping[str | None, float]] = {"hour": 1 / 24, "day": 1, "month": 31, "year": 366}


def _days(item: tuple[Time, Span]) -> float:
    """Return how many days a range has at the most."""
    time, span = item
    if time.ends is None:
        return _dates(span) * _DAYS[time.unit]
    first, last = time.ends
    return inf if first is None or last is None else (last - first).days + 1
