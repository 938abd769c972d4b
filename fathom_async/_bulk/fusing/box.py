"""One request for many queries: a box of groups and dates that is wide enough for all of them.

A request that groups by two properties and by the day answers for every combination of their values with every day
of its range, whether somebody asked for it or not. So boxes grow as little as possible, and a box is full when its
answer might have more rows than an answer can, or its filters more characters than a URL.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from math import prod
from typing import Final, Self
from urllib.parse import quote

import attrs

from fathom_async._bulk.fusing.knowledge import ServerKnowledge
from fathom_async._bulk.fusing.shape import Shape, Span, Time
from fathom_async._bulk.fusing.texts import fits_into
from fathom_async._reports.calendar import Buckets
from fathom_async._reports.fields import DATE_GROUPINGS, MAX_ROWS, TEXT_PROPERTIES
from fathom_async._reports.filters import filters_to_json

LONGEST_PATTERNS: Final = 4_000
"""Characters that all values asked for may take in the URL."""
MOST_DATES: Final = 1_000
"""Dates of one answer, where the server sets no limit of its own."""

_LONGEST_FILTERS: Final = 6_000
"""Characters of these and of all other filters; what else is in a URL is short."""
_MOST_HOURS: Final = 7 * 24
_SPARSE: Final = 0.7
"""Of the combinations of several properties few occur; this power of their number is a guess."""


@attrs.frozen(eq=False)
class Box:
    """What a request must have to answer some queries.

    Attributes:
        shapes: The queries.
        fields: The values asked for of each property that a query names; None for all values.
        groups: The properties that rows must show.
        allowed: The properties that rows may show, because figures that do not add up need their own groups.
        times: The ranges that the request may have.
        order: The order of texts that the server must give.
        room: How many characters its values may take in the URL.
        rows: How many rows its answer may well have.
    """

    shapes: tuple[Shape, ...]
    fields: Mapping[str, frozenset[str] | None]
    groups: frozenset[str]
    allowed: frozenset[str] | None
    times: Mapping[Time, Span]
    order: str | None
    room: int
    rows: int = 0

    @classmethod
    def of(cls, shape: Shape, knowledge: ServerKnowledge) -> Self:
        """Return the box of one query, which is always possible."""
        fields: dict[str, frozenset[str] | None] = dict.fromkeys(shape.groups)
        fields |= {name: frozenset({value}) for name, value in shape.fixed.items()}
        others = shape.others
        room = _LONGEST_FILTERS - (len(quote(filters_to_json(others), safe="")) if others else 0)
        room = min(room, LONGEST_PATTERNS, knowledge.longest_patterns)
        allowed = None if shape.is_additive else shape.groups.union(shape.fixed)
        box = cls((shape,), fields, shape.groups, allowed, shape.times, shape.order, room)
        return attrs.evolve(box, rows=box.counted(knowledge)[1])

    def joined(self, other: Self, knowledge: ServerKnowledge) -> Self | None:
        """Return the smallest box for the queries of both, or None if none is small enough."""
        if self.order != other.order and None not in {self.order, other.order}:
            return None
        groups = self.groups | other.groups
        fields = {name: self._values(name, other) for name in {*self.fields, *other.fields}}
        allowed = self.allowed if other.allowed is None else other.allowed
        if None not in {self.allowed, other.allowed}:
            allowed = (self.allowed or frozenset()) & (other.allowed or frozenset())
        if allowed is not None and not _grouped(fields, groups) <= allowed:
            return None
        times: Mapping[Time, Span] = {
            time: (min(span[0], other.times[time][0]), max(span[1], other.times[time][1]))
            for time, span in self.times.items()
            if time in other.times
        }
        order = self.order or other.order
        shapes = self.shapes + other.shapes
        box = type(self)(shapes, fields, groups, allowed, times, order, min(self.room, other.room))
        is_same = self.is_like(other)
        times, rows = box.counted(knowledge, is_same=is_same)
        if not times or (rows >= MAX_ROWS and box.grouped and not is_same):
            return None
        return attrs.evolve(box, times=times, rows=rows)

    def is_like(self, other: Self) -> bool:
        """Whether both need the same groups of the same range, so that one is no longer than the other."""
        is_one_range = any(time.ends is not None and time in other.times for time in self.times)
        return is_one_range and self.fields == other.fields and self.groups == other.groups

    def _values(self, name: str, other: Self) -> frozenset[str] | None:
        """Return the values of a property; one that some query does not name is summed over."""
        mine, theirs = self.fields.get(name), other.fields.get(name)
        return None if mine is None or theirs is None else mine | theirs

    @property
    def grouped(self) -> frozenset[str]:
        """The properties that the request groups by."""
        return _grouped(self.fields, self.groups)

    def restricted(self) -> Mapping[str, frozenset[str]]:
        """Return the properties that the request filters on, with the values that it lets through."""
        room, found = self.room, dict[str, frozenset[str]]()
        for name in sorted(self.fields):
            values = self.fields[name]
            if values is None or (len(values) > 1 and name not in TEXT_PROPERTIES):
                continue
            length = fits_into(values, room)
            if length is not None or len(values) == 1:
                room -= length or 0
                found[name] = values
        return found

    @property
    def time(self) -> tuple[Time, Span]:
        """The range of the request, with the fewest dates."""
        return min(self.times.items(), key=lambda item: (_dates(item[1]), -_UNITS.index(item[0].unit)))

    @property
    def days(self) -> float:
        """Days in its range, at the most."""
        return _days(self.time)

    @property
    def buckets(self) -> Buckets | None:
        """The buckets of the request, if its range is made of them."""
        time, (first, last) = self.time
        return Buckets(time.unit, first, last) if time.unit is not None and time.ends is None else None

    @property
    def ends(self) -> tuple[datetime | None, datetime | None]:
        """First and last second of the request."""
        time, _ = self.time
        if time.ends is not None:
            return time.ends
        buckets = self.buckets
        return (None, None) if buckets is None else (buckets.begin, buckets.end)

    def counted(
        self, knowledge: ServerKnowledge, *, is_same: bool = False
    ) -> tuple[Mapping[Time, Span], int]:
        """Return the ranges that are short enough, and how many rows an answer of the shortest may well have."""
        query, groups, guessed = self.shapes[0].query, 1, list[int]()
        grouped, restricted = self.grouped, self.restricted()
        days = max(map(_days, self.times.items()), default=0)
        for name in grouped:
            values = self.fields[name]
            least = 0 if values is None else 2 * len(values)
            if name in restricted:
                groups *= len(restricted[name])
            elif knowledge.is_known(query, name):
                groups *= knowledge.count(query, name, days, least=least)
            elif not is_same:
                guessed.append(knowledge.count(query, name, days, least=least))
        groups *= max(*guessed, round(prod(guessed) ** _SPARSE)) if len(guessed) > 1 else prod(guessed)
        most = MAX_ROWS - 1 if grouped else MOST_DATES
        times = {
            time: span
            for time, span in self.times.items()
            if is_same
            or (groups * _dates(span) <= most and (time.unit != "hour" or _dates(span) <= _MOST_HOURS))
        }
        return times, groups * min(map(_dates, times.values()), default=MAX_ROWS)


def _grouped(fields: Mapping[str, frozenset[str] | None], groups: Iterable[str]) -> frozenset[str]:
    varied = (name for name, values in fields.items() if values is None or len(values) > 1)
    return frozenset(groups).union(varied)


def _dates(span: Span) -> int:
    return span[1] - span[0] + 1


_UNITS: Final = (*DATE_GROUPINGS, None)
_DAYS: Final = {"hour": 1 / 24, "day": 1, "month": 31, "year": 366}


def _days(item: tuple[Time, Span]) -> float:
    """Return how many days a range has at the most."""
    time, span = item
    if time.ends is None:
        return _dates(span) * _DAYS[time.unit or "day"]
    first, last = time.ends
    return float("inf") if first is None or last is None else (last - first).days + 1
