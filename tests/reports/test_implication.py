"""What one answer says of another, rule by rule."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from fathom_async import EventQuery, Filter, PageviewQuery, Report
from fathom_async._core.codec.rows import Row
from fathom_async._reports.implication import SourceAnswer, implies
from fathom_async._reports.query import AnyQuery

JANUARY = PageviewQuery("CDBUGS", aggregates=["pageviews"], date_from="2026-01-01", date_to="2026-01-31")
BY_DAY = JANUARY.replace(date_grouping="day", aggregates=["pageviews", "visits"])
BY_PATH = JANUARY.replace(field_grouping=["pathname"], aggregates=["pageviews", "visits"])
SALES = EventQuery(
    "CDBUGS", "buy", aggregates=["value"], date_grouping="day", date_from="2026-01-01", date_to="2026-01-31"
)
TOP = BY_PATH.replace(sort_by="pageviews:desc", limit=2)


def on(path: str, query: PageviewQuery = JANUARY) -> PageviewQuery:
    return query.replace(filters=[*query.filters, Filter("pathname", "is", path)])


def answer(query: AnyQuery, *rows: tuple[object, ...], exact: tuple[str, ...] = ()) -> SourceAnswer[Row]:
    return SourceAnswer(Report(query, tuple(query.codec.row(*row) for row in rows)), exact=exact)


def derived(known: SourceAnswer[Row], asked: AnyQuery) -> list[tuple[object, ...]] | None:
    report = known.derive(asked)
    return None if report is None else [tuple(row.values()) for row in report.to_dicts()]


def test_additive_metrics_are_summed_over_days_and_others_are_not() -> None:
    known = answer(BY_DAY, (date(2026, 1, 1), 2, 1), (date(2026, 1, 9), 3, 2))
    assert derived(known, JANUARY) == [(5,)]
    assert derived(known, JANUARY.replace(date_to="2026-01-08")) == [(2,)]
    assert derived(known, JANUARY.replace(date_from="2026-01-10")) == []
    assert derived(known, JANUARY.replace(aggregates=["visits"])) is None
    one = JANUARY.replace(aggregates=["visits"], date_from="2026-01-09", date_to="2026-01-09")
    assert derived(known, one) == [(2,)]


def test_a_value_is_null_only_if_all_of_its_parts_are() -> None:
    days = [date(2026, 1, day) for day in (1, 2, 3)]
    total = SALES.replace(date_grouping=None)
    assert derived(answer(SALES, (days[0], None), (days[1], None)), total) == [(None,)]
    assert derived(answer(SALES, (days[0], None), (days[1], 7), (days[2], None)), total) == [(7,)]


def test_a_value_of_a_filter_is_a_group_and_no_other_operator_is_evaluated() -> None:
    known = answer(BY_PATH, ("/a", 2, 1), ("/b", 3, 2))
    assert derived(known, on("/b")) == [(3,)]
    assert derived(known, on("/c")) == []
    assert derived(known, on("/b", BY_PATH.replace(aggregates=["visits"]))) == [("/b", 2)]
    for operator in ("is not", "is like", "matching"):
        assert not implies(BY_PATH, JANUARY.replace(filters=[Filter("pathname", operator, "/b")]))
    assert not implies(BY_PATH, on(""))
    assert not implies(BY_PATH, on("/a", on("/b")))


def test_a_pattern_of_literals_restricts_a_source_to_the_values_that_it_lets_through() -> None:
    known = BY_PATH.replace(filters=[Filter("pathname", "matching", "^(/[aA]|/b\\.c) *$")])
    assert implies(known, on("/a"))
    assert implies(known, on("/b.c"))
    assert not implies(known, on("/bxc"))
    assert not implies(known, JANUARY)


@pytest.mark.parametrize(
    ("path", "like_it"), [("/a", "/A"), ("/a", "/a/"), ("/a", "/a "), ("/\u00fc", "/%C3%BC")]
)
def test_a_group_that_looks_like_the_one_asked_for_is_a_doubt(path: str, like_it: str) -> None:
    rows = ((path, 2, 1), (like_it, 3, 2), ("/other", 1, 1))
    assert derived(answer(BY_PATH, *rows), on(path)) is None
    assert derived(answer(BY_PATH, rows[1]), on(path)) is None
    assert derived(answer(BY_PATH, *rows), on("/other")) == [(1,)]
    assert derived(answer(BY_PATH, *rows, exact=("pathname",)), on(path)) == [(2,)]


def test_sums_into_groups_that_look_alike_are_a_doubt() -> None:
    by_browser = BY_PATH.replace(field_grouping=["pathname", "browser"], sort_by="pageviews:asc")
    asked = by_browser.replace(field_grouping=["pathname"], aggregates=["pageviews"])
    rows = (("/A", "Chrome", 1, 1), ("/a", "Firefox", 2, 2))
    assert derived(answer(by_browser, *rows), asked) is None
    assert derived(answer(by_browser, ("/a", "Chrome", 1, 1), rows[1]), asked) == [("/a", 3)]


def test_the_first_rows_are_sorted_here_if_no_two_are_equal_down_to_the_cut() -> None:
    rows = (("/a", 5, 1), ("/b", 9, 2), ("/c", 7, 3), ("/d", 5, 4))
    assert derived(answer(BY_PATH, *rows), TOP) == [("/b", 9, 2), ("/c", 7, 3)]
    assert derived(answer(BY_PATH, *rows), TOP.replace(limit=3)) is None
    assert derived(answer(BY_PATH, *rows), TOP.replace(limit=None)) is None
    assert derived(answer(BY_PATH, *rows), TOP.replace(sort_by="visits:asc", limit=None)) == [*rows]


def test_texts_keep_the_order_of_a_source_that_sorts_by_them() -> None:
    by_name = BY_PATH.replace(sort_by="pathname:asc")
    known = answer(by_name, ("/_", 1, 1), ("/b", 1, 1), ("/Z", 1, 1))
    assert derived(known, by_name.replace(aggregates=["visits"])) == [("/_", 1), ("/b", 1), ("/Z", 1)]
    assert derived(known, by_name.replace(sort_by="pathname:desc", limit=1)) == [("/Z", 1, 1)]
    assert not implies(BY_PATH, by_name)


def test_a_query_that_leaves_the_order_to_the_server_is_not_derived() -> None:
    assert not implies(BY_PATH, BY_PATH.replace(aggregates=["visits"]))


def test_nulls_in_the_sorted_column_are_a_doubt() -> None:
    slowest = BY_PATH.replace(aggregates=["avg_duration"], sort_by="avg_duration:desc")
    known = answer(slowest.replace(sort_by=None), ("/a", 1.5), ("/b", None))
    assert derived(known, slowest) is None
    assert derived(answer(slowest.replace(sort_by=None), ("/a", None)), slowest) == [("/a", None)]


def test_a_truncated_answer_has_the_first_rows_of_a_lower_limit_only() -> None:
    rows = (("/b", 9, 2), ("/c", 7, 3), ("/d", 5, 4))
    known = answer(TOP.replace(limit=3), *rows)
    assert derived(known, TOP.replace(aggregates=["pageviews"])) == [("/b", 9), ("/c", 7)]
    assert derived(known, TOP) == [*rows[:2]]
    assert derived(known, TOP.replace(sort_by="pageviews:asc")) is None
    assert derived(known, on("/b")) is None
    tied = answer(TOP.replace(limit=3), ("/b", 9, 2), ("/c", 7, 3), ("/d", 7, 4))
    assert derived(tied, TOP) is None


def test_an_answer_that_names_a_group_twice_is_a_doubt() -> None:
    assert derived(answer(BY_PATH, ("/a", 1, 1), ("/a", 2, 2)), on("/a")) is None


def test_a_range_begins_and_ends_with_a_bucket_or_with_its_source() -> None:
    known = BY_DAY.replace(date_from="2026-01-01 12:00:00")
    assert implies(known, JANUARY.replace(date_from="2026-01-01 12:00:00", date_to="2026-01-05"))
    assert implies(known, JANUARY.replace(date_from="2026-01-02"))
    assert not implies(known, JANUARY)
    assert not implies(known, JANUARY.replace(date_from="2026-01-02 12:00:00"))
    assert not implies(known, JANUARY.replace(date_from="2026-01-02", date_to="2026-02-01"))
    assert not implies(known, JANUARY.replace(date_from="2026-01-02", date_to=None))
    assert not implies(JANUARY, BY_DAY.replace(aggregates=["pageviews"]))
    assert implies(BY_DAY.replace(date_to=None), JANUARY)


def test_buckets_are_summed_to_longer_ones() -> None:
    known = answer(BY_DAY, (date(2026, 1, 1), 2, 1), (date(2026, 1, 9), 3, 2))
    assert derived(known, JANUARY.replace(date_grouping="month")) == [(date(2026, 1, 1), 5)]


@pytest.mark.parametrize(
    ("zone", "first", "last"),
    [
        ("America/Santiago", "2026-04-01", "2026-04-04"),  # its last hour comes twice
        ("America/Havana", "2026-11-01", "2026-11-05"),  # its first hour comes twice
        ("Africa/Cairo", "2026-10-01", "2026-10-29"),
    ],
)
def test_days_at_whose_ends_clocks_go_back_are_no_certain_ends(zone: str, first: str, last: str) -> None:
    year = BY_DAY.replace(date_from="2026-01-01", date_to="2026-12-31")
    asked = JANUARY.replace(date_from=first, date_to=last)
    for known in (ZoneInfo(zone), None):
        assert not implies(year, asked, zone=known)
    assert not implies(year.replace(timezone=zone), asked.replace(timezone=zone), zone=ZoneInfo("UTC"))
    assert implies(year, asked, zone=ZoneInfo("Europe/Berlin"))
    assert implies(year.replace(date_from=first, date_to=last), asked, zone=ZoneInfo(zone))


def test_hours_are_certain_where_the_time_zone_is_known() -> None:
    by_hour = BY_DAY.replace(date_grouping="hour", date_from="2026-10-24", date_to="2026-10-26")
    berlin = ZoneInfo("Europe/Berlin")
    for hour, is_certain in ((1, True), (2, False), (3, True)):
        asked = by_hour.replace(
            date_from=f"2026-10-25 {hour:02}:00:00", date_grouping=None, aggregates=["pageviews"]
        )
        assert implies(by_hour, asked, zone=berlin) is is_certain
        assert not implies(by_hour, asked)


def test_site_event_and_time_zone_are_the_same() -> None:
    assert not implies(BY_DAY, JANUARY.replace(site_id="OTHER"))
    assert not implies(BY_DAY, JANUARY.replace(timezone="UTC"))
    assert not implies(SALES, SALES.replace(entity_name="call"))
    assert not implies(JANUARY, BY_DAY)


def test_a_pattern_that_hides_look_alikes_is_a_doubt() -> None:
    rows = (("/a", 2, 1), ("/b", 3, 2))
    theirs, ours = ("^(/a|/b)$", "^ *(/[aA]|/[bB])[/ ]*$"), ("^ ?(/[aA]|/[bB])[/ ]*$|.*[^ -$&-~].*",)
    for pattern in (*theirs, *ours):
        known = BY_PATH.replace(filters=[Filter("pathname", "matching", pattern)])
        assert implies(known, on("/a"))
        assert derived(answer(known, *rows), on("/a")) == (None if pattern in theirs else [(2,)])
        assert derived(answer(known, *rows, exact=("pathname",)), on("/a")) == [(2,)]


def test_an_end_that_clocks_skip_may_be_read_as_one_of_the_day_before() -> None:
    asked = JANUARY.replace(
        date_from="2025-09-07", date_to="2025-09-07"
    )  # begins at 1:00 in America/Santiago
    days = asked.replace(date_grouping="day", aggregates=["pageviews", "visits"])
    known = answer(days, (date(2025, 9, 6), 1, 1), (date(2025, 9, 7), 3, 2))
    assert derived(known, asked) is None
    assert derived(known, asked.replace(sort_by="pageviews:desc")) is None
    by_path = days.replace(field_grouping=["pathname"])
    known = answer(by_path, (date(2025, 9, 6), "/a", 1, 1), (date(2025, 9, 7), "/a", 3, 2))
    top = asked.replace(field_grouping=["pathname"], sort_by="pageviews:desc", limit=5)
    assert derived(known, top) is None
    week = days.replace(date_to="2025-09-13")
    known = answer(week, (date(2025, 9, 6), 1, 1), (date(2025, 9, 7), 3, 2), (date(2025, 9, 13), 7, 7))
    assert derived(known, days.replace(date_to="2025-09-12")) == [
        (date(2025, 9, 6), 1, 1),
        (date(2025, 9, 7), 3, 2),
    ]
    assert derived(known, asked.replace(date_to="2025-09-12")) == [(4,)]


def test_several_rows_without_an_order_are_not_put_in_one() -> None:
    empty = BY_PATH.replace(filters=[Filter("pathname", "is", "")])  # a server may take null for it
    known = answer(empty, (None, 2, 1), ("", 3, 2))
    assert derived(known, empty.replace(aggregates=["visits"])) is None
    assert derived(known, empty.replace(aggregates=["visits"], sort_by="visits:asc")) == [(None, 1), ("", 2)]
    daily = empty.replace(date_grouping="day")
    known = answer(daily, (date(2026, 1, 1), None, 2, 1), (date(2026, 1, 1), "", 3, 2))
    assert derived(known, daily.replace(aggregates=["visits"])) is None


def test_an_answer_of_a_thousand_dates_may_lack_some() -> None:
    years = BY_DAY.replace(date_from="2020-01-01", date_to="2025-12-31")
    rows = [(date(2020, 1, 1) + timedelta(days=day), 1, 1) for day in range(1_000)]
    total = years.replace(date_grouping=None, aggregates=["pageviews"])
    assert derived(answer(years, *rows), total) is None
    assert derived(answer(years, *rows[1:]), total) == [(999,)]
    metrics = years.replace(aggregates=["visits"])
    assert derived(answer(years, *rows), metrics) == [(day, visits) for day, _, visits in rows]


def test_a_thousand_groups_that_are_known_to_be_all_are_enough() -> None:
    rows = tuple(BY_PATH.codec.row(f"/{number}", number, 1) for number in range(1_000))
    known = SourceAnswer(Report(BY_PATH, rows, truncated=False))
    assert derived(known, on("/7")) == [(7,)]


def test_an_answer_that_is_known_to_be_truncated_stays_so() -> None:
    rows = tuple(TOP.codec.row(path, count, 1) for path, count in (("/b", 9), ("/c", 7)))
    known = SourceAnswer(Report(TOP.replace(limit=3), rows, truncated=True))
    again = known.derive(TOP.replace(limit=3))
    assert again is not None
    assert again.truncated
    assert derived(known, TOP) is None, "what comes next may be equal to the last one"


def test_what_nobody_requested_stays_where_the_columns_are_the_same() -> None:
    report = BY_PATH.read(b'[{"pathname": "/a", "pageviews": "2", "visits": "1", "new": 7}]')
    known = SourceAnswer(report)
    for same in (BY_PATH, on("/a", BY_PATH)):
        again = known.derive(same)
        assert again is not None
        assert again.rows == report.rows
    fewer = known.derive(on("/a", BY_PATH.replace(aggregates=["visits"])))
    assert fewer is not None
    assert fewer.to_dicts() == [{"pathname": "/a", "visits": 1}]


def test_nothing_is_known_of_what_extra_asks_for() -> None:
    more = {"new": "1"}
    assert implies(BY_DAY, JANUARY)
    assert not implies(BY_DAY.replace(extra=more), JANUARY)
    assert not implies(BY_DAY, JANUARY.replace(extra=more))


def test_one_day_of_a_month_is_that_month() -> None:
    ends = BY_DAY.replace(date_from="2026-01-31", date_to="2026-02-01")
    known = answer(ends, (date(2026, 1, 31), 2, 1), (date(2026, 2, 1), 3, 2))
    months = ends.replace(date_grouping="month", aggregates=["visits"])
    assert derived(known, months) == [(date(2026, 1, 1), 1), (date(2026, 2, 1), 2)]
