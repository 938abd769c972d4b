"""The request that answers a box, the words that describe it, and the queries that are sent unchanged."""

from collections.abc import Sequence
from datetime import datetime
from itertools import product
from math import inf
from zoneinfo import ZoneInfo

import pytest

from fathom_async import EventQuery, Filter, PageviewQuery
from fathom_async._bulk.fusing import Fused, ServerKnowledge, apart, fuse
from fathom_async._bulk.fusing.box import Box
from fathom_async._core.codec.rows import Row
from fathom_async._reports.query import AnyQuery, Query
from tests.bulk.fusing.world import BY_PATH, DAILY, SALES, TOTAL, VISITS, ZONE, during, on, one

pytestmark = pytest.mark.filterwarnings("ignore::fathom_async.UnsortedLimitWarning")

PATHS = BY_PATH.replace(sort_by="pathname:asc")


def fixing(name: str, value: str, query: PageviewQuery = TOTAL) -> PageviewQuery:
    return query.replace(
        filters=[*query.filters, Filter.from_dict({"property": name, "operator": "is", "value": value})]
    )


def top(*names: str, query: PageviewQuery = TOTAL) -> PageviewQuery:
    return query.replace(field_grouping=names, sort_by="pageviews:desc", limit=5)


def contained(*queries: Query[Row], knowledge: ServerKnowledge | None = None) -> list[list[int]]:
    """Return the positions that are in one request, of each request."""
    plan = fuse(queries, knowledge)
    return [[place for asked in each.asked for place in asked.positions] for each in plan]


# In words


def test_it_is_said_what_was_put_together() -> None:
    described: list[tuple[Sequence[AnyQuery], list[str]]] = [
        ([TOTAL, VISITS, TOTAL.replace(aggregates=["uniques", "visits"])], ["3 metrics together"]),
        ([on("/a"), on("/b"), on("/c")], ["3 pathnames as groups"]),
        ([fixing("device_type", each) for each in ("Phone", "Tablet")], ["2 device types as groups"]),
        ([fixing("city", each) for each in ("Rome", "Oslo")], ["2 cities as groups"]),
        ([on("/a"), on("/a", fixing("browser", "Chrome"))], ["values of browser as groups"]),
        (
            [on("/a"), on("/b", fixing("browser", "Chrome"))],
            ["values of browser as groups", "2 pathnames as groups"],
        ),
        ([top("region"), top("browser")], ["breakdowns as sums of browser x region"]),
        ([top("browser"), TOTAL], ["2 views of one answer"]),
        ([top("browser", "region"), top("region", "browser")], ["2 views of one answer"]),
        ([top("browser"), fixing("browser", "Chrome")], ["2 views of one answer"]),
        (
            [fixing("browser", "Chrome", top("region")), fixing("browser", "Firefox", top("region"))],
            ["2 browsers as groups"],
        ),
        ([during("2026-01-01"), during("2026-01-03"), during("2026-01-03")], [
            "2 ranges from figures by the day", "1 repeat left out",
        ]),
        ([during("2026-01-01", "2026-01-31", each) for each in (TOTAL, DAILY)], ["2 ranges from figures by the day"]),
        ([TOTAL, VISITS, VISITS, TOTAL, TOTAL], ["2 metrics together", "3 repeats left out"]),
        ([BY_PATH, TOTAL, TOTAL], ["1 contained in another", "1 repeat left out"]),
        ([SALES, SALES], ["1 repeat left out"]),
        ([SALES], []),
    ]  # fmt: skip
    for queries, words in described:
        assert one(queries).how == tuple(words)


# The request of a box


def test_a_request_has_its_columns_in_the_order_in_which_they_are_known() -> None:
    fused = one([TOTAL, TOTAL.replace(aggregates=["uniques", "visits"])])
    assert fused.query.aggregates == ("visits", "uniques", "pageviews")
    fused = one([top("hostname", "device_type"), fixing("browser", "A"), fixing("browser", "B")])
    assert fused.query.field_grouping == ("hostname", "device_type", "browser")


def test_what_a_request_leaves_open_is_told_of_the_answers() -> None:
    fused = one([on("/a", fixing("browser", "Chrome")), on("/b", fixing("browser", "Firefox"))])
    assert fused.query.field_grouping == ("browser", "pathname")
    assert fused.open_fields == {"browser"}, "paths are filtered"
    assert fused.pattern_length > 0
    assert fused.days == inf
    fused = one([during("2026-01-01"), during("2026-01-03")])
    assert (fused.open_fields, fused.pattern_length, fused.days) == (frozenset(), 0, 3)
    alone = one([BY_PATH])
    assert (alone.open_fields, alone.pattern_length, alone.days) == (frozenset(), 0, 0)


def test_filters_come_in_one_order_whatever_the_order_of_the_queries() -> None:
    others = [Filter("hostname", "is not", "x"), Filter("city", "is not", "y")]
    plans = [
        one([on(each, TOTAL.replace(filters=filters)) for each in ("/a", "/b")])
        for filters in (others, others[::-1])
    ]
    assert plans[0].query.filters == plans[1].query.filters
    assert [(each.property, each.operator) for each in plans[0].query.filters] == [
        ("city", "is not"),
        ("hostname", "is not"),
        ("pathname", "matching"),
    ]


def test_a_server_that_compares_exactly_gets_exact_patterns() -> None:
    for is_exact, pattern in ((True, "^(/(a|b))$"), (False, "^ ?(/([aA]|[bB]))[/ ]*$|.*[^ -$&-~].*")):
        [fused] = fuse([on("/a"), on("/b")], ServerKnowledge(exact={"pathname": is_exact}))
        assert fused.query.filters == (Filter("pathname", "matching", pattern),)


PLAIN = PATHS.replace(limit=3)


def test_a_limit_is_left_to_the_server_where_all_cut_the_same_rows() -> None:
    more = PLAIN.replace(aggregates=["visits"])
    known = ServerKnowledge(counts={"CDBUGS  pathname": (200, inf)})
    for second, limit in (
        (more.replace(limit=7), 8),  # the row beyond tells whether the last one is tied
        (more.replace(limit=999), 1000),
        (more.replace(limit=1000), 1000),
        (more.replace(limit=None), None),
        (on("/a", PLAIN), None),
        (PLAIN.replace(field_grouping=[], sort_by=None), None),
    ):
        [fused] = fuse([PLAIN, second], known)
        assert (fused.query.limit, fused.query.sort_by) == (limit, "pathname:asc"), second


def test_a_limit_of_dates_is_left_to_the_server_where_all_cut_the_same_rows() -> None:
    first = during("2026-01-01", "2026-01-31", DAILY).replace(sort_by="timestamp:desc", limit=3)
    for second, limit, sort_by in (
        (first.replace(aggregates=["visits"], limit=5), 6, "timestamp:desc"),
        (first.replace(sort_by="timestamp:asc"), None, None),
        (first.replace(date_to="2026-02-28", limit=3), None, None),
        (first.replace(date_from="2025-12-01", limit=3), None, None),
        (first.replace(date_grouping="month", limit=3), None, None),
    ):
        fused = one([first, second])
        assert (fused.query.limit, fused.query.sort_by) == (limit, sort_by)
    tops = [top("browser", query=VISITS.replace(aggregates=["visits", "pageviews"])), top("browser")]
    assert (one(tops).query.limit, one(tops).query.sort_by) == (6, "pageviews:desc")


def test_the_zone_of_the_site_tells_which_hours_there_are() -> None:
    hours = [during(f"2026-01-01 {hour}:00:00", f"2026-01-01 {hour}:59:59") for hour in ("09", "14")]
    assert len(fuse(hours)) == 2
    assert len(fuse(hours, ServerKnowledge(zones={"OTHER": ZoneInfo(ZONE)}))) == 2
    [fused] = fuse(hours, ServerKnowledge(zones={"CDBUGS": ZoneInfo(ZONE)}))
    assert fused.query == during("2026-01-01 09:00:00", "2026-01-01 14:59:59").replace(date_grouping="hour")
    assert fused.query.date_to == datetime(2026, 1, 1, 14, 59, 59)  # noqa: DTZ001 - the site's clock


# Queries that are sent unchanged


def test_what_an_answer_contains_is_not_asked_again() -> None:
    two = BY_PATH.replace(field_grouping=["browser", "device_type"])
    browsers = two.replace(field_grouping=["browser"], sort_by="pageviews:desc")
    assert contained(two, TOTAL, browsers) == [[0, 1, 2]]
    assert contained(browsers, TOTAL, two) == [[0, 1, 2]], "in whatever order"
    assert contained(VISITS, BY_PATH, on("/a"), BY_PATH.replace(site_id="OTHER")) == [[0], [1, 2], [3]]
    hours = TOTAL.replace(date_from="2026-01-01 09:00:00", date_to="2026-01-01 11:59:59")
    by_hour = hours.replace(field_grouping=["browser"], date_grouping="hour")
    known = ServerKnowledge(zones={"CDBUGS": ZoneInfo(ZONE)})
    early = hours.replace(date_to="2026-01-01 09:59:59")
    assert contained(by_hour, early) == [[0], [1]]
    assert contained(by_hour, early, knowledge=known) == [[0, 1]]


def test_nothing_is_looked_for_in_an_answer_that_may_be_cut_off() -> None:
    week = during("2026-01-01", "2026-01-07", TOTAL.replace(date_grouping="day"))
    for host, is_host in (
        (BY_PATH, True),
        (BY_PATH.replace(limit=1000), False),
        (week.replace(field_grouping=["browser"]), True),
        (week.replace(field_grouping=["country_code"]), False),
        (week.replace(field_grouping=["pathname"]), False),
        (DAILY.replace(field_grouping=["browser"]), False),
        (BY_PATH.replace(field_grouping=["browser", "device_type"]), True),
        (BY_PATH.replace(field_grouping=["browser", "pathname"]), False),
    ):
        guest = host.replace(field_grouping=[], date_grouping=None, limit=None)
        assert contained(host, guest) == ([[0, 1]] if is_host else [[0], [1]]), host
    countries = week.replace(field_grouping=["country_code"])
    for seen_days, is_host in (
        (inf, True),
        (300, False),
    ):  # ever may be more days than answers have been about
        known = ServerKnowledge(counts={"CDBUGS  country_code": (100, seen_days)})
        assert contained(countries, during("2026-01-02"), knowledge=known) == (
            [[0, 1]] if is_host else [[0], [1]]
        )
    for last, is_host in (("2026-07-18", True), ("2026-07-19", False)):  # the last of 199 and 200 days
        days = during("2026-01-01", last, DAILY.replace(field_grouping=["device_type"]))
        guest = during("2026-01-01", last)
        assert contained(days, guest) == ([[0, 1]] if is_host else [[0], [1]]), last


def test_a_query_is_looked_for_in_so_many_answers() -> None:
    hosts = [BY_PATH.replace(filters=[Filter("city", "is not", f"{n}")]) for n in range(66)]
    guests = [TOTAL.replace(filters=each.filters) for each in hosts]
    for place, is_found in ((0, True), (63, True), (64, False), (65, False)):
        assert len(fuse([*hosts, guests[place]])) == 67 - is_found


# Effort


def test_a_box_is_compared_with_so_many_others_and_never_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[Box, Box]] = []
    joined = Box.joined

    def counted(box: Box, other: Box, knowledge: ServerKnowledge) -> Box | None:
        tried.append((box, other))
        return joined(box, other, knowledge)

    monkeypatch.setattr(Box, "joined", counted)
    parts = [
        during("2026-01-01", f"2026-01-01 {hour:02}:{minute:02}:30")
        for hour, minute in product(range(24), range(5))
    ]
    assert len(fuse([each.replace(aggregates=["visits"]) for each in parts])) == 120
    assert len(tried) == sum(min(64, number) for number in range(120))
    tried.clear()
    assert len(fuse(parts)) == 120
    assert len(tried) == len(set(tried)) < 120 * 64 * 1.5


# Apart


def test_all_metrics_of_a_table_are_asked_for_together_and_all_else_apart() -> None:
    def requests(*queries: Query[Row]) -> list[Query[Row]]:
        return [each.query for each in apart(queries)]

    both = TOTAL.replace(aggregates=["pageviews", "visits"])
    assert requests(TOTAL, VISITS, TOTAL) == [both]
    assert requests(on("/a"), on("/b"), on("/a", VISITS)) == [on("/a", both), on("/b")]
    for first in (
        DAILY,
        PATHS,
        during("2026-01-01"),
        TOTAL.replace(date_from="2026-01-01"),
        on("/a"),
        TOTAL.replace(filters=[Filter("pathname", "is not", "/a")]),
    ):
        second = first.replace(aggregates=["visits"])
        assert requests(first, second) == [first.replace(aggregates=["pageviews", "visits"])]
        assert requests(first, VISITS) == [first, VISITS], "another table"
    for alike in (DAILY, PATHS):
        column = "timestamp" if alike.date_grouping else "pathname"
        falling = alike.replace(sort_by=f"{column}:desc", aggregates=["visits"])
        assert requests(alike, falling) == [alike, falling]
    tops = top("browser"), top("browser", query=TOTAL.replace(aggregates=["pageviews", "visits"]))
    assert requests(*tops) == [*tops], "rows of equal rank may be others"
    assert requests(BY_PATH, BY_PATH.replace(aggregates=["visits"])) == [
        BY_PATH,
        BY_PATH.replace(aggregates=["visits"]),
    ]
    call = EventQuery("CDBUGS", "call", aggregates=["value"])
    others = [TOTAL, VISITS.replace(site_id="OTHER"), SALES, call]
    assert requests(*others) == others


def test_a_request_is_the_same_for_some_of_its_queries() -> None:
    fused = one([on("/a"), on("/b"), on("/c")])
    some = fused.only([on("/c"), on("/a")])
    assert [asked.query for asked in some.asked] == [on("/a"), on("/c")]
    assert (some.query, some.how) == (fused.query, fused.how)
    assert Fused.of(TOTAL) == one([TOTAL])
