"""Which request is wide enough for two queries, and when it would be too long."""

import random
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import date, timedelta
from itertools import pairwise, permutations
from math import inf
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest
from attrs import frozen

from fathom_async import Filter, PageviewQuery
from fathom_async._bulk.fusing import ServerKnowledge
from fathom_async._bulk.fusing.box import Box, Shape, Time, shape_of
from fathom_async._bulk.fusing.texts import length_of
from fathom_async._reports.filters import filters_to_json
from fathom_async._reports.query import AnyQuery
from tests.bulk.fusing.workloads import a_workload
from tests.bulk.fusing.world import BY_PATH, DAILY, HAVANA, TOTAL, VISITS, during, on, shape

SEEN = {"pathname": 90, "browser": 12, "country_code": 3}
"""How many values answers have shown; a fourth more are expected."""
KNOWLEDGE = ServerKnowledge(
    counts={f"CDBUGS {event} {name}": (seen, inf) for name, seen in SEEN.items() for event in ("", "buy")}
)


@frozen
class Plain:
    """A request that is wide enough for two queries, by the rules written out one by one.

    `values` are those of each property that both fix, None for all values; `rows` how many rows it may have.
    """

    values: dict[str, frozenset[str] | None]
    grouped: frozenset[str]
    times: dict[Time, tuple[int, int]]
    rows: int


def plainly(one: Shape, two: Shape) -> Plain | None:
    if len({one.order, two.order} - {None}) > 1:
        return None  # a server puts texts in one order
    names = {*one.fixed, *one.groups, *two.fixed, *two.groups}
    values = {
        name: frozenset({one.fixed[name], two.fixed[name]})
        if name in one.fixed and name in two.fixed
        else None
        for name in names
    }
    varied = {name for name, found in values.items() if found is None or len(found) == 2}
    grouped = one.groups | two.groups | varied
    if any(not each.is_additive and not grouped <= {*each.groups, *each.fixed} for each in (one, two)):
        return None  # these figures need their own groups
    groups = 1
    for name in grouped:
        found = values[name]
        is_filtered = found is not None and (len(found) == 1 or name == "pathname")
        groups *= (
            len(found or ()) if is_filtered else max(SEEN[name] + SEEN[name] // 4 + 1, 2 * len(found or ()))
        )
    times: dict[Time, tuple[int, int]] = {}
    for time in one.times.keys() & two.times.keys():
        (first, last), (other_first, other_last) = one.times[time], two.times[time]
        span = min(first, other_first), max(last, other_last)
        dates = span[1] - span[0] + 1
        fits = groups * dates < 1000 if grouped else dates <= 1000
        if are_as_long(one, two, grouped) or (fits and not (time.unit == "hour" and dates > 7 * 24)):
            times[time] = span
    return Plain(values, grouped, times, groups * min(map(dates_of, times.values()))) if times else None


def are_as_long(one: Shape, two: Shape, grouped: Collection[str]) -> bool:
    """Whether the answer to one has all rows of the other's, whatever that is: other metrics, or another order."""
    has_one_range = any(time.ends is not None for time in one.times.keys() & two.times.keys())
    has_one_order = (
        one.query.date_grouping == two.query.date_grouping and one.query.sort_by == two.query.sort_by
    )
    return (
        has_one_range
        and (one.fixed, one.groups) == (two.fixed, two.groups)
        and (has_one_order or bool(grouped))
    )


def dates_of(span: tuple[int, int]) -> int:
    return span[1] - span[0] + 1


def test_a_box_for_two_queries_is_the_smallest_request_that_is_wide_enough() -> None:
    zone, outcomes = ZoneInfo(HAVANA), Counter[bool]()
    for seed in range(600):
        shapes = [found for each in a_workload(random.Random(seed)) if (found := shape_of(each, zone))]
        for one, two in pairwise(shapes):
            if one.subject == two.subject:
                joined = Box.of(one, KNOWLEDGE).joined(Box.of(two, KNOWLEDGE), KNOWLEDGE)
                assert as_plain(joined) == plainly(one, two), (one.query, two.query)
                assert joined is None or joined.order == (one.order or two.order)
                outcomes[joined is None] += 1
    assert outcomes[True] > 300
    assert outcomes[False] > 300


def as_plain(box: Box | None) -> Plain | None:
    return None if box is None else Plain({**box.fields}, box.grouped, {**box.times}, box.rows)


def box(*queries: AnyQuery, knowledge: ServerKnowledge | None = None) -> Box:
    """Return the box of these queries, which there must be."""
    known = knowledge or ServerKnowledge()
    found, *others = (Box.of(shape(query), known) for query in queries)
    for other in others:
        wider = found.joined(other, known)
        assert wider is not None
        found = wider
    return found


def test_a_box_is_the_same_in_whatever_order_queries_join() -> None:
    compared = 0
    for seed in range(200):
        shapes = [found for each in a_workload(random.Random(seed)) if (found := shape_of(each))]
        for three in zip(shapes, shapes[1:], shapes[2:], strict=False):
            if len({each.subject for each in three}) == 1:
                joins = [as_plain(joined(order)) for order in permutations(three)]
                alone = [each for each in joins if each is not None]
                assert all(each == alone[0] for each in alone)
                compared += len(alone) == len(joins)
    assert compared > 100


def joined(shapes: Sequence[Shape]) -> Box | None:
    one, two, three = (Box.of(each, KNOWLEDGE) for each in shapes)
    both = one.joined(two, KNOWLEDGE)
    return both and both.joined(three, KNOWLEDGE)


def fixing(name: str, value: str, query: PageviewQuery = TOTAL) -> PageviewQuery:
    return query.replace(
        filters=[*query.filters, Filter.from_dict({"property": name, "operator": "is", "value": value})]
    )


def test_rows_are_values_times_dates() -> None:
    assert box(TOTAL).rows == 1
    assert box(on("/a"), on("/b"), on("/c")).rows == 3, "a pattern lets no others through"
    assert box(*(during(f"2026-01-0{day}", query=on("/a")) for day in (1, 5))).rows == 5
    pages = [during(f"2026-01-0{day}", query=on(f"/{day}")) for day in range(1, 6)]
    assert box(*pages).rows == 25
    assert box(DAILY).rows == 1000, "nobody knows how many days there are"
    assert box(during("2020-01-01", "2025-12-31", DAILY)).rows == 2192, (
        "there may be as many as it likes by itself"
    )
    assert box(during("2024-01-01", "2025-12-31", DAILY)).rows == 731


def test_categories_have_as_many_values_as_usual_or_as_answers_have_shown() -> None:
    rome, oslo = fixing("country_code", "IT"), fixing("country_code", "NO")
    assert box(rome, oslo).rows == 190
    few = ServerKnowledge(counts={"CDBUGS  country_code": (7, 30)})
    assert box(rome, oslo, knowledge=few).rows == 190, "since ever, there may be more"
    month = [during("2026-01-01", "2026-01-31", each) for each in (rome, oslo)]
    assert box(*month, knowledge=few).rows == 9
    longer = [during("2026-01-01", "2026-03-02", each) for each in (rome, oslo)]
    assert box(*longer, knowledge=few).rows == 190, "in more than twice the days, too"
    cities = [fixing("browser", f"{number}") for number in range(30)]
    assert box(*cities).rows == 60, "who names many may meet as many again"


def test_of_the_combinations_of_several_properties_few_occur() -> None:
    def names(*properties: str) -> Box:
        return box(TOTAL.replace(field_grouping=properties, sort_by="pageviews:desc", limit=5))

    assert names("browser").rows == 20
    assert names("browser", "device_type").rows == round((20 * 5) ** 0.7) == 25
    assert names("browser", "device_type", "hostname").rows == round((20 * 5 * 20) ** 0.7)
    assert names("country_code", "device_type").rows == 190, "no fewer than of one of them"
    known = ServerKnowledge(counts={"CDBUGS  device_type": (2, inf)})
    two = TOTAL.replace(field_grouping=["browser", "device_type"], sort_by="pageviews:desc", limit=5)
    assert box(two, knowledge=known).rows == 20 * 3, "those that answers have shown may all occur"


def test_the_same_table_with_other_metrics_may_be_as_long_as_it_is() -> None:
    pages = BY_PATH.replace(sort_by="pathname:asc")
    both = [pages, pages.replace(aggregates=["visits"])]
    assert box(*both, knowledge=LONG).rows == 4000
    assert box(*both, on("/a", pages)).rows == 900
    assert [Box.of(shape(each), LONG).joined(Box.of(shape(on("/a")), LONG), LONG) for each in both] == [
        None,
        None,
    ]
    ever = [
        DAILY.replace(date_from="2020-01-01"),
        DAILY.replace(date_from="2020-01-01", aggregates=["visits"]),
    ]
    long = [during("2020-01-01", "2025-12-31", each) for each in ever]
    assert box(*long).rows == 2192
    other = during("2020-01-01", "2025-12-31", DAILY.replace(sort_by="timestamp:desc"))
    assert Box.of(shape(long[0]), LONG).joined(Box.of(shape(other), LONG), LONG) is None


LONG = ServerKnowledge(counts={"CDBUGS  pathname": (4000, inf)})


def test_a_property_is_filtered_if_all_queries_fix_it_and_its_values_fit_into_the_url() -> None:
    assert box(on("/a"), on("/b")).restricted() == {"pathname": {"/a", "/b"}}
    assert box(on("/a"), on("/a", VISITS)).restricted() == {"pathname": {"/a"}}
    assert box(on("/a"), TOTAL).restricted() == {}
    assert box(on("/a"), BY_PATH.replace(sort_by="pathname:asc")).restricted() == {}
    cities = fixing("city", "Rome"), fixing("city", "Oslo")
    assert box(*cities).restricted() == {}, "categories have no patterns"
    assert box(cities[0], cities[0].replace(aggregates=["visits"])).restricted() == {"city": {"Rome"}}
    pages = {"entry_page": {"/a", "/b"}, "pathname": {"/c", "/d"}}
    two = [fixing("entry_page", first, on(last)) for first, last in (("/a", "/c"), ("/b", "/d"))]
    length = length_of(frozenset({"/a", "/b"}), 1_000)
    counts = KNOWLEDGE.counts | {"CDBUGS  entry_page": (3, inf)}
    for room, filtered in (
        (2 * length, ["entry_page", "pathname"]),
        (2 * length - 1, ["entry_page"]),
        (length, ["entry_page"]),
        (length - 1, []),
    ):
        few = ServerKnowledge(longest_patterns=room, counts=counts)
        found = box(*two, knowledge=few)
        assert found.restricted() == {name: pages[name] for name in filtered}
        assert found.pattern_length == len(filtered) * length <= room
        assert found.grouped == {"entry_page", "pathname"}


def test_lengths_are_added_up_where_that_is_enough() -> None:
    texts = [f"/{number:050}" for number in range(20)]
    found = box(*map(on, texts))
    assert found.pattern_length == length_of(frozenset(texts), 10_000)
    assert length_of(frozenset(texts), 0) < found.pattern_length < 4_000


def test_other_filters_leave_less_room_for_patterns() -> None:
    for characters in (1, 1_000):
        other = Filter("city", "is not", "/" * characters)
        in_url = len(quote(filters_to_json([other]), safe=""))
        assert box(TOTAL.replace(filters=[other])).room == min(4_000, 6_000 - in_url)
    assert in_url > 3_000
    assert box(on("/a"), on("/b"), knowledge=ServerKnowledge(longest_patterns=90)).room == 90


def test_one_value_needs_no_pattern_however_long_it_is() -> None:
    few = ServerKnowledge(longest_patterns=10)
    assert box(on("/a-long-one"), on("/a-long-one", VISITS), knowledge=few).restricted() == {
        "pathname": {"/a-long-one"}
    }


def test_a_range_has_as_many_days_as_its_buckets_at_the_most() -> None:
    hours = (
        during("2026-01-01 09:00:00", "2026-01-01 09:59:59"),
        during("2026-01-01 14:00:00", "2026-01-01 14:59:59"),
    )
    for days, queries in (
        (31, [during("2026-01-01", "2026-01-31", VISITS)]),
        (inf, [TOTAL]),
        (inf, [TOTAL.replace(date_from="2026-01-01")]),
        (inf, [TOTAL.replace(date_to="2026-01-01")]),
        (5, [during("2026-01-01"), during("2026-01-05")]),
        (2 * 31, [during("2026-01-01", "2026-01-31"), during("2026-02-01", "2026-02-28")]),
        (3 * 366, [during("2024-01-01", "2024-12-31"), during("2026-01-01", "2026-12-31")]),
        (6 / 24, [each.replace(timezone="UTC") for each in hours]),
    ):
        assert box(*queries).days == pytest.approx(days)


def test_boxes_are_full_below_a_thousand_rows_or_at_a_thousand_dates() -> None:
    for pages, days, most in ((37, 27, True), (40, 25, False)):
        wide = box(*(during("2026-01-01", query=on(f"/{number}")) for number in range(pages)))
        end = Box.of(shape(during(f"2026-01-{days}", query=on("/0"))), KNOWLEDGE)
        assert (wide.joined(end, KNOWLEDGE) is not None) == most
    for days, most in ((1000, True), (1001, False)):
        last = str(date(2026, 1, 1) + timedelta(days=days - 1))
        one, two = (Box.of(shape(during(day)), KNOWLEDGE) for day in ("2026-01-01", last))
        assert (one.joined(two, KNOWLEDGE) is not None) == most
    for hour, most in (("2026-01-07 23", True), ("2026-01-08 00", False)):
        one, two = (
            Box.of(shape(during(f"{begin}:00:00", f"{begin}:59:59").replace(timezone="UTC")), KNOWLEDGE)
            for begin in ("2026-01-01 00", hour)
        )
        assert (one.joined(two, KNOWLEDGE) is not None) == most
