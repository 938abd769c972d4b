"""How a fused answer is split, and when it is not trusted."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest

from fathom_async import ArgumentError, Filter, PageviewQuery, Report
from fathom_async._bulk.fusing import Fused, ServerKnowledge, doubted, fuse
from fathom_async._core.codec.rows import Row
from tests.bulk.fusing.world import BY_PATH, DAILY, EXACT, TOTAL, VISITS, ZONE, during, on, one, report, told


def test_rows_are_those_of_each_query() -> None:
    fused = one([on("/a"), on("/b", VISITS), on("/c")])
    parts = told(fused, report(fused, ("/b", 2, 20), ("/a", 1, 10)))
    assert [part.to_dicts() for part in parts] == [[{"pageviews": 10}], [{"visits": 2}], []]
    assert [part.query for part in parts] == [asked.query for asked in fused.asked]


def test_dates_are_those_of_each_query_in_its_order() -> None:
    week = during("2026-01-01", "2026-01-03").replace(date_grouping="day")
    falling = week.replace(sort_by="timestamp:desc", limit=2)
    fused = one([week, falling, during("2026-01-02"), during("2026-01-04")])
    parts = told(fused, report(fused, (date(2026, 1, 3), 3), (date(2026, 1, 1), 1), (date(2026, 1, 2), 2)))
    assert [part.column("pageviews") for part in parts] == [[1, 2, 3], [3, 2], [2], []]
    assert [part.truncated for part in parts] == [False, True, False, False]


def test_columns_come_in_the_order_of_each_query() -> None:
    first = PageviewQuery("CDBUGS", aggregates=["visits", "pageviews"])
    fused = one([first, first.replace(aggregates=["pageviews", "visits"])])
    assert fused.how == ("2 views of one answer",)
    parts = told(fused, report(fused, (2, 5)))
    assert [part.columns for part in parts] == [("visits", "pageviews"), ("pageviews", "visits")]
    assert [list(part.to_dicts()[0].values()) for part in parts] == [[2, 5], [5, 2]]


def test_a_limit_that_all_share_is_left_to_the_server() -> None:
    query = BY_PATH.replace(sort_by="pathname:asc", limit=2)
    fused = one([query, query.replace(aggregates=["visits"], limit=3)])
    assert fused.query.limit == 4, "the row beyond tells whether the last one is tied"
    parts = told(fused, report(fused, ("/a", 1, 10), ("/b", 2, 20), ("/c", 3, 30), ("/d", 4, 40)))
    assert [part.column("pathname") for part in parts] == [["/a", "/b"], ["/a", "/b", "/c"]]
    assert all(part.truncated for part in parts)


@pytest.mark.parametrize(
    ("change", "row_counts"),
    [({"limit": None}, [2, 3]), ({"sort_by": "timestamp:desc"}, [2, 2])],
)
def test_limits_that_cut_differently_are_cut_here(
    change: dict[str, str | None], row_counts: list[int]
) -> None:
    query = DAILY.replace(sort_by="timestamp:asc", limit=2)
    fused = one([query, query.replace(**change)])
    assert fused.query.limit is None
    parts = told(fused, report(fused, *((date(2026, 1, day), day) for day in (2, 3, 1))))
    assert [len(part) for part in parts] == row_counts
    assert parts[0].column("pageviews") == [1, 2]
    assert parts[1].column("pageviews")[:2] == ([3, 2] if "sort_by" in change else [1, 2])


def test_a_limit_of_each_value_is_cut_here() -> None:
    query = TOTAL.replace(field_grouping=["device_type"], sort_by="device_type:asc", limit=1)
    fused = one([on("/a", query), on("/b", query)])
    assert fused.query.effective_limit == 1000
    rows = [("Desktop", "/a", 1), ("Desktop", "/b", 2), ("Phone", "/a", 3), ("Phone", "/b", 4)]
    parts = told(fused, report(fused, *rows))
    assert [part.column("pageviews") for part in parts] == [[1], [2]]


def test_what_was_cut_off_is_not_trusted() -> None:
    fused = one([on("/a"), on("/b")])
    assert parts_of(fused, Report(fused.query, report(fused, ("/a", 1)).rows, truncated=True)) == [None, None]
    query = BY_PATH.replace(sort_by="pathname:asc")
    fused = one([query, query.replace(aggregates=["visits"])])
    assert None not in parts_of(fused, report(fused, *((f"/{n}", n, n) for n in range(999))))
    assert parts_of(fused, report(fused, *((f"/{n}", n, n) for n in range(1000)))) == [None, None]


def test_a_single_query_gets_its_answer_whatever_it_is() -> None:
    fused = one([BY_PATH, BY_PATH])
    answer = report(fused, *((f"/{n}", n) for n in range(1000)))
    assert answer.truncated
    assert parts_of(fused, answer) == [answer]


@pytest.mark.parametrize("other", ["/A", "/á", "/a ", "/a/", "/%61"])
def test_a_text_that_may_have_been_counted_as_another_is_not_trusted_unless_the_server_is_known(
    other: str,
) -> None:
    fused = one([on("/a"), on("/b")])
    for rows in ([(other, 1), ("/b", 2)], [(other, 1), ("/b", 2), ("/a", 3)]):
        first, second = parts_of(fused, report(fused, *rows))
        assert first is None
        assert second is not None
        assert second.column("pageviews") == [2]
        (first, _) = told(fused, report(fused, *rows), EXACT)
        assert first.column("pageviews") == [number for path, number in rows if path == "/a"]


@pytest.mark.parametrize("value", ["/a%20b", " /a"])
def test_a_value_that_the_server_may_read_as_another_is_not_trusted(value: str) -> None:
    fused = one([on(value), on("/b")])
    answer = report(fused, (value, 1), ("/b", 2))
    assert [part is None for part in parts_of(fused, answer)] == [True, False]
    assert [part.column("pageviews") for part in told(fused, answer, EXACT)] == [[1], [2]]


def test_a_group_that_comes_twice_is_not_trusted() -> None:
    fused = one([on("/a"), on("/b")])
    assert parts_of(fused, report(fused, ("/a", 1), ("/a", 2))) == [None, None]


def test_rows_without_a_value_are_nobodys() -> None:
    fused = one([on("/a"), on("/b")])
    parts = told(fused, report(fused, (None, 1), ("", 2), ("/a", 3)))
    assert [part.column("pageviews") for part in parts] == [[3], []]


def test_the_answer_must_be_that_of_the_request() -> None:
    fused = one([on("/a"), on("/b")])
    message = f"this is no answer to {fused.query!r}, but to {TOTAL!r}"
    with pytest.raises(ArgumentError, match=re.escape(message)):
        parts_of(fused, Report(TOTAL, ()))


def test_some_of_the_queries_can_be_told_by_themselves() -> None:
    fused = one([on("/a"), on("/b"), on("/c")])
    answer = report(fused, ("/a", 1), ("/b", 2))
    assert [part.column("pageviews") for part in told(fused.only([on("/b")]), answer)] == [[2]]
    assert [part.column("pageviews") for part in told(fused.only([on("/c"), on("/a")]), answer)] == [[1], []]


# Hours, of which only the site's time zone tells that clocks show them once

NEW_YORK = ServerKnowledge(zones={"CDBUGS": ZoneInfo(ZONE)})
NINE, TWO = (
    during(f"2026-01-01 {hour}:00:00", f"2026-01-01 {hour}:59:59", on(path))
    for hour, path in (("09", "/a"), ("14", "/b"))
)
AT_NINE, AT_TWO = (datetime(2026, 1, 1, hour) for hour in (9, 14))  # noqa: DTZ001 - the site's clock


def test_hours_are_told_where_the_time_zone_is_known() -> None:
    [fused] = fuse([NINE, TWO], NEW_YORK)
    answer = report(fused, (AT_NINE, "/a", 1), (AT_NINE, "/b", 2), (AT_TWO, "/b", 3))
    assert [part.column("pageviews") for part in told(fused, answer, NEW_YORK)] == [[1], [3]]
    assert parts_of(fused, answer) == [None, None]


# What a check would help to tell


def test_a_check_helps_with_texts_that_look_alike() -> None:
    fused = one([on("/a"), on("/b")])
    answer = report(fused, ("/A", 1), ("/b", 2))
    assert parts_of(fused, answer)[0] is None
    assert doubted(fused, answer, [on("/a")], ServerKnowledge()) == ["pathname"]
    assert doubted(fused, answer, [on("/b")], ServerKnowledge()) == [], "the answer tells it apart"
    for is_exact in (True, False):
        assert doubted(fused, answer, [on("/a")], ServerKnowledge(exact={"pathname": is_exact})) == []
    twice = report(fused, ("/A", 1), ("/A", 2))
    assert doubted(fused, twice, [on("/a")], ServerKnowledge()) == [], (
        "nor would it be told by an exact server"
    )


def test_a_check_is_of_the_properties_that_are_in_doubt() -> None:
    chrome, opera = (
        on(path, TOTAL.replace(filters=[Filter("browser", "is", name)]))
        for path, name in (("/a", "Chrome"), ("/b", "Opera"))
    )
    fused = one([chrome, opera])
    assert fused.query.field_grouping == ("browser", "pathname")
    for rows, names in (
        ([("Chrome", "/A", 1)], ["pathname"]),
        ([("chrome", "/a", 1)], ["browser"]),
        ([("chrome", "/A", 1)], ["browser", "pathname"]),
        ([("Chrome", "/a", 1)], []),
    ):
        answer = report(fused, *rows, ("Opera", "/b", 2))
        assert doubted(fused, answer, [chrome, opera], ServerKnowledge()) == names
        exact = ServerKnowledge(exact={"browser": True})
        assert doubted(fused, answer, [chrome], exact) == [name for name in names if name != "browser"]


def test_of_an_answer_that_was_cut_off_a_check_of_what_is_filtered_makes_room() -> None:
    chrome, opera = (
        on(path, TOTAL.replace(filters=[Filter("browser", "is", name), Filter("city", "is not", "Rome")]))
        for path, name in (("/a", "Chrome"), ("/b", "Opera"))
    )
    fused = one([chrome, opera])
    cut = Report(fused.query, (), truncated=True)
    assert doubted(fused, cut, [chrome, opera], ServerKnowledge()) == ["pathname"], (
        "exact patterns let less through"
    )
    assert doubted(fused, cut, [chrome, opera], ServerKnowledge(exact={"pathname": False})) == []


def test_a_check_of_hours_helps_where_the_time_zone_is_known() -> None:
    chrome, opera = (
        query.replace(filters=[*query.filters, Filter("browser", "is", name)])
        for query, name in ((NINE, "Chrome"), (TWO, "Opera"))
    )
    [fused] = fuse([chrome, opera], NEW_YORK)
    answer = report(fused, (AT_NINE, "Chrome", "/A", 1), (AT_TWO, "Opera", "/b", 3))
    assert doubted(fused, answer, [chrome], NEW_YORK) == ["pathname"]
    assert doubted(fused, answer, [chrome], ServerKnowledge()) == []


def parts_of(fused: Fused[Row], answer: Report[Row]) -> Sequence[Report[Row] | None]:
    return fused.split(answer, ServerKnowledge())
