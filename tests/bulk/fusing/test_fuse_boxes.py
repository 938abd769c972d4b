"""Into how few boxes queries are put, and in which way."""

import random
from collections.abc import Sequence
from functools import cache
from itertools import combinations
from math import inf

from fathom_async import Filter, PageviewQuery
from fathom_async._bulk.fusing import ServerKnowledge, fuse
from fathom_async._bulk.fusing.box import Box, Shape, shape_of
from fathom_async._bulk.fusing.fuse import boxes
from fathom_async._core.codec.rows import Row
from fathom_async._reports.query import Query
from tests.bulk.fusing.world import TOTAL, VISITS, during

DAILY = TOTAL.replace(date_grouping="day")
CHROME, PHONE = Filter("browser", "is", "Chrome"), Filter("device_type", "is", "Phone")


def top(name: str, query: PageviewQuery = TOTAL) -> PageviewQuery:
    return query.replace(field_grouping=[name], sort_by=f"{query.aggregates[0]}:desc", limit=5)


def plan(*queries: Query[Row]) -> list[set[int]]:
    """Return the positions of queries that are in one request."""
    return [{place for asked in each.asked for place in asked.positions} for each in fuse(queries)]


def test_figures_that_do_not_add_up_decide_which_groups_there_are() -> None:
    tops = top("browser"), top("device_type"), top("browser", VISITS), top("device_type", VISITS)
    assert plan(*tops) == [{0, 2}, {1, 3}], (
        "pageviews by themselves: all combinations in one, and two for visits"
    )


def test_what_adds_up_rides_along_where_it_takes_the_fewest_rows() -> None:
    countries, browsers = top("country_code", VISITS), top("browser", VISITS)
    assert plan(countries, browsers, TOTAL.replace(filters=[CHROME])) == [{0}, {1, 2}]
    assert plan(browsers, countries, TOTAL.replace(filters=[CHROME])) == [{0, 2}, {1}]


FILTERED = VISITS.replace(date_grouping="day", filters=[CHROME, PHONE])
EARLY, LATE = during("2023-01-01", "2023-01-31", FILTERED), during("2025-10-01", "2026-01-31", FILTERED)
"""Too far apart for one request."""
ONE, OTHER = (during(day, query=TOTAL.replace(filters=[CHROME])) for day in ("2023-01-31", "2025-10-20"))
"""As far as they can be for one request without groups, but not for one by the device."""


def test_a_box_is_given_up_if_others_take_all_of_its_queries() -> None:
    assert plan(ONE, OTHER) == [{0, 1}]
    assert plan(EARLY, LATE) == [{0}, {1}]
    assert plan(EARLY, LATE, ONE, OTHER) == [{0, 2}, {1, 3}]
    stray = during("2024-06-01", query=TOTAL.replace(filters=[CHROME]))
    assert plan(EARLY, LATE, ONE, OTHER, stray) == [{0}, {1}, {2, 3, 4}], "all or none"


COUNTS = {"country_code": 30, "browser": 12, "device_type": 3}
KNOWLEDGE = ServerKnowledge(counts={f"CDBUGS  {name}": (seen, inf) for name, seen in COUNTS.items()})


def some_shapes(chance: random.Random) -> Sequence[Shape]:
    """Up to seven queries of one subject, of which only some fit into one request."""
    days = chance.sample(["2023-01-05", "2025-01-01", "2025-01-30", "2025-03-01", "2026-01-01"], 3)
    found: list[Shape] = []
    for _ in range(7):
        names = chance.sample([*COUNTS], chance.choice([0, 1, 1, 2]))
        query = chance.choice([TOTAL, TOTAL, VISITS]).replace(
            filters=[
                Filter.from_dict({"property": name, "operator": "is", "value": chance.choice("AB")})
                for name in names
            ]
        )
        if chance.random() < 0.3:
            query = top(chance.choice([*COUNTS]), query)
        shape = shape_of(during(chance.choice(days), query=query))
        assert shape is not None
        found.append(shape)
    return found


def fewest(shapes: Sequence[Shape]) -> int:
    """Return the number of boxes of the best partition, after trying all."""

    @cache
    def box(some: tuple[Shape, ...]) -> Box | None:
        *others, last = some
        if not others:
            return Box.of(last, KNOWLEDGE)
        before = box(tuple(others))
        return before and before.joined(Box.of(last, KNOWLEDGE), KNOWLEDGE)

    @cache
    def best(left: tuple[Shape, ...]) -> int:
        if not left:
            return 0
        first, *others = left
        return 1 + min(
            best(tuple(each for each in others if each not in some))
            for size in range(len(others) + 1)
            for some in combinations(others, size)
            if box((first, *some)) is not None
        )

    return best(tuple(shapes))


def test_there_are_about_as_few_boxes_as_can_be() -> None:
    found = best = 0
    for seed in range(100):
        shapes = some_shapes(random.Random(seed))
        placed = boxes(shapes, KNOWLEDGE)
        assert sorted(map(id, (shape for box in placed for shape in box.shapes))) == sorted(map(id, shapes))
        found += len(placed)
        best += fewest(shapes)
    assert best <= found <= best * 1.01
