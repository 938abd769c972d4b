"""Pack the queries of a family into requests: bins of values and times, filled one after the other.

A request that groups by two properties and by the day answers for every combination of their values with every day of
its range, whether somebody asked for it or not. So what goes into one is a bin, and it is full when its answer might
have more rows than an answer can, or its filters more characters than a URL.

Filling bins optimally is a packing problem; here they are filled in a few orders, and the order that takes the
fewest bins is kept.
"""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

import attrs

from fathom_async._bulk.fusing.texts import length_in_url
from fathom_async._core.codec.rows import Row
from fathom_async._reports.calendar import Buckets, count_periods
from fathom_async._reports.fields import FIELD_GROUPINGS, MAX_ROWS, TEXT_PROPERTIES, TIMESTAMP
from fathom_async._reports.filters import Filter, filters_to_json
from fathom_async._reports.query import EventQuery, Query

_BY_DATE: Final = (None, f"{TIMESTAMP}:asc", f"{TIMESTAMP}:desc")


@attrs.frozen
class QueryTime:
    """The time of a query.

    Attributes:
        buckets: The whole buckets that it is made of, where it can be cut out of a longer report.
        is_dated: Whether its rows have dates.
        dates: How many dates it may have at the most; None if that is not known.
    """

    buckets: Buckets | None
    is_dated: bool
    dates: int | None


@attrs.frozen(eq=False)
class QueryShape:
    """The shape of a query: what fused queries share, and what they differ in; equal only to itself.

    Attributes:
        query: The query.
        others: Its filters that are not fixed.
        family: What fused queries have in common: subject, time zone, groupings, all filters that are not fixed, the
            order of rows, and the range or else the unit of its buckets.
        fixed: The value of each groupable property that one ``is`` filter fixes.
        time: The time.
        free: The one column that the rows of one date differ in, if any.
    """

    query: Query[Row]
    others: frozenset[Filter]
    family: Hashable
    fixed: Mapping[str, str]
    time: QueryTime
    free: str | None


def shape_of(query: Query[Row]) -> QueryShape | None:
    """Return the shape of a query, or None if the order or choice of its rows is undefined."""
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
    free = [name for name in query.field_grouping if name not in fixed]
    if not _is_ordered(query, free):
        return None
    time = _time_of(query)
    others = frozenset(query.filters).difference(fixing)
    family = (
        *(query.entity, query.site_id, query.entity_name if isinstance(query, EventQuery) else None),
        *(query.timezone, others, tuple(sorted(fixed)), frozenset(query.field_grouping)),
        query.sort_by if free else None,
        time.buckets.unit if time.buckets else (query.date_from, query.date_to, query.date_grouping),
    )
    return QueryShape(query, others, family, fixed, time, free[0] if free else None)


def _is_ordered(query: Query[Row], free: Sequence[str]) -> bool:
    """Whether there is one order of rows that answers the query, so that every answer has it.

    Servers put rows that are equal in the sorted column in any order, and a limit then cuts anywhere.
    """
    if free:
        is_by_name = query.sort_by in {f"{free[0]}:asc", f"{free[0]}:desc"}
        return len(free) == 1 and query.date_grouping is None and is_by_name
    if query.date_grouping is None:
        return True
    return query.sort_by in _BY_DATE and (query.limit is None or query.sort_by is not None)


def _time_of(query: Query[Row]) -> QueryTime:
    unit, first, last = query.date_grouping, query.date_from, query.date_to
    buckets = Buckets.of(unit, first, last) if unit else Buckets.single(first, last)
    if buckets and buckets.unit == "hour" and not _has_plain_hours(query, buckets):
        buckets = None
    return QueryTime(buckets, unit is not None, count_periods(unit, first, last) if unit else 1)


def _has_plain_hours(query: Query[Row], buckets: Buckets) -> bool:
    """Whether each hour is on the clock once: the date of a row does not tell which of two it is."""
    is_short = not query.exceeds_hour_span
    return is_short and query.timezone is not None and buckets.is_steady(ZoneInfo(query.timezone))


LONGEST_PATTERNS: Final = 4_000
"""Characters that all values asked for may take in the URL."""
MOST_DATES: Final = 1_000
"""Dates of one answer, where the server sets no limit of its own."""

_LONGEST_FILTERS: Final = 6_000
"""Characters of these and of all other filters; what else is in a URL is short."""
_MOST_HOURS: Final = 7 * 24

_MANY: Final = 900
_USUAL: Final[Mapping[str, int]] = {
    "device_type": 10,
    "operating_system": 40,
    "browser": 60,
    "country_code": 250,
    "region": 500,
    "state": 500,
}
"""How many values a column may well have, where the request does not say which; of any other, just about `_MANY`."""

_TIME: Final = ""


@attrs.define
class Bin:
    """Queries of one family that one request can answer.

    Attributes:
        room: How many characters its values may take in the URL.
        shapes: The queries.
        values: For each fixed property the values asked for, with their lengths in the URL.
        times: The times asked for.
    """

    room: int
    shapes: list[QueryShape] = attrs.field(factory=list[QueryShape])
    values: dict[str, dict[str, int]] = attrs.field(factory=dict[str, dict[str, int]])
    times: dict[QueryTime, None] = attrs.field(factory=dict[QueryTime, None])
    _lengths: dict[str, int] = attrs.field(factory=dict[str, int])
    _first: int = 0
    _last: int = 0

    @property
    def varied(self) -> list[str]:
        """The properties of which several values are asked for."""
        return [name for name, values in self.values.items() if len(values) > 1]

    @property
    def buckets(self) -> Buckets | None:
        """The buckets from the first to the last, if several times are asked for."""
        one = next(iter(self.times)).buckets
        return Buckets(one.unit, self._first, self._last) if one and len(self.times) > 1 else None

    def add(self, shape: QueryShape) -> bool:
        """Take one more query, if the bin has room for it."""
        if self.shapes and not self._has_room(shape):
            return False
        if shape.time.buckets:
            self._first, self._last = self._span(shape.time.buckets)
        for name, value in shape.fixed.items():
            values = self.values.setdefault(name, {})
            if value not in values:
                values[value] = length_in_url(value)
                self._lengths[name] = self._lengths.get(name, 0) + values[value]
        self.times[shape.time] = None
        self.shapes.append(shape)
        return True

    def _has_room(self, shape: QueryShape) -> bool:
        groups, length = 1, 0
        is_varied = False
        for name, value in shape.fixed.items():
            values = self.values[name]
            is_new = value not in values
            many = len(values) + is_new
            is_varied = is_varied or many > 1
            groups *= _expected(name, many)
            if many == 1 or name in TEXT_PROPERTIES:
                length += self._lengths[name] + (length_in_url(value) if is_new else 0)
        is_spread = len(self.times) > 1 or shape.time not in self.times
        if not is_varied and not is_spread:
            return True
        return length <= self.room and self._has_rows(shape, groups, is_varied, is_spread)

    def _has_rows(self, shape: QueryShape, groups: int, is_varied: bool, is_spread: bool) -> bool:
        dates: int | None = shape.time.dates
        if is_spread and shape.time.buckets:
            first, last = self._span(shape.time.buckets)
            dates = last - first + 1
            if dates > (_MOST_HOURS if shape.time.buckets.unit == "hour" else MOST_DATES):
                return False
        if not is_varied and not shape.query.field_grouping:
            return True
        if shape.free:
            groups *= _USUAL.get(shape.free, _MANY)
        return dates is not None and groups * dates < MAX_ROWS

    def _span(self, buckets: Buckets) -> tuple[int, int]:
        if not self.shapes:
            return buckets.first, buckets.last
        return min(self._first, buckets.first), max(self._last, buckets.last)


def bins(family: Sequence[QueryShape]) -> Sequence[Bin]:
    """Return few bins that hold all queries of a family."""
    others = family[0].others
    room = _LONGEST_FILTERS - (len(quote(filters_to_json(others), safe="")) if others else 0)
    filled = (_filled(order, min(room, LONGEST_PATTERNS)) for order in _orders(family))
    return min(filled, key=len)


def _filled(shapes: Sequence[QueryShape], room: int) -> Sequence[Bin]:
    found = [Bin(room)]
    for shape in shapes:
        if not found[-1].add(shape):
            found.append(Bin(room))
            found[-1].add(shape)
    return found


def _orders(family: Sequence[QueryShape]) -> Iterator[Sequence[QueryShape]]:
    """Yield the queries by each property or the time first, and the others behind it, in either direction."""
    names = [*sorted(family[0].fixed), _TIME]
    for turn in range(len(names)):
        turned = names[turn:] + names[:turn]
        for order in dict.fromkeys((tuple(turned), (turned[0], *reversed(turned[1:])))):
            yield _sorted(family, order)


def _sorted(family: Sequence[QueryShape], order: Sequence[str]) -> Sequence[QueryShape]:
    return sorted(family, key=lambda shape: [_place(shape, name) for name in order])


def _place(shape: QueryShape, name: str) -> tuple[int, int] | str:
    if name != _TIME:
        return shape.fixed[name]
    buckets = shape.time.buckets
    return (buckets.first, buckets.last) if buckets else (0, 0)


def _expected(name: str, asked: int) -> int:
    """Return how many values of a property an answer may well have, if so many are asked for."""
    if asked == 1 or name in TEXT_PROPERTIES:
        return asked
    return max(2 * asked, _USUAL.get(name, _MANY))
