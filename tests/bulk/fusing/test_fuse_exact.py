"""What is split off a fused answer is what the query alone gets, over many small tables."""

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Final, cast
from zoneinfo import ZoneInfo

import pytest

from fathom_async import EventQuery, Filter, PageviewQuery
from fathom_async._bulk.fusing import ServerKnowledge, fuse
from fathom_async._core.codec.rows import Row
from fathom_async._reports.fields import FIELD_GROUPINGS
from fathom_async._reports.query import AnyQuery
from fathom_async._reports.report import Report
from tests.bulk.fusing.table import Record, Table
from tests.bulk.fusing.world import BEGIN, EVENTS, HAVANA, PAGEVIEWS

pytestmark = pytest.mark.filterwarnings("ignore::fathom_async.UnsortedLimitWarning")

SITE_ZONE: Final = ZoneInfo(HAVANA)
VALUES: Final[dict[str, Sequence[str]]] = {
    "pathname": ("/", "/a", "/A", "/b ", "/a.b", "/ü", "(x|y)"),
    "browser": ("Chrome", "chrome", "Firefox"),
    "country_code": ("US", "DE"),
}
RANGES: Final = (
    *(("2025-11-01", "2025-11-01"), ("2025-11-02", "2025-11-02"), ("2025-11-03", "2025-11-03")),
    *(("2025-10-30", "2025-11-01"), ("2025-11-01", "2025-11-03"), ("2025-10-01", "2025-10-31")),
    *(("2025-11-01 13:00:00", "2025-11-01 13:59:59"), ("2025-11-02 00:00:00", "2025-11-02 00:59:59")),
    *(("2025-11-01 14:00:00", "2025-11-01 15:59:59"), ("2025-11-01 13:30:00", "2025-11-03 01:29:59")),
    *((None, "2025-11-03"), ("2025-10-31", None), (None, None)),
)
BREAKDOWNS: Final = ((), (), (), ("pathname",), ("browser",), ("browser", "country_code"))
UNITS: Final = (None, None, None, None, "day", "day", "month", "year")


def a_table(chance: random.Random) -> Sequence[Record]:
    """Records of a week in which a month ends, and in which one midnight comes twice."""
    return [
        Record(
            at=BEGIN + timedelta(minutes=chance.randrange(6 * 24 * 60)),
            visitor=chance.choice("abcd"),
            number=chance.choice([None, 0, 1, 20, 300]),
            fields={name: chance.choice((*values, None)) for name, values in VALUES.items()},
        )
        for _ in range(chance.choice([5, 60]))
    ]


def a_workload(chance: random.Random) -> Sequence[AnyQuery]:
    """Queries that differ in one or two respects, so that many can be fused."""
    zone = chance.choice([None, None, None, "America/New_York"])
    asked: list[AnyQuery] = []
    for _ in range(chance.choice([1, 1, 2])):
        base: AnyQuery = PageviewQuery("CDBUGS", aggregates=["pageviews"], timezone=zone)
        if chance.random() < 0.3:
            base = EventQuery("CDBUGS", "buy", aggregates=["value"], timezone=zone)
        shared = {name: each(base, chance) for name, each in RESPECTS.items()}
        varied = chance.sample([*RESPECTS], chance.choice([1, 2]))
        for _ in range(chance.randint(2, 9)):
            changes = shared | {name: RESPECTS[name](base, chance) for name in varied}
            first, last = cast("tuple[str, str]", changes.pop("range"))
            asked.append(ordered(base.replace(date_from=first, date_to=last, **changes), chance))
    return asked


def some_metrics(base: AnyQuery, chance: random.Random) -> Sequence[str]:
    """Mostly one that adds up."""
    names = PAGEVIEWS if isinstance(base, PageviewQuery) else EVENTS
    return base.aggregates if chance.random() < 0.5 else chance.sample(names, chance.choice([1, 2]))


def some_filters(_: AnyQuery, chance: random.Random) -> Sequence[Filter]:
    names = chance.choice([[], ["pathname"], ["pathname"], ["browser"], ["pathname", "browser"]])
    operators = {name: "is not" if chance.random() < 0.1 else "is" for name in names}
    return [
        Filter.from_dict(
            {"property": name, "operator": operators[name], "value": chance.choice(VALUES[name])}
        )
        for name in names
    ]


RESPECTS: Final[dict[str, Callable[[AnyQuery, random.Random], object]]] = {
    "aggregates": some_metrics,
    "filters": some_filters,
    "field_grouping": lambda _, chance: chance.choice(BREAKDOWNS),
    "date_grouping": lambda _, chance: chance.choice(UNITS),
    "range": lambda _, chance: chance.choice(RANGES),
}


def ordered(query: AnyQuery, chance: random.Random) -> AnyQuery:
    """Return the query with an order of its rows, and sometimes with a limit."""
    columns = [
        *query.aggregates,
        *query.field_grouping * 2,
        *(["timestamp"] * 2 if query.date_grouping else []),
    ]
    is_sorted = bool(query.field_grouping) or chance.random() < 0.3
    sort_by = f"{chance.choice(columns)}:{chance.choice(['asc', 'desc'])}" if is_sorted else None
    return query.replace(sort_by=sort_by, limit=chance.choice([None, None, None, 1, 2, 5]))


def checked(
    queries: Sequence[AnyQuery], knowledge: ServerKnowledge, servers: Sequence[Table]
) -> Iterator[Report[Row] | None]:
    """Yield the parts of all fused answers, after comparing each with what the server answers to it alone.

    The servers are the same but for the order of rows that a query leaves open.
    """
    plan = fuse(queries, knowledge)
    answered = sorted(position for each in plan for asked in each.asked for position in asked.positions)
    assert answered == [*range(len(queries))], "every position once"
    for group in plan:
        answer = servers[0].answer(group.query)
        parts = group.split(answer, knowledge)
        for asked, part in zip(group.asked, parts, strict=True):
            assert all(queries[position] == asked.query for position in asked.positions)
            if part is not None and asked.query == group.query:
                assert part.query is asked.query
                assert part.to_dicts() == answer.to_dicts()
            elif part is not None:
                for server in servers:
                    alone = server.answer(asked.query)
                    assert (part, part.columns) == (alone, alone.columns), (group, asked.query)
        yield from parts


KNOWN: Final = {"CDBUGS": SITE_ZONE}


@pytest.mark.parametrize(
    ("is_known", "is_forgiving", "zones"),
    [
        pytest.param(True, False, KNOWN, id="a server that is known to compare exactly"),
        pytest.param(False, False, KNOWN, id="one that does so"),
        pytest.param(False, True, KNOWN, id="one that does not"),
        pytest.param(False, True, {}, id="one of no known time zone"),
    ],
)
def test_a_part_is_what_the_query_alone_gets(
    is_known: bool, is_forgiving: bool, zones: dict[str, ZoneInfo]
) -> None:
    asked = requests = told = 0
    for seed in range(100):
        chance = random.Random(seed)
        records, queries = a_table(chance), a_workload(chance)
        servers = [Table(records, SITE_ZONE, is_forgiving, fold=seed % 2, seed=order) for order in (1, 2)]
        knowledge = ServerKnowledge(exact=dict.fromkeys(FIELD_GROUPINGS, is_known), zones=zones)
        parts = [*checked(queries, knowledge, servers)]
        asked += len(parts)
        requests += len(fuse(queries, knowledge))
        told += len(parts) - parts.count(None)
    assert requests < asked * 0.7
    assert told > asked * 0.95
