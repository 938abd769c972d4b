"""One query taken apart: what it must share with others to be fused, and in what it may differ from them."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Final
from zoneinfo import ZoneInfo

import attrs

from fathom_async._core.codec.rows import Row
from fathom_async._reports.calendar import Buckets, count
from fathom_async._reports.fields import FIELD_GROUPINGS, TIMESTAMP
from fathom_async._reports.filters import Filter
from fathom_async._reports.query import EventQuery, Query

_BY_DATE: Final = (None, f"{TIMESTAMP}:asc", f"{TIMESTAMP}:desc")


@attrs.frozen
class Slot:
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
    """A query, taken apart; equal to nothing but itself.

    Attributes:
        query: The query.
        others: Its filters that are no pins.
        family: What fused queries have in common: subject, time zone, groupings, all filters that are not pins, the
            order of rows, and the range or else the unit of its buckets.
        pins: The value of each groupable property that one ``is`` filter fixes.
        slot: The time.
        free: The one column that the rows of one date differ in, if any.
    """

    query: Query[Row]
    others: frozenset[Filter]
    family: Hashable
    pins: Mapping[str, str]
    slot: Slot
    free: str | None


def shape_of(query: Query[Row]) -> QueryShape | None:
    """Return a query taken apart, or None where the order of its rows, or which of them come, is not defined."""
    fixed = Counter(each.property for each in query.filters if each.operator == "is")
    # A value that is not known is an empty text to one server and null to another, so that '' is no pin.
    pinned = [
        each
        for each in query.filters
        if each.operator == "is"
        and each.value
        and each.property in FIELD_GROUPINGS
        and fixed[each.property] == 1
    ]
    pins: dict[str, str] = {each.property: each.value for each in pinned}
    free = [name for name in query.field_grouping if name not in pins]
    if not _is_ordered(query, free):
        return None
    slot = _slot(query)
    others = frozenset(query.filters).difference(pinned)
    family = (
        *(query.entity, query.site_id, query.entity_name if isinstance(query, EventQuery) else None),
        *(query.timezone, others, tuple(sorted(pins)), frozenset(query.field_grouping)),
        query.sort_by if free else None,
        slot.buckets.unit if slot.buckets else (query.date_from, query.date_to, query.date_grouping),
    )
    return QueryShape(query, others, family, pins, slot, free[0] if free else None)


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


def _slot(query: Query[Row]) -> Slot:
    unit, first, last = query.date_grouping, query.date_from, query.date_to
    buckets = Buckets.of(unit, first, last) if unit else Buckets.single(first, last)
    if buckets and buckets.unit == "hour" and not _has_plain_hours(query, buckets):
        buckets = None
    return Slot(buckets, unit is not None, count(unit, first, last) if unit else 1)


def _has_plain_hours(query: Query[Row], buckets: Buckets) -> bool:
    """Whether each hour is on the clock once: the date of a row does not tell which of two it is."""
    is_short = not query.exceeds_hour_span
    return is_short and query.timezone is not None and buckets.is_steady(ZoneInfo(query.timezone))
