"""The plan of a backfill, before any request."""

# ruff: noqa: DTZ001 - the clock of a site has no time zone of its own

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from fathom_async import ArgumentError, PageviewQuery
from fathom_async._reports.rows import PageviewRow
from fathom_async.backfill._backfill_plan import BackfillPlan, plan_backfill
from tests.support.soak import tries

QUERY = PageviewQuery("CDBUGS", aggregates=["pageviews"])
NEW_YORK = ZoneInfo("America/New_York")


def plan(query: PageviewQuery = QUERY, **changes: Any) -> BackfillPlan[PageviewRow]:
    arguments: dict[str, Any] = {
        "since": "2026-01-15",
        "until": None,
        "grouping": "day",
        "look_back": 3,
        "incomplete": False,
        "zone": NEW_YORK,
        "now": datetime(2026, 3, 20, 3, 30, tzinfo=UTC),  # the 19th in New York
    }
    return plan_backfill(query, **(arguments | changes))


def range_of(made: BackfillPlan[PageviewRow]) -> tuple[str, str]:
    params = made.over(made.wanted).params()
    return params["date_from"], params["date_to"]


@pytest.mark.parametrize(
    ("changes", "first", "last"),
    [
        ({}, "2026-01-15 00:00:00", "2026-03-18 23:59:59"),
        ({"incomplete": True}, "2026-01-15 00:00:00", "2026-03-19 23:59:59"),
        ({"grouping": "month"}, "2026-01-01 00:00:00", "2026-02-28 23:59:59"),
        ({"grouping": "month", "until": date(2026, 1, 20)}, "2026-01-01 00:00:00", "2026-01-31 23:59:59"),
        ({"grouping": "hour"}, "2026-01-15 00:00:00", "2026-03-19 22:59:59"),
        ({"grouping": "hour", "until": "2026-01-15"}, "2026-01-15 00:00:00", "2026-01-15 23:59:59"),
        ({"grouping": "year", "incomplete": True}, "2026-01-01 00:00:00", "2026-12-31 23:59:59"),
        ({"until": "2026-02-01"}, "2026-01-15 00:00:00", "2026-02-01 23:59:59"),
        ({"until": "2027-02-01"}, "2026-01-15 00:00:00", "2026-03-18 23:59:59"),
    ],
)
def test_periods_end_by_the_clock_of_the_site(changes: dict[str, Any], first: str, last: str) -> None:
    assert range_of(plan(**changes)) == (first, last)


def test_the_querys_own_zone_is_the_clock() -> None:
    query = QUERY.replace(timezone="UTC")
    assert range_of(plan(query, zone=None))[1] == "2026-03-19 23:59:59"


@pytest.mark.parametrize(
    ("now", "last"),
    [
        (datetime(2026, 11, 1, 5, 59, tzinfo=UTC), "2026-11-01 00:59:59"),  # 1:59, the first time
        (datetime(2026, 11, 1, 6, 59, tzinfo=UTC), "2026-11-01 00:59:59"),  # 1:59, the second time
        (datetime(2026, 11, 1, 7, 0, tzinfo=UTC), "2026-11-01 01:59:59"),
    ],
)
def test_an_hour_that_comes_twice_is_complete_after_the_second(now: datetime, last: str) -> None:
    assert range_of(plan(grouping="hour", now=now))[1] == last


@pytest.mark.parametrize("changes", [{"since": "2026-03-19"}, {"since": "2027-01-01"}, {"grouping": "year"}])
def test_nothing_is_wanted_where_no_period_is_complete(changes: dict[str, Any]) -> None:
    assert not plan(**changes).wanted


@pytest.mark.parametrize(
    ("hour", "minute", "look_back", "first"),
    [
        (3, 30, 3, date(2026, 3, 16)),
        (3, 59, 0, date(2026, 3, 19)),
        (
            4,
            0,
            0,
            date(2026, 3, 19),
        ),  # midnight in New York: the 19th is over, and its last hits may be on their way
        (4, 59, 0, date(2026, 3, 19)),
        (5, 0, 0, date(2026, 3, 20)),
        (5, 0, 1, date(2026, 3, 19)),
    ],
)
def test_periods_are_settled_an_hour_after_their_end_or_once_later_ones_are_over_too(
    hour: int, minute: int, look_back: int, first: date
) -> None:
    made = plan(look_back=look_back, now=datetime(2026, 3, 20, hour, minute, tzinfo=UTC))
    assert made.layout.unit.value(made.settled_before) == first


@pytest.mark.parametrize(
    ("zone", "back"),
    [("America/Santiago", (4, 4)), ("America/Havana", (11, 1)), ("Australia/Lord_Howe", (4, 5))],
)
@pytest.mark.parametrize("grouping", ["hour", "day"])
def test_where_clocks_go_back_a_period_is_settled_an_hour_after_it_has_ended_for_the_last_time(
    zone: str, back: tuple[int, int], grouping: str
) -> None:
    clock = ZoneInfo(zone)
    around, days = tries(
        (datetime(2026, *back, tzinfo=UTC), 14), soak=(datetime(2026, 7, 1, tzinfo=UTC), 182)
    )
    moment, unsettled = around - timedelta(days=days), dict[int, datetime]()
    while moment < around + timedelta(days=days):
        made = plan(zone=clock, now=moment, grouping=grouping, look_back=0)
        running = made.layout.unit.index(moment.astimezone(clock).replace(tzinfo=None))
        unsettled[running] = moment
        settled = made.settled_before - 1
        assert settled not in unsettled or moment - unsettled[settled] > timedelta(hours=1)
        assert made.settled_before > running - (3 if grouping == "hour" else 2)
        moment += timedelta(minutes=30)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"zone": None},
            "zone of the site 'CDBUGS' is unknown; set timezone='Europe/Berlin' on the query",
        ),
        ({"since": "Jan 15"}, "since cannot be read: 'Jan 15'; write '2026-01-31'"),
        ({"since": datetime(2026, 1, 1)}, "since takes a date"),
        ({"until": 3}, "until takes a date"),
        ({"until": "2026-01-01"}, "before since 2026-01-15; swap them"),
        ({"look_back": -1}, "look_back"),
        ({"look_back": True}, "look_back"),
        ({"grouping": "days"}, "did you mean 'day'"),
        ({"grouping": "week"}, "there are: hour, day, month, year"),
        ({"now": datetime(2026, 1, 1)}, "time zone"),
    ],
)
def test_arguments_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        plan(**changes)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (QUERY.replace(date_from="2026-01-01"), "leave out date_from"),
        (QUERY.replace(limit=10), "leave out limit=10"),
        (QUERY.replace(sort_by="pageviews:desc"), "leave out sort_by"),
        (QUERY.replace(date_grouping="month"), "write grouping='month'"),
        (QUERY.replace(timezone="Europe/Berlin"), "leave out one of them"),
        ("CDBUGS", "takes one PageviewQuery or EventQuery"),
    ],
)
def test_queries_that_do_not_suit_a_table_are_refused(query: PageviewQuery, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        plan(query)
