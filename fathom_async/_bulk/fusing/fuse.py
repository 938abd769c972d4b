"""Fuse queries into requests: find boxes that hold many queries, write each as one query, and split its answer."""

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from math import inf, prod
from operator import attrgetter
from typing import Final, Generic, Self, cast

import attrs

from fathom_async._bulk.fusing.box import Box, Shape, shape_of
from fathom_async._bulk.fusing.knowledge import ServerKnowledge
from fathom_async._bulk.fusing.texts import one_of
from fathom_async._core.codec.rows import Row, RowT, RowT_co
from fathom_async._reports.calendar import count_periods
from fathom_async._reports.fields import MAX_ROWS, METRIC_KINDS, TextProperty
from fathom_async._reports.filters import Filter
from fathom_async._reports.implication import SourceAnswer, implies
from fathom_async._reports.query import Query
from fathom_async._reports.report import Report
from fathom_async._util.text import counted
from fathom_async.errors import ArgumentError

_TRIED: Final = 64
"""Boxes of a subject that a further one is compared with, so that the effort stays near-linear."""


@attrs.frozen
class Member(Generic[RowT_co]):
    """One of the queries that a request answers, and its positions in the order given, as often as it was asked."""

    positions: tuple[int, ...]
    query: Query[RowT_co]


@attrs.frozen
class Fused(Generic[RowT_co]):
    """One request, and the queries that it answers.

    `query` is what to send: the query itself, where there is only one. `asked` has the queries in the order asked,
    and `how` what was put together, in words such as ``12 pathnames in one``. `open_fields` are the properties that
    it groups by without a filter on them. `days` of its range and `pattern_length`, the characters of its patterns in
    the URL, are upper bounds.
    """

    query: Query[RowT_co]
    asked: tuple[Member[RowT_co], ...]
    how: tuple[str, ...] = ()
    open_fields: frozenset[str] = frozenset()
    days: float = 0.0
    pattern_length: int = 0

    @classmethod
    def of(cls, query: Query[RowT]) -> "Fused[RowT]":
        """Return the request of a query by itself."""
        return Fused(query, (Member((0,), query),))

    def only(self, queries: Collection[Query[Row]]) -> Self:
        """Return the same request for some of its queries."""
        return attrs.evolve(self, asked=tuple(each for each in self.asked if each.query in queries))

    def split(self, report: Report[Row], knowledge: ServerKnowledge) -> Sequence[Report[RowT_co] | None]:
        """Return the reports that the queries asked, in their order, would have had by themselves.

        None stands for those that the answer does not tell, because it was cut off, or two rows are equal where an
        order must tell them apart, or a text looks like another.
        """
        if report.query != self.query:
            raise ArgumentError(f"this is no answer to {self.query!r}, but to {report.query!r}")
        if len(self.asked) == 1 and self.asked[0].query == self.query:
            return [cast("Report[RowT_co]", report)]
        zone = knowledge.zones.get(self.query.site_id)
        answer = SourceAnswer(cast("Report[RowT_co]", report), zone=zone, exact=knowledge.trusted())
        return [answer.derive(asked.query) for asked in self.asked]


def doubted(
    group: Fused[RowT], report: Report[RowT], left: Sequence[Query[RowT]], knowledge: ServerKnowledge
) -> Sequence[str]:
    """Return the properties of which a check would help to tell the queries `left` from an answer."""
    names = [name for name in group.query.field_grouping if name not in knowledge.exact]
    if report.truncated:
        return [each.property for each in group.query.filters if each.property in names]
    exact = knowledge.trusted().union(names)
    zone = knowledge.zones.get(group.query.site_id)
    answer = SourceAnswer(report, zone=zone, exact=exact)
    told = [query for query in left if answer.derive(query) is not None]
    return [
        name
        for name in names
        if any(SourceAnswer(report, zone=zone, exact=exact - {name}).derive(query) is None for query in told)
    ]


def apart(queries: Sequence[Query[RowT]]) -> Sequence[Fused[RowT]]:
    """Return the requests that answer queries as they were asked, with all metrics of the same table in one."""
    tables: dict[Hashable, list[Query[RowT]]] = defaultdict(list)
    for query in dict.fromkeys(queries):
        shape = shape_of(query)
        is_table = shape is not None and not shape.is_top
        key = query.site_id, query.date_from, query.date_to, query.date_grouping, query.sort_by
        same = (shape and shape.subject, *key, frozenset(query.filters), frozenset(query.field_grouping))
        tables[same if is_table else query].append(query)
    return [group for table in tables.values() for group in fuse(table)]


def fuse(queries: Sequence[Query[RowT]], knowledge: ServerKnowledge | None = None) -> tuple[Fused[RowT], ...]:
    """Return few requests that together answer all queries, each of them exactly.

    The same queries in the same order give the same requests. Requests come in the order of the first query that they
    answer, and every position is answered by one of them.
    """
    known = knowledge or ServerKnowledge()
    shapes_of = {
        asked: shape_of(asked.query, known.zones.get(asked.query.site_id)) for asked in _distinct(queries)
    }
    hosts = _hosts(shapes_of, known)
    guests = set(chain.from_iterable(hosts.values()))
    asked_as = {
        shape: asked for asked, shape in shapes_of.items() if shape is not None and asked not in guests
    }
    subjects: dict[Hashable, list[Shape]] = defaultdict(list)
    for shape in asked_as:
        subjects[shape.subject].append(shape)
    fused = [_hosted(host, contained) for host, contained in hosts.items()]
    for shapes in subjects.values():
        for box in boxes(shapes, known):
            fused += _together(box, asked_as, known)
    return tuple(sorted(fused, key=lambda each: each.asked[0].positions))


def _distinct(queries: Sequence[Query[RowT]]) -> list[Member[RowT]]:
    """Return each query once.

    Queries are equal in any order of their columns; but where they leave the order of rows to the server, it may
    well be another for other columns.
    """
    positions: dict[Hashable, list[int]] = defaultdict(list)
    for position, query in enumerate(queries):
        positions[query.key(), query.columns].append(position)
    return [Member(tuple(found), queries[found[0]]) for found in positions.values()]


def _hosts(
    shapes_of: Mapping[Member[RowT], Shape | None], knowledge: ServerKnowledge
) -> Mapping[Member[RowT], Sequence[Member[RowT]]]:
    """Return the queries that are asked as they are, which have no shape, with those that their answers contain."""
    hosts: dict[Member[RowT], list[Member[RowT]]] = {
        asked: [] for asked, shape in shapes_of.items() if shape is None
    }
    roomy: dict[str, list[Member[RowT]]] = defaultdict(list)
    for asked in hosts:
        if _is_roomy(asked.query, knowledge):
            roomy[asked.query.site_id].append(asked)
    for asked in (*list(hosts), *(asked for asked, shape in shapes_of.items() if shape is not None)):
        near = (host for host in roomy.get(asked.query.site_id, ()) if host is not asked)
        zone = knowledge.zones.get(asked.query.site_id)
        host = next(
            (host for host in islice(near, _TRIED) if implies(host.query, asked.query, zone=zone)), None
        )
        if host is None:
            continue
        hosts[host] += [asked, *hosts.pop(asked, ())]
        if asked in roomy[asked.query.site_id]:
            roomy[asked.query.site_id].remove(asked)
    return hosts


def _is_roomy(query: Query[Row], knowledge: ServerKnowledge) -> bool:
    """Whether the answer to a query that is asked as it is may well be complete."""
    values = prod(knowledge.count(query, name, inf) for name in query.field_grouping)
    dates = count_periods(query.date_grouping, query.date_from, query.date_to) if query.date_grouping else 1
    return query.limit is None and dates is not None and values * dates < MAX_ROWS


def _hosted(host: Member[RowT], guests: Sequence[Member[RowT]]) -> Fused[RowT]:
    """Return the request of a query that no other may widen, with those that its answer contains."""
    how = (f"{len(guests)} contained in another",) if guests else ()
    asked = tuple(sorted((host, *guests), key=attrgetter("positions")))
    return Fused(host.query, asked, (*how, *_repeats(asked)))


def boxes(shapes: Sequence[Shape], knowledge: ServerKnowledge) -> Sequence[Box]:
    """Return few boxes that hold all queries of a subject.

    1. Queries of the same kind fill boxes, one after the other, in a few orders; the best one counts.
    2. Boxes are put together where one can hold the queries of two: those with the most groups first, each into the
       one that grows least.
    3. A box is given up if others can take all of its queries.
    """
    failed = set[tuple[Box, Box]]()

    def join(box: Box, other: Box) -> Box | None:
        wider = None if (box, other) in failed else box.joined(other, knowledge)
        if wider is None:
            failed.add((box, other))
        return wider

    lines: dict[Hashable, list[Shape]] = defaultdict(list)
    single = {shape: Box.of(shape, knowledge) for shape in shapes}
    for shape in shapes:
        lines[frozenset(shape.fixed), shape.groups, shape.order, shape.natural].append(shape)
    ways = (
        (_in_turn(map(single.__getitem__, order), join) for order in _orders(line)) for line in lines.values()
    )
    filled = [box for tried in ways for box in _fewest(tried)]
    return _emptied(_put_together(filled, join), single, join)


def _fewest(tried: Iterator[Sequence[Box]]) -> Sequence[Box]:
    """Return the first of the shortest.

    After one of two boxes, none is tried: if one box held all, it would in any order.
    """
    best = next(tried)
    while len(best) > 2 and (found := next(tried, None)) is not None:  # noqa: PLR2004
        best = min(best, found, key=len)
    return best


_Join = Callable[[Box, Box], Box | None]


def _in_turn(boxes: Iterable[Box], join: _Join) -> Sequence[Box]:
    found: list[Box] = []
    for box in boxes:
        wider = join(found[-1], box) if found else None
        if wider is None:
            found.append(box)
        else:
            found[-1] = wider
    return found


def _orders(line: Sequence[Shape]) -> Iterator[Sequence[Shape]]:
    """Yield the queries by each property or the time first, and the others behind it, in either direction."""
    names = ["", *sorted(line[0].fixed)]
    for turn in range(len(names)):
        turned = names[turn:] + names[:turn]
        for order in dict.fromkeys((tuple(turned), (turned[0], *reversed(turned[1:])))):
            yield sorted(line, key=lambda shape: [_place(shape, name) for name in order])


def _place(shape: Shape, name: str) -> tuple[int, int] | str:
    return shape.fixed[name] if name else shape.times[shape.natural]


def _put_together(filled: Sequence[Box], join: _Join) -> list[Box]:
    """Put boxes into others, those with the most groups first, since others fit into them.

    Of as many groups, the fewest come first: long breakdowns are the least likely to fit in, or to be without ties.
    """
    placed: list[Box] = []
    for box in sorted(filled, key=lambda box: (-len(box.groups), box.rows)):
        found: list[tuple[int, int, Box]] = []
        for place in range(max(0, len(placed) - _TRIED), len(placed)):
            wider = join(placed[place], box)
            if wider is not None:
                found.append((wider.rows - placed[place].rows, place, wider))
        if found:
            _, place, wider = min(found)  # of as little growth, the first
            placed[place] = wider
        else:
            placed.append(box)
    return placed


def _emptied(placed: list[Box], single: Mapping[Shape, Box], join: _Join) -> Sequence[Box]:
    """Give up boxes whose queries others can take, the smallest first."""
    for box in sorted(placed, key=lambda box: len(box.shapes))[:_TRIED]:
        if box.allowed is not None or box not in placed:  # meanwhile it has taken queries of another
            continue
        others = [each for each in placed if each is not box]
        for shape in box.shapes:
            taken = ((place, join(each, single[shape])) for place, each in enumerate(others[:_TRIED]))
            found = next(((place, wider) for place, wider in taken if wider), None)
            if found is None:
                break
            others[found[0]] = found[1]
        else:
            placed = others
    return placed


def _together(
    box: Box, asked_as: dict[Shape, Member[RowT]], knowledge: ServerKnowledge
) -> Iterator[Fused[RowT]]:
    """Yield the request of a box, and those of the queries that its answer does not contain after all."""
    members = sorted((asked_as[shape] for shape in box.shapes), key=attrgetter("positions"))
    if len(members) == 1:
        yield _hosted(members[0], ())
        return
    query = _request(members, box, knowledge)
    zone = knowledge.zones.get(query.site_id)
    strays = [each for each in members if not implies(query, each.query, zone=zone)]
    yield from (_hosted(stray, ()) for stray in strays)
    kept = tuple(each for each in members if each not in strays)
    if len(kept) == 1:
        yield _hosted(kept[0], ())
    elif kept:
        open_fields = box.grouped.difference(box.restricted())
        yield Fused(query, kept, tuple(_words(kept, box)), open_fields, box.days, box.pattern_length)


def _request(asked: Sequence[Member[RowT]], box: Box, knowledge: ServerKnowledge) -> Query[RowT]:
    first, (time, _) = asked[0].query, box.time
    queries = [each.query for each in asked]
    counted = {name for query in queries for name in query.aggregates}
    shown = (name for query in queries for name in query.field_grouping)
    date_from, date_to = box.ends
    changes: dict[str, object] = {
        "aggregates": [name for name in METRIC_KINDS if name in counted],
        "field_grouping": list(dict.fromkeys((*shown, *sorted(box.grouped)))),
        "filters": list(dict.fromkeys((*sorted(box.shapes[0].others), *_restrictions(box, knowledge)))),
        "sort_by": box.order,
        "limit": None,
        "date_grouping": time.unit,
        "date_from": date_from,
        "date_to": date_to,
    }
    if limit := _common_limit(queries):
        changes |= {"sort_by": first.sort_by, "limit": limit}
    return first.replace(**changes)


def _restrictions(box: Box, knowledge: ServerKnowledge) -> Iterator[Filter]:
    for name, values in box.restricted().items():
        text: TextProperty = name  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
        if len(values) == 1:
            yield Filter(text, "is", next(iter(values)))
        else:
            yield Filter(text, "matching", one_of(values, is_exact=name in knowledge.trusted()))


def _common_limit(queries: Sequence[Query[Row]]) -> int | None:
    """Return the highest limit and one more, if all queries have one, and cut the same rows in the same order.

    The row beyond tells whether the last one is tied.
    """
    limits = [query.limit for query in queries if query.limit is not None]
    tables = {
        (
            each.date_from,
            each.date_to,
            each.date_grouping,
            each.field_grouping,
            each.sort_by,
            frozenset(each.filters),
        )
        for each in queries
    }
    return min(max(limits) + 1, MAX_ROWS) if len(limits) == len(queries) and len(tables) == 1 else None


def _words(asked: Sequence["Member[Row]"], box: Box) -> Iterator[str]:
    return chain(list(_differences(asked, box)) or [f"{len(asked)} views of one answer"], _repeats(asked))


def _differences(asked: Sequence["Member[Row]"], box: Box) -> Iterator[str]:
    counted = {frozenset(each.query.aggregates) for each in asked}
    if len(counted) > 1:
        yield f"{len(frozenset[str]().union(*counted))} metrics together"
    for name in sorted(box.fields.keys() - box.groups):
        values = box.fields[name]
        if values is None:
            yield f"values of {name} as groups"
        elif len(values) > 1:
            yield f"{len(values)} {_plural(name)} as groups"
    if len({frozenset(each.query.field_grouping) for each in asked}) > 1 and len(box.groups) > 1:
        yield f"breakdowns as sums of {' x '.join(sorted(box.groups))}"
    ranges = {(each.query.date_from, each.query.date_to, each.query.date_grouping) for each in asked}
    if len(ranges) > 1:
        yield f"{len(ranges)} ranges from figures by the {box.time[0].unit}"


def _repeats(asked: Sequence["Member[Row]"]) -> Iterator[str]:
    if repeats := sum(len(each.positions) - 1 for each in asked):
        yield f"{counted(repeats, 'repeat')} left out"


def _plural(name: str) -> str:
    words = name.replace("_", " ")
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"
