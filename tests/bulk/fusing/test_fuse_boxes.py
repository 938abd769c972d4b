"""Into how few boxes queries are put, and in which way."""

import random
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from functools import cache
from itertools import chain, combinations
from math import inf

from fathom_async import Filter, PageviewQuery
from fathom_async._bulk.fusing import ServerKnowledge, fuse
from fathom_async._bulk.fusing.box import Box, Shape, shape_of
from fathom_async._bulk.fusing.fuse import boxes
from fathom_async._core.codec.rows import Row
from fathom_async._reports.query import Query
from tests.bulk.fusing.world import TOTAL, VISITS, during

CHROME, PHONE = Filter("browser", "is", "Chrome"), Filter("device_type", "is", "Phone")


def top(name: str, query: PageviewQuery = TOTAL) -> PageviewQuery:
    return query.replace(field_grouping=[name], sort_by=f"{query.aggregates[0]}:desc", limit=5)


def fixing(name: str, value: str, query: PageviewQuery = TOTAL) -> PageviewQuery:
    return query.replace(
        filters=[*query.filters, Filter.from_dict({"property": name, "operator": "is", "value": value})]
    )


def plan(*queries: Query[Row]) -> list[set[int]]:
    """Return the positions of queries that are in one request, each of which is in one only."""
    found = [[place for asked in each.asked for place in asked.positions] for each in fuse(queries)]
    assert sorted(chain.from_iterable(found)) == [*range(len(queries))]
    return [set(each) for each in found]


def test_figures_that_do_not_add_up_decide_which_groups_there_are() -> None:
    tops = top("browser"), top("device_type"), top("browser", VISITS), top("device_type", VISITS)
    assert plan(*tops) == [{0, 2}, {1, 3}], (
        "pageviews by themselves: all combinations in one, and two for visits"
    )


def test_what_adds_up_rides_along_where_it_adds_the_fewest_rows() -> None:
    countries, browsers = top("country_code", VISITS), top("browser", VISITS)
    assert plan(countries, browsers, fixing("browser", "Chrome")) == [{0}, {1, 2}]
    assert plan(browsers, countries, fixing("browser", "Chrome")) == [{0, 2}, {1}]
    assert plan(browsers, countries, fixing("country_code", "DE")) == [{0}, {1, 2}]
    of_germany = top("browser", fixing("country_code", "DE", VISITS))
    assert plan(countries, of_germany, fixing("country_code", "FR")) == [{0, 2}, {1}], (
        "none, to the longer one"
    )


def test_short_breakdowns_are_put_together_rather_than_long_ones() -> None:
    device_types, browsers, regions = (top(name) for name in ("device_type", "browser", "region"))
    assert plan(device_types, regions) == plan(browsers, regions) == [{0, 1}], "any two would do"
    assert plan(device_types, browsers, regions) == [{0, 1}, {2}]
    assert plan(regions, browsers, device_types) == [{0}, {1, 2}]


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


def test_a_box_that_has_taken_queries_of_another_is_not_given_up() -> None:
    countries = top("country_code")
    first, last = "2025-01-01", "2025-03-01"
    assert plan(
        during(last, query=top("device_type")),
        during(first, query=fixing("country_code", "DE")),
        during(last, query=fixing("device_type", "Phone")),
        during(last, query=fixing("country_code", "FR", fixing("device_type", "Tablet", countries))),
        during(first, query=fixing("country_code", "FR", countries)),
    ) == [{0, 2, 3}, {1, 4}]


COUNTS = {"country_code": 30, "browser": 12, "device_type": 3}
KNOWLEDGE = ServerKnowledge(counts={f"CDBUGS  {name}": (seen, inf) for name, seen in COUNTS.items()})


def some_queries(chance: random.Random) -> Iterator[PageviewQuery]:
    """Yield queries of which only some fit into one request: of any kind, or of one kind."""
    if chance.random() < 0.5:
        days = chance.sample(["2023-01-05", "2025-01-01", "2025-01-30", "2025-03-01", "2026-01-01"], 3)
        for _ in range(7):
            query = chance.choice([TOTAL, TOTAL, VISITS])
            for name in chance.sample([*COUNTS], chance.choice([0, 1, 1, 2])):
                query = fixing(name, chance.choice("AB"), query)
            is_top = chance.random() < 0.3
            yield during(chance.choice(days), query=top(chance.choice([*COUNTS]), query) if is_top else query)
    else:
        names = chance.sample([*COUNTS], chance.choice([1, 2]))
        for _ in range(7):
            query = VISITS
            for name in names:
                query = fixing(name, chance.choice("ABC"), query)
            yield during(
                str(date(2026, 1, 1) + timedelta(days=chance.choice([0, 9, 20, 60, 300]))), query=query
            )


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
        shapes = [shape for each in some_queries(random.Random(seed)) if (shape := shape_of(each))]
        placed = boxes(shapes, KNOWLEDGE)
        assert sorted(map(id, (each for box in placed for each in box.shapes))) == sorted(map(id, shapes))
        found += len(placed)
        best += fewest(shapes)
    assert best <= found <= best + 2
