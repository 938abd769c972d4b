"""Whatever is asked of an answer, it says what the rules of `implication` say."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from random import Random
from zoneinfo import ZoneInfo

import pytest

from fathom_async import EventQuery, Filter, PageviewQuery, Report
from fathom_async._core.codec.rows import Row
from fathom_async._reports.calendar import Unit
from fathom_async._reports.fields import DateGrouping
from fathom_async._reports.implication import SourceAnswer, implies
from fathom_async._reports.query import AnyQuery
from tests.reports.naive_implication import Naive
from tests.support.soak import tries

pytestmark = pytest.mark.filterwarnings("ignore::fathom_async.UnsortedLimitWarning")

SOURCES, TARGETS = tries(500, soak=10_000), 12
RANGES: Sequence[tuple[str | None, str | None]] = [
    ("2025-10-31", "2025-11-02"),
    ("2025-10-31", "2025-11-01"),
    ("2025-11-01", "2025-11-02"),
    ("2025-11-02", "2025-11-02"),  # its first hour comes twice in Havana
    ("2025-11-01 01:00:00", "2025-11-02 12:59:59"),
    ("2025-11-01 01:30:00", "2025-11-02 12:29:59"),
    ("2025-10-01", "2025-11-30"),
    ("2025-11-01", "2025-11-30"),
    ("2025-01-01", "2025-12-31"),
    (None, "2025-11-01"),
    ("2025-11-01", "9999-12-31"),
    ("2025-11-01", None),
    (None, None),
]
ZONES = [None, ZoneInfo("UTC"), ZoneInfo("America/Havana")]
GROUPS = ("pathname", "browser")
TEXTS: dict[str, Sequence[str | None]] = {
    "pathname": ["/a", "/A", "/b", "/c", "/b%20", "", None],
    "browser": ["Chrome", "Firefox", "Opera", None],
}
PATTERNS = ["^(/a|/b)$", "^ ?(/[aA]|/[bB])[/ ]*$|.*[^ -$&-~].*", "/a"]
SUBJECTS: Sequence[AnyQuery] = [
    PageviewQuery("CDBUGS", aggregates=["pageviews"]),
    PageviewQuery("CDBUGS", aggregates=["pageviews"], timezone="America/Havana"),
    EventQuery("CDBUGS", "buy", aggregates=["value"]),
]
METRICS = {PageviewQuery: ["pageviews", "visits"], EventQuery: ["conversions", "value"]}
UNITS: Sequence[DateGrouping | None] = [None, "hour", "day", "month", "year"]


def some(random: Random, words: Sequence[str], least: int = 0) -> list[str]:
    return random.sample(words, random.randint(min(least, len(words)), len(words)))


def condition(random: Random, name: str, operator: str | None = None) -> Filter:
    if name == "pathname" and operator is None:
        operator = random.choice(["is", "is not", "matching", "matching", "matching"])
    operator = operator or random.choice(["is", "is", "is not"])
    value = random.choice(PATTERNS) if operator == "matching" else random.choice(TEXTS[name]) or ""
    return Filter.from_dict({"property": name, "operator": operator, "value": value})


def different(conditions: Iterable[Filter]) -> list[Filter]:
    return [*dict.fromkeys(conditions)]


def order(random: Random, groups: Sequence[str], metrics: Sequence[str], unit: object) -> str | None:
    columns = [*metrics, *groups, *(["timestamp"] if unit else [])]
    return random.choice([None, *[f"{random.choice(columns)}:{random.choice(['asc', 'desc'])}"] * 3])


def source(random: Random) -> AnyQuery:
    plain = random.choice(SUBJECTS)
    groups, metrics = some(random, GROUPS), some(random, METRICS[type(plain)], 1)
    unit, (first, last) = random.choice([*UNITS, "day"]), random.choice(RANGES)
    arguments: dict[str, object] = {
        "aggregates": metrics,
        "field_grouping": groups,
        "date_grouping": unit,
        "date_from": first,
        "date_to": last,
        "filters": different(
            condition(random, random.choice(GROUPS)) for _ in range(random.choice([0, 0, 0, 1, 2]))
        ),
        "sort_by": order(random, groups, metrics, unit),
        "limit": random.choice([None, None, 2, 4, 6]),
    }
    return plain.replace(**arguments)


def target(random: Random, query: AnyQuery) -> AnyQuery:
    """A query that differs from another one in some ways, most of which the rules allow."""
    metrics = some(random, query.aggregates, random.choice([1, 2]))
    groups, unit = some(random, query.field_grouping), query.date_grouping
    changes: dict[str, object] = {"aggregates": metrics, "field_grouping": groups}
    if random.random() < 0.4:
        unit = changes["date_grouping"] = random.choice(UNITS)
    if random.random() < 0.3:
        changes["date_from"], changes["date_to"] = random.choice(RANGES)
    kept = [each for each in query.filters if random.random() < 0.9]
    more = [condition(random, name, "is") for name in query.field_grouping if random.random() < 0.4]
    if random.random() < 0.05:
        more.append(condition(random, random.choice(GROUPS)))
    changes["filters"] = different([*kept, *more])
    orders = [order(random, groups, metrics, unit)]
    if query.sort_by and query.sort_by.partition(":")[0] in [*groups, *metrics]:
        orders.append(query.sort_by)
    changes["sort_by"] = random.choice(orders)
    changes["limit"] = random.choice([None, query.limit, 1, 2, 3])
    if random.random() < 0.05:
        changes["timezone"] = "UTC"
    if random.random() < 0.02:
        changes["site_id"] = "OTHER"
    return query.replace(**changes)


def report(random: Random, query: AnyQuery) -> Report[Row]:
    """An answer to a query: few rows, most of them with labels of their own."""
    rows: dict[tuple[object, ...], Row] = {}
    for _ in range(random.choice([0, 1, 3, 3, 6, 9])):
        labels: list[object] = [random.choice(TEXTS[name]) for name in query.field_grouping]
        if query.date_grouping:
            unit = Unit(query.date_grouping)
            labels.insert(0, unit.value(unit.index(moment(random, query))))
        values = [random.choice([None, *range(1, 30)]) for _ in query.aggregates]
        rows[(*labels,)] = query.codec.row(*labels, *values)
    found = random.sample([*rows.values()], len(rows))
    if random.random() < 0.05:
        found += found[:1]
    return Report(query, tuple(found[: query.effective_limit]))


def moment(random: Random, query: AnyQuery) -> date:
    begin, end = datetime(2025, 9, 1), datetime(2025, 12, 31)  # noqa: DTZ001 - wall clocks
    first, last = query.date_from or begin, min(query.date_to or end, end)
    return first + (last - first) * random.random()


def test_every_answer_is_the_one_that_the_rules_say() -> None:
    told = Counter[str]()
    for seed in range(SOURCES):
        random = Random(seed)
        known = source(random)
        answer, zone = report(random, known), random.choice(ZONES)
        exact = random.choice([[], [], ["pathname"]])
        found = SourceAnswer(answer, zone=zone, exact=exact)
        for _ in range(TARGETS):
            asked = target(random, known)
            naive, case = Naive(known, asked, zone, exact), (answer.to_dicts(), known, asked)
            for is_cut in (False, True):
                is_implied = implies(known, asked, zone=zone, is_truncated=is_cut)
                assert is_implied == naive.is_implied(is_truncated=is_cut), case
            expected, derived = naive.derived(answer), found.derive(asked)
            assert (derived is None) == (expected is None), case
            if derived is None or expected is None:
                continue
            rows, is_truncated = expected
            assert derived.rows == tuple(asked.codec.row(*map(row.get, asked.columns)) for row in rows), case
            assert (derived.query, derived.truncated) == (asked, is_truncated), case
            told["summed" if naive.is_summed() else "truncated" if is_truncated else "whole"] += bool(rows)
    assert min(told["summed"], told["truncated"], told["whole"]) > SOURCES / 4, told
