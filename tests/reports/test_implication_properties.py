"""Derived answers are those of the server, and of a plain loop: any pair of queries over small worlds."""

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom_async import EventQuery, Filter, PageviewQuery, Report
from fathom_async._bulk.fusing.texts import one_of
from fathom_async._core.codec.rows import Row
from fathom_async._reports.implication import SourceAnswer, implies
from fathom_async._reports.query import AnyQuery
from fathom_async.testing import Dataset
from fathom_async.testing._account_state import AccountState
from fathom_async.testing._aggregation import read_aggregation, read_subject
from fathom_async.testing._clock import ServerClock
from fathom_async.testing._dialect import Difference, without
from tests.bulk.fusing.world import BROWSERS, DATASETS, EVENTS, HAVANA, PAGEVIEWS, TEXTS, ZONE
from tests.support.evaluation import evaluate
from tests.support.soak import tries

pytestmark = pytest.mark.filterwarnings("ignore::fathom_async.UnsortedLimitWarning")

PERIODS: list[tuple[str | None, str]] = [
    *((f"2025-{day}", f"2025-{day}") for day in ("10-30", "10-31", "11-01", "11-02", "11-03")),
    *((f"2025-11-{hour}:00:00", f"2025-11-{hour}:59:59") for hour in ("01 13", "02 00", "02 01", "02 02")),
    ("2025-10-31", "2025-11-02"),
    ("2025-10-30", "2025-11-03"),
    ("2025-10-30 12:00:00", "2025-11-02 14:59:59"),
    ("2025-11-01 13:00:00", "2025-11-02 01:59:59"),
    (None, "2025-11-03"),
]
LONG_PERIODS: list[tuple[str | None, str]] = [
    ("2025-10-01", "2025-10-31"),
    ("2025-11-01", "2025-11-30"),
    ("2025-01-01", "2025-12-31"),
]
GROUPS = ("pathname", "browser", "country_code", "hostname")
VALUES = {"pathname": TEXTS, "browser": BROWSERS, "country_code": ("US", "DE", "FR"), "hostname": ("x.com",)}


class World:
    """The server's answers, without its HTTP."""

    def __init__(self, data: Dataset) -> None:
        self._data = data
        self._clock = ServerClock(start=datetime(2025, 12, 24, tzinfo=UTC))
        self._account = AccountState(data, self._clock, 7)
        self._answers: dict[AnyQuery, Report[Row]] = {}

    def answer(self, query: AnyQuery) -> Report[Row]:
        if query not in self._answers:
            self._answers[query] = query.read(json.dumps(self._rows(query)).encode())
        return Report(query, query.read(self._answers[query].to_json()).rows)

    def _rows(self, query: AnyQuery) -> Sequence[object]:
        params, engine = query.params(), self._data.query_engine
        subject = read_subject(params, self._account, by_id=True)
        wanted = read_aggregation(
            params, subject, site_timezone=ZONE, clock=self._clock, first_record=engine.first_record
        )
        return engine.report(wanted, 7)


def some(chance: random.Random, words: Sequence[str], least: int = 1, most: int = 3) -> list[str]:
    return chance.sample(words, chance.randint(least, min(most, len(words))))


def filters(chance: random.Random, names: Sequence[str]) -> list[Filter]:
    found: list[Filter] = []
    for name in names:
        fixed = {"property": name, "operator": "is", "value": chance.choice(VALUES[name])}
        found.append(Filter.from_dict(fixed))
    return found


def source(chance: random.Random) -> AnyQuery:
    """A query that may contain many others."""
    is_event = chance.random() < 0.4
    groups = some(chance, GROUPS, 0, 2)
    unit = chance.choice([None, "hour", "day", "day", "month"])
    first, last = chance.choice(PERIODS if unit == "hour" or chance.random() < 0.7 else LONG_PERIODS)
    if unit == "hour" and first is None:
        unit = "day"
    aggregates = some(chance, EVENTS if is_event else PAGEVIEWS)
    sortable = [*aggregates, *groups * 2, *(["timestamp"] if unit else [])]
    others = [Filter("pathname", "matching", "^(/|/[aA]|/a\\.b)$"), Filter("pathname", "is not", "/a")]
    arguments: dict[str, object] = {
        "aggregates": aggregates,
        "field_grouping": groups,
        "date_grouping": unit,
        "date_from": first,
        "date_to": last,
        "filters": chance.choice([[], [], [], filters(chance, ["browser"]), *([each] for each in others)]),
        "sort_by": chance.choice([None, f"{chance.choice(sortable)}:{chance.choice(['asc', 'desc'])}"]),
        "limit": chance.choice([None, None, None, 5]),
        "timezone": chance.choice([None, ZONE, HAVANA]),
    }
    if is_event:
        return EventQuery("CDBUGS", "buy", **arguments)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    return PageviewQuery("CDBUGS", **arguments)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def target(chance: random.Random, query: AnyQuery) -> AnyQuery:
    """A query that another one may contain."""
    groups = some(chance, query.field_grouping, 0)
    chosen = [name for name in some(chance, query.field_grouping, 0) if chance.random() < 0.7]
    kept = [each for each in query.filters if each.property not in chosen or each.operator == "is not"]
    aggregates = some(chance, query.aggregates)
    unit = query.date_grouping and chance.choice([query.date_grouping, None, "day", "month", "year"])
    period: tuple[object, object] = query.date_from, query.date_to
    if chance.random() < 0.6:
        period = chance.choice(PERIODS + LONG_PERIODS)
    if unit == "hour" and period not in PERIODS:
        period = query.date_from, query.date_to
    sortable = [*aggregates * 3, *groups, *(["timestamp"] * 2 if unit else [])]
    sorts: list[str | None] = [
        None,
        query.sort_by if (query.sort_by or "").partition(":")[0] in sortable else None,
    ]
    sorts += [f"{name}:{direction}" for name in sortable for direction in ("asc", "desc")]
    extra = filters(chance, chosen)
    return query.replace(
        aggregates=aggregates,
        field_grouping=groups,
        date_grouping=unit,
        date_from=period[0],
        date_to=period[1],
        filters=[*kept, *(each for each in extra if each not in kept)],
        sort_by=chance.choice(sorts),
        limit=chance.choice([None, None, 1, 2, 3]),
    )


def expect_same(world: World, known: AnyQuery, asked: AnyQuery, told: Counter[str]) -> None:
    answer = world.answer(known)
    derived = SourceAnswer(answer, zone=ZoneInfo(ZONE)).derive(asked)
    told["asked"] += 1
    if derived is None:
        return
    assert implies(known, asked, zone=ZoneInfo(ZONE)) or known == asked
    assert derived == world.answer(asked)
    assert derived.columns == asked.columns
    told["derived"] += 1
    told["with rows"] += bool(derived.rows)
    told["fewer metrics"] += len(asked.aggregates) < len(known.aggregates)
    told["chosen"] += len(asked.filters) > len(known.filters)
    told["dropped"] += len(asked.field_grouping) < len(known.field_grouping)
    told["other range"] += (known.date_from, known.date_to) != (asked.date_from, asked.date_to)
    told["other dates"] += known.date_grouping != asked.date_grouping
    told["cut"] += bool(derived.truncated and asked.limit and asked.limit != known.limit)


def test_derived_answers_are_those_of_the_server() -> None:
    told = Counter[str]()

    @settings(max_examples=(examples := tries(100, soak=150)))
    @given(DATASETS, st.integers(0, 1 << 32))
    def check(data: Dataset, seed: int) -> None:
        world, chance = World(data), random.Random(seed)
        for _ in range(12):
            known = source(chance)
            for _ in range(8):
                expect_same(world, known, target(chance, known), told)

    check()
    assert told["derived"] > 20 * examples
    assert min(told.values()) > examples / 3, told


def plain(data: Dataset, query: AnyQuery) -> Counter[Row]:
    """Return what the plain loop counts: rows without their order."""
    wire = query.params()
    rows = evaluate(data, {name: text for name, text in wire.items() if name not in {"sort_by", "limit"}})
    return Counter(query.read(json.dumps(rows).encode()).rows)


def test_derived_answers_are_those_of_a_plain_loop() -> None:
    told = Counter[str]()

    @settings(max_examples=(examples := tries(30, soak=60)))
    @given(DATASETS, st.integers(0, 1 << 32))
    def check(data: Dataset, seed: int) -> None:
        world, chance = World(data), random.Random(seed)
        for _ in range(8):
            known = source(chance)
            known = known.replace(timezone=known.timezone and ZONE)
            for _ in range(6):
                asked = target(chance, known).replace(limit=None)
                derived = SourceAnswer(world.answer(known), zone=ZoneInfo(ZONE)).derive(asked)
                if derived is None or derived.truncated:
                    continue
                assert Counter(derived.rows) == plain(data, asked)
                told["derived"] += 1

    check()
    assert told["derived"] > 6 * examples


DIFFERENCES: tuple[Difference, ...] = ("case", "accents", "blanks", "slashes", "percent")
WORDS = ("/cafe", "/x", "/bass", "/é", "/a.b", "/日", "/")


def varied(chance: random.Random, text: str) -> str:
    """A text that some server takes for this one."""
    changes = (str, str.swapcase, str.upper, quote, "{} ".format, "{}/".format)
    accents = (("e", "é"), ("a", "á"), ("é", "e"), ("ss", "ß"), ("ss", "s"), ("a", "%61"))
    text = chance.choice(changes)(text)
    return text.replace(*chance.choice(accents)) if chance.random() < 0.5 else text


def in_cases(text: str) -> str:
    return "".join(f"[{each}{each.upper()}]" if each.islower() else re.escape(each) for each in text)


SPELLINGS: Sequence[Callable[[str], str]] = (re.escape, in_cases, in_cases)
READERS: Sequence[Callable[[str], str]] = (str, str, str.strip, unquote)


def pattern_of(chance: random.Random, texts: Sequence[str]) -> str:
    """A pattern of ours, or one that somebody else may write."""
    if chance.random() < 0.4:
        return one_of(texts, is_exact=chance.random() < 0.2)
    words = "|".join(map(chance.choice(SPELLINGS), texts))
    strange = chance.choice(["", "|.*[^ -$&-~].*", "|.*[^ -$&-~].*"])
    return f"^{chance.choice(['', ' ?'])}({words}){chance.choice(['', ' *', '[/ ]*', '[/ ]*'])}${strange}"


def test_a_pattern_never_hides_what_the_server_takes_for_the_value_of_a_target() -> None:
    told = Counter[str]()
    by_path = PageviewQuery(
        "CDBUGS", aggregates=["pageviews"], field_grouping=["pathname"], date_to="2026-01-31"
    )

    @settings(max_examples=400)
    @given(st.integers(0, 1 << 32))
    def check(seed: int) -> None:
        chance = random.Random(seed)
        ignored = frozenset(chance.sample(DIFFERENCES, chance.randint(0, 5)))
        by_pattern = ignored.intersection(chance.sample(DIFFERENCES[:2], chance.randint(0, 2)))
        in_groups = chance.choice([ignored, frozenset[Difference]()])
        sharp_s = chance.choice(["ß", "s"])
        read_value = chance.choice(READERS)

        def read(text: str, ignored: frozenset[Difference]) -> str:
            return without(text.replace("ß", sharp_s) if ignored else text, ignored)

        records = [varied(chance, word) for word in chance.choices(WORDS, k=8)]
        pattern = pattern_of(chance, [varied(chance, word) for word in some(chance, WORDS)])
        flags = re.IGNORECASE if "case" in by_pattern else 0
        match = chance.choice([re.search, re.fullmatch])
        found = [text for text in records if match(pattern, read(text, by_pattern - {"case"}), flags)]
        names = {read(text, in_groups): text for text in found}
        counts = Counter(names[read(text, in_groups)] for text in found)
        known = by_path.replace(filters=[Filter("pathname", "matching", pattern)])
        answer = SourceAnswer(Report(known, tuple(known.codec.row(*each) for each in counts.items())))
        for value in {*records, *(varied(chance, word) for word in WORDS)}:
            target = by_path.replace(field_grouping=[], filters=[Filter("pathname", "is", value)])
            derived = answer.derive(target)
            if derived is not None:
                assert derived.total("pageviews") == sum(
                    read(text, ignored) == read(read_value(value), ignored) for text in records
                ), (pattern, value, records, ignored)
                told["told"] += 1
                told["found"] += bool(derived.rows)

    check()
    assert min(told["told"], told["found"]) > 50, told
