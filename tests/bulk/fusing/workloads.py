"""Random queries that have much in common, and records for them to count."""

import random
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, cast

from fathom_async import EventQuery, Filter, PageviewQuery
from fathom_async._reports.query import AnyQuery
from tests.bulk.fusing.table import Record
from tests.bulk.fusing.world import BEGIN, EVENTS, PAGEVIEWS

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
    *(
        ("2025-10-01 05:00:00", "2025-10-01 05:59:59"),
        ("2023-01-01", "2023-12-31"),
        ("2020-01-01", "2020-01-01"),
    ),
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
