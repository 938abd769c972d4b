"""From queries to requests: families are found, packed into boxes, and each box is written as one query."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

import attrs

from fathom_async._bulk.fusing.answer import Asked, Fused
from fathom_async._bulk.fusing.bin import Bin, bins
from fathom_async._bulk.fusing.shape import QueryShape, shape_of
from fathom_async._bulk.fusing.texts import one_of
from fathom_async._core.codec.rows import RowT
from fathom_async._reports.fields import METRIC_KINDS, TEXT_PROPERTIES
from fathom_async._reports.filters import Filter
from fathom_async._reports.query import Query

if TYPE_CHECKING:
    from collections.abc import Hashable

    from fathom_async._core.codec.rows import Row
    from fathom_async._reports.fields import TextProperty


def fuse(queries: Sequence[Query[RowT]]) -> tuple[Fused[RowT], ...]:
    """Return few requests that together answer all queries, each of them exactly.

    The same queries in the same order give the same requests. Requests come in the order of the first query that
    they answer, and every position is answered by one of them.

    Args:
        queries: Any queries, of any sites, mixed.
    """
    fused: list[Fused[RowT]] = []
    asked_as: dict[QueryShape, Asked[RowT]] = {}
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


def _first_asked(member: tuple[Asked[RowT], QueryShape]) -> tuple[int, ...]:
    return member[0].positions


def _distinct(queries: Sequence[Query[RowT]]) -> list[Asked[RowT]]:
    """Return each query once.

    Queries are equal in any order of their columns; but where they leave the order of rows to the server, it may
    well be another for other columns.
    """
    positions: dict[Hashable, list[int]] = defaultdict(list)
    for position, query in enumerate(queries):
        positions[query.key(), query.columns].append(position)
    return [Asked(tuple(found), queries[found[0]]) for found in positions.values()]


def _alone(asked: Asked[RowT]) -> Fused[RowT]:
    return Fused(asked.query, (asked,), tuple(_repeats([asked])))


def _together(members: Sequence[tuple[Asked[RowT], QueryShape]], box: Bin) -> Fused[RowT]:
    varied, is_spread = box.varied, box.buckets is not None
    asked = tuple(
        attrs.evolve(
            each,
            values={name: shape.pins[name] for name in varied},
            buckets=shape.slot.buckets if is_spread else None,
        )
        for each, shape in members
    )
    return Fused(_request(asked, box), asked, tuple(_words(asked, box)))


def _request(asked: Sequence[Asked[RowT]], box: Bin) -> Query[RowT]:
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


def _words(asked: Sequence["Asked[Row]"], box: Bin) -> Iterator[str]:
    counted = {frozenset(each.query.aggregates) for each in asked}
    if len(counted) > 1:
        yield f"{len(frozenset[str]().union(*counted))} aggregates in one"
    for name in box.varied:
        yield f"{len(box.values[name])} {_plural(name)} in one"
    if buckets := box.buckets:
        is_dated = any(slot.is_dated for slot in box.slots)
        times = f"ranges by the {buckets.unit}" if is_dated else f"{buckets.unit}s"
        yield f"{len(box.slots)} {times} in one"
    if len(counted) == 1 and not box.varied and not box.buckets:
        yield f"{len(asked)} views of one answer"
    yield from _repeats(asked)


def _repeats(asked: Sequence["Asked[Row]"]) -> Iterator[str]:
    if repeats := sum(len(each.positions) - 1 for each in asked):
        yield f"{repeats} repeat{'s' if repeats > 1 else ''} left out"


def _plural(name: str) -> str:
    words = name.replace("_", " ")
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"
