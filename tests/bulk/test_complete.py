"""`complete` against servers in a function: other orders, other dialects, and how many requests it takes."""

import pickle
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from attrs import define, field

from fathom_async import PageviewQuery, QueryError, Report
from fathom_async._bulk.complete import InconsistentError, InseparableError, complete
from fathom_async._bulk.request import Ask
from fathom_async._reports.filters import Filter
from fathom_async._reports.query import LONGEST_QUERY, Query
from fathom_async._reports.rows import PageviewRow
from tests.support.soak import tries

Key = tuple[str | None, ...]

BY_PATH = PageviewQuery("CDBUGS", aggregates=["pageviews"], field_grouping=["pathname"])


@define
class Service:
    """Answers pageviews by groups that it is given.

    Attributes:
        groups: The pageviews of each group.
        collation: What texts sort by.
        flags: Of its regular expressions.
        nulls: Whether a null neither matches nor does not.
        nulls_last: Whether nulls sort behind everything else.
        moving: Pageviews that come in with every request.
    """

    groups: Mapping[Key, int]
    collation: Callable[[str], str | int] = str
    flags: re.RegexFlag = re.NOFLAG
    nulls: bool = False
    nulls_last: bool = False
    asked: list[Query[PageviewRow]] = field(factory=list[Query[PageviewRow]])

    async def ask(self, query: Query[PageviewRow]) -> Report[PageviewRow]:
        self.asked.append(query)
        assert len(urlencode(query.params())) <= LONGEST_QUERY
        if not query.field_grouping:
            return Report(query, (query.codec.row(sum(self.groups.values())),))
        found = [(*key, count) for key, count in self.groups.items() if self._is_asked(query, key)]
        random.Random(1).shuffle(found)
        if query.sort_by is not None:
            column, _, direction = query.sort_by.partition(":")
            place = query.columns.index(column)
            found.sort(key=lambda row: self._order(row[place]), reverse=direction == "desc")
        return Report(query, tuple(query.codec.row(*row) for row in found[: query.effective_limit]))

    def _is_asked(self, query: Query[PageviewRow], key: Key) -> bool:
        values: dict[str, str | None] = dict(zip(query.field_grouping, key, strict=True))
        return all(self._holds(each, values[each.property]) for each in query.filters)

    def _order(self, cell: str | int | None) -> tuple[bool, object]:
        return (cell is None) is self.nulls_last, self.collation(cell) if isinstance(cell, str) else cell or 0

    def _holds(self, condition: Filter, value: str | None) -> bool:
        if value is None and self.nulls:
            return False
        if "matching" in condition.operator:
            found = re.search(condition.value, value or "", self.flags) is not None
        else:
            found = (value or "") == condition.value
        return found is (condition.operator in {"matching", "is"})


def some(paths: list[str], seed: int = 1) -> dict[Key, int]:
    chance = random.Random(seed)
    return {(path,): int(chance.paretovariate(1)) for path in paths}


def numbered(count: int) -> list[str]:
    sections = ("blog", "docs", "products", "guides", "news")
    return [f"/{sections[n % 5]}/{2020 + n % 7}/{1 + n % 12:02d}/item-{n}" for n in range(count)]


def slugs(count: int) -> list[str]:
    chance = random.Random(2)
    words = [
        "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 9))) for _ in range(800)
    ]
    sections = ("blog/", "p/", "", "tag/", "Über/", "(a|b)[0]^$/", "x\\y ")
    made: set[str] = set()
    while len(made) < count:
        made.add("/" + chance.choice(sections) + "-".join(chance.choices(words, k=chance.randint(1, 5))))
    return sorted(made)


def ids(count: int) -> list[str]:
    chance = random.Random(3)
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
    return ["/v/" + "".join(chance.choices(letters, k=11)) for _ in range(count)]


def check(report: Report[PageviewRow], groups: Mapping[Key, int]) -> None:
    fields = report.query.field_grouping
    found = [(tuple(getattr(row, name) for name in fields), row.pageviews) for row in report]
    assert len(found) == len(groups)
    assert dict(found) == groups
    assert not report.truncated


@pytest.mark.parametrize("make", [numbered, slugs, ids])
@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1259, 1900, 2121, 2600, 3230, 5000, 20_000])
async def test_every_row_comes_in_few_requests(make: Callable[[int], list[str]], count: int) -> None:
    service = Service(some(make(count)))
    check(await complete(BY_PATH, service.ask), service.groups)
    assert len(service.asked) <= (1 if count < 1000 else -(-count // 940) + 1)


@pytest.mark.parametrize("make", [numbered, slugs])
@pytest.mark.parametrize("is_over", [True, False], ids=["over", "open"])
@pytest.mark.parametrize(
    "counts",
    [
        range(1, 3000, tries(237, soak=79)),
        range(1000, 3001, tries(200, soak=40)),
        range(1996, 2004),
        range(2993, 3003),
    ],
    ids=str,
)
async def test_up_to_3000_rows_take_one_request_more_than_needed(
    make: Callable[[int], list[str]], is_over: bool, counts: range
) -> None:
    """And one more for a full last window, if traffic may have come in since the total was requested."""
    paths = sorted(make(counts.stop))
    query = BY_PATH.replace(date_to="2026-01-31")
    now = datetime(2026, 2, 3 if is_over else 1, tzinfo=UTC).timestamp()
    for count in counts:
        service = Service({(path,): 1 + at % 7 for at, path in enumerate(paths[:count])})
        check(await complete(query, service.ask, now=now), service.groups)
        needed = -(-count // 1000)
        assert len(service.asked) <= needed + (count >= 1000) + (not is_over and count in {2000, 3000})


async def test_a_full_window_is_not_the_last_one_because_traffic_makes_up_for_what_is_missing() -> None:
    service = Service({(path,): 10 for path in numbered(2500)})

    async def ask(query: Query[PageviewRow]) -> Report[PageviewRow]:
        report = await service.ask(query)
        if not query.field_grouping:
            service.groups = {
                key: count + 5 * (at < 2000) for at, (key, count) in enumerate(sorted(service.groups.items()))
            }
        return report

    assert len(await complete(BY_PATH, ask)) == 2500


async def test_long_texts_and_filters_are_separated_by_short_keys() -> None:
    paths = [f"/{n:04d}/{'x' * 140}" for n in range(2500)]
    chosen = Filter("pathname", "not matching", "^(" + "|".join(f"/z{n:03d}" for n in range(500)) + ")")
    service = Service({(path,): 3 for path in paths})
    check(await complete(BY_PATH.replace(filters=[chosen]), service.ask), service.groups)


async def test_texts_that_a_server_takes_for_one_are_counted_once() -> None:
    """It groups them without blanks behind them, and its patterns see those blanks."""
    service = Service({(path,): 2 for path in numbered(2600)})
    padded = dict.fromkeys(sorted(numbered(2600))[900:1100], 1)

    with_blanks = Service({(f"{path} ",): count for path, count in padded.items()})

    async def ask(query: Query[PageviewRow]) -> Report[PageviewRow]:
        counts: Counter[str] = Counter()
        for report in (await service.ask(query), await with_blanks.ask(query)):
            for row in report:
                counts[(row.pathname or "").rstrip() if query.field_grouping else ""] += row.pageviews or 0
        rows = sorted(counts.items())[: query.effective_limit]
        return Report(query, tuple(query.codec.row(*row[-len(query.columns) :]) for row in rows))

    report = await complete(BY_PATH, ask)
    assert len(report) == 2600
    assert report.total("pageviews") == 2 * 2600 + len(padded)


def backwards(text: str) -> str:
    return text[::-1]


@pytest.mark.parametrize("collation", [str.lower, backwards, len])
async def test_another_order_costs_requests_and_nothing_else(collation: Callable[[str], str | int]) -> None:
    service = Service(some(ids(3000)), collation)
    check(await complete(BY_PATH, service.ask), service.groups)
    assert len(service.asked) < 40


async def test_popular_texts_close_together_mislead_nobody() -> None:
    popular: dict[Key, int] = {(f"/a/{n:05d}",): 1000 + n for n in range(3000)}
    service = Service(popular | {(f"/z/{n:05d}",): 1 for n in range(5000)})
    check(await complete(BY_PATH, service.ask), service.groups)
    assert len(service.asked) <= 28


async def test_a_server_that_ignores_case_in_patterns_is_found_out() -> None:
    with pytest.raises(InconsistentError):
        await complete(BY_PATH, Service(some(ids(3000)), flags=re.IGNORECASE).ask)


async def test_a_server_that_answers_some_parts_with_rows_of_others_is_found_out() -> None:
    service = Service(some(numbered(1500)))

    async def ask(query: Query[PageviewRow]) -> Report[PageviewRow]:
        if query.filters and query.filters[-1].operator == "matching":
            query = query.replace(filters=())
        return await service.ask(query)

    with pytest.raises(InconsistentError, match="compares texts differently"):
        await complete(BY_PATH, ask)


async def test_a_group_without_a_value_that_no_filter_finds_is_not_lost() -> None:
    service = Service(some(numbered(2500)) | {(None,): 9999}, nulls=True)
    check(await complete(BY_PATH, service.ask), service.groups)


async def test_groups_without_a_value_that_were_never_seen_are_missed() -> None:
    by_two = BY_PATH.replace(field_grouping=["pathname", "browser"])
    groups: dict[Key, int] = {(path, "Chrome"): 50 for path in numbered(2500)}
    service = Service(groups | {(None, f"bot {n}"): 1 for n in range(20)}, nulls=True, nulls_last=True)
    with pytest.raises(InconsistentError, match=r"20 of 125,020 pageviews are missing"):
        await complete(by_two, service.ask)


async def test_empty_texts_and_nulls_that_filters_know_are_rows_like_others() -> None:
    service = Service(some(["", *slugs(1500)]))
    check(await complete(BY_PATH, service.ask), service.groups)
    service = Service(some(numbered(2500)) | {(None,): 7})
    check(await complete(BY_PATH, service.ask), service.groups)


async def test_traffic_that_comes_in_meanwhile_is_no_contradiction() -> None:
    service = Service(some(numbered(1500)))

    async def ask(query: Query[PageviewRow]) -> Report[PageviewRow]:
        report = await service.ask(query)
        service.groups = {key: count + 1 for key, count in service.groups.items()}
        return report

    assert len(await complete(BY_PATH, ask)) == 1500


async def test_a_value_past_the_wall_is_parted_by_the_next_field() -> None:
    by_two = BY_PATH.replace(field_grouping=["pathname", "entry_page", "browser"])
    browsers = ("Chrome", "Firefox", "", None)
    groups: dict[Key, int] = {("/", entry, browsers[len(entry) % 4]): 3 for entry in slugs(2500)}
    groups |= {(path, "/", "Chrome"): 2 for path in numbered(1200)}
    groups |= {("/zzz", entry, "Chrome"): 5 for entry in numbered(1100)}
    service = Service(groups)
    check(await complete(by_two, service.ask), groups)
    assert len(service.asked) <= 24


async def test_categories_are_parted_by_their_values() -> None:
    by_place = BY_PATH.replace(field_grouping=["country_code", "browser", "keyword"])
    groups: dict[Key, int] = {
        (f"C{n % 40}", f"B{n % 7}", f"word {n}"): 1 + n % 5 for n in range(4000) if n % 3 or n % 2
    }
    service = Service(groups | {("", "", "word"): 2})
    check(await complete(by_place, service.ask), service.groups)


@pytest.mark.parametrize(
    ("fields", "groups", "advice"),
    [
        (["keyword"], {(f"word {n}",): 1 for n in range(1001)}, "keyword cannot be filtered on"),
        (["city"], {(f"City {n}",): 1 for n in range(5000)}, "do not fit into a URL"),
        (
            ["browser", "keyword"],
            {("Chrome", f"word {n}"): 1 for n in range(1500)},
            "keyword cannot be filtered on",
        ),
    ],
)
async def test_what_no_filter_tells_apart_is_refused(
    fields: list[str], groups: Mapping[Key, int], advice: str
) -> None:
    service = Service(groups)
    with pytest.raises(InseparableError, match=advice) as caught:
        await complete(BY_PATH.replace(field_grouping=fields), service.ask)
    assert len(service.asked) <= 20
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301 - our own


async def test_rows_come_in_the_order_asked_for() -> None:
    service = Service(some(slugs(1500)))
    by_count = await complete(BY_PATH.replace(sort_by="pageviews:desc"), service.ask)
    assert by_count.column("pageviews") == sorted(service.groups.values(), reverse=True)
    by_text = await complete(BY_PATH.replace(sort_by="pathname:asc"), service.ask)
    assert by_text.column("pathname") == sorted(slugs(1500))
    assert by_text.query.sort_by == "pathname:asc"


async def test_filters_of_the_caller_hold_in_every_part() -> None:
    service = Service(some(numbered(4000)))
    chosen = Filter("pathname", "matching", "^/(blog|news)/")
    report = await complete(BY_PATH.replace(filters=[chosen]), _without_total(service))
    check(report, {key: n for key, n in service.groups.items() if str(key[0]).startswith(("/blog", "/news"))})
    assert all(chosen in query.filters for query in service.asked)


def _without_total(service: Service) -> Ask[PageviewRow]:
    async def ask(query: Query[PageviewRow]) -> Report[PageviewRow]:
        report = await service.ask(query)
        return report if query.field_grouping else Report(query, (query.codec.row(0),))

    return ask


async def test_a_limit_contradicts_completeness() -> None:
    service = Service({})
    with pytest.raises(QueryError, match="leave out limit=10"):
        await complete(BY_PATH.replace(sort_by="pathname:asc", limit=10), service.ask)
    assert not service.asked
