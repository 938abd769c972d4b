"""What is fused, and what is not."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from fathom_async import EventQuery, Filter, PageviewQuery
from fathom_async._bulk.fusing import fuse
from fathom_async._reports.query import AnyQuery
from fathom_async.testing import Pageview
from tests.bulk.fusing.world import (
    BEGIN,
    BY_PATH,
    DAILY,
    SALES,
    TOTAL,
    VISITS,
    ZONE,
    compare,
    dataset,
    during,
    on,
    one,
    same,
)

# What is asked


def test_aggregates_are_asked_for_together() -> None:
    fused = one([TOTAL, VISITS])
    assert fused.query == TOTAL.replace(aggregates=["pageviews", "visits"])
    assert fused.how == ("2 metrics together",)


def test_values_are_asked_for_as_groups() -> None:
    fused = one([on("/a.b"), on("/(c)")])
    assert fused.query == TOTAL.replace(
        field_grouping=["pathname"],
        filters=[Filter("pathname", "matching", "^ ?(/(.[cC].|[aA].[bB]))[/ ]*$|.*[^ -$&-~].*")],
    )
    assert fused.how == ("2 pathnames as groups",)


def test_categories_are_grouped_without_restriction() -> None:
    fused = one([TOTAL.replace(filters=[Filter("country_code", "is", code)]) for code in ("DE", "US", "FR")])
    assert fused.query == TOTAL.replace(field_grouping=["country_code"])
    assert fused.how == ("3 country codes as groups",)


def test_what_all_share_stays_a_filter() -> None:
    base = TOTAL.replace(filters=[Filter("browser", "is", "Chrome"), Filter("pathname", "is not", "/b")])
    fused = one([on("/a", base), on("/b", base)])
    assert fused.query.field_grouping == ("pathname",)
    pattern = Filter("pathname", "matching", "^ ?(/([aA]|[bB]))[/ ]*$|.*[^ -$&-~].*")
    assert set(fused.query.filters) == {*base.filters, pattern}


def test_days_are_asked_for_by_the_day() -> None:
    fused = one([during("2026-01-30"), during("2026-02-02")])
    assert fused.query == during("2026-01-30", "2026-02-02").replace(date_grouping="day")
    assert fused.query.date_to == datetime(2026, 2, 2, 23, 59, 59)  # noqa: DTZ001 - not a second later
    assert fused.how == ("2 ranges from figures by the day",)


def test_months_years_and_hours_are_asked_for_in_the_same_way() -> None:
    months = one([during("2026-02-01", "2026-02-28"), during("2025-12-01", "2025-12-31")])
    assert months.query == during("2025-12-01", "2026-02-28").replace(date_grouping="month")
    years = one([during("2024-01-01", "2024-12-31"), during("2020-01-01", "2020-12-31")])
    assert years.query == during("2020-01-01", "2024-12-31").replace(date_grouping="year")
    hours = one(
        [TOTAL.replace(timezone="UTC", **an_hour(1, 9)), TOTAL.replace(timezone="UTC", **an_hour(2, 23))]
    )
    assert hours.query.date_grouping == "hour"
    assert str(hours.query.date_to) == "2026-01-02 23:59:59"


def an_hour(day: int, hour: int, month: int = 1) -> dict[str, str]:
    begin = f"2026-{month:02}-{day:02} {hour:02}"
    return {"date_from": f"{begin}:00:00", "date_to": f"{begin}:59:59"}


def test_charts_by_the_day_and_single_days_are_one_request() -> None:
    week = during("2026-01-25", "2026-01-31").replace(date_grouping="day")
    month = during("2026-01-01", "2026-01-31", VISITS).replace(date_grouping="day", sort_by="timestamp:desc")
    fused = one([week, month, during("2026-02-01")])
    assert fused.query == during("2026-01-01", "2026-02-01").replace(
        aggregates=["pageviews", "visits"], date_grouping="day"
    )
    assert fused.how == ("2 metrics together", "3 ranges from figures by the day")


def test_rules_compose() -> None:
    days = [f"2026-01-{day:02}" for day in range(1, 8)]
    queries = [
        during(day, query=on(f"/{page}", query))
        for day in days
        for page in range(9)
        for query in (TOTAL, VISITS)
    ]
    fused = one(queries)
    assert fused.how == ("2 metrics together", "9 pathnames as groups", "7 ranges from figures by the day")
    assert [asked.query for asked in fused.asked] == queries


def test_repeats_are_asked_once() -> None:
    fused = one([TOTAL, TOTAL.replace(), TOTAL])
    assert fused.query is TOTAL
    assert [asked.positions for asked in fused.asked] == [(0, 1, 2)]
    assert fused.how == ("2 repeats left out",)


@pytest.mark.filterwarnings("ignore::fathom_async.UnsortedLimitWarning")
def test_one_query_is_asked_as_it_is() -> None:
    for query in (
        TOTAL,
        on("/a"),
        during("2026-01-01"),
        SALES,
        TOTAL.replace(field_grouping=["pathname"], limit=5),
    ):
        fused = one([query])
        assert fused.query is query
        assert fused.how == ()


def test_every_position_is_answered_once_and_requests_come_in_the_order_asked() -> None:
    queries: list[AnyQuery] = [
        SALES,
        TOTAL,
        on("/b"),
        VISITS,
        on("/a"),
        SALES,
        on("/a"),
        during("2026-01-01"),
    ]
    plan = fuse(queries)
    assert [[asked.positions for asked in fused.asked] for fused in plan] == [
        [(0, 5)],
        [(1,), (3,)],
        [(2,), (4, 6)],
        [(7,)],
    ]
    assert fuse(queries) == plan
    assert fuse([]) == ()


# What is not fused, because it would change a result

NAMED = TOTAL.replace(timezone=ZONE)
TWO_DAYS = during("2026-01-01", "2026-01-02", DAILY)
ROME, OSLO = Filter("city", "is", "Rome"), Filter("city", "is", "Oslo")
DOTTED = TOTAL.replace(filters=[Filter("domain", "is", "x.com")])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(TOTAL, VISITS.replace(timezone="UTC"), id="time zones"),
        pytest.param(TOTAL, PageviewQuery("OTHER", aggregates=["visits"]), id="sites"),
        pytest.param(TOTAL, SALES, id="entities"),
        pytest.param(SALES, EventQuery("CDBUGS", "call", aggregates=["value"]), id="events"),
        pytest.param(BY_PATH, BY_PATH.replace(aggregates=["visits"]), id="an order of the server's own"),
        pytest.param(
            BY_PATH.replace(sort_by="pathname:asc", limit=5),
            BY_PATH.replace(aggregates=["visits"], sort_by="pathname:desc", limit=5),
            id="different ends of one order",
        ),
        pytest.param(
            BY_PATH.replace(field_grouping=["pathname", "browser"], sort_by="pathname:asc"),
            VISITS.replace(field_grouping=["pathname", "browser"], sort_by="pathname:asc"),
            id="an order of one column of two",
        ),
        pytest.param(
            BY_PATH.replace(date_grouping="day", sort_by="pathname:asc"),
            VISITS.replace(field_grouping=["pathname"], date_grouping="day", sort_by="pathname:asc"),
            id="an order of groups, not of dates",
        ),
        pytest.param(
            DAILY.replace(sort_by="pageviews:asc"),
            DAILY.replace(aggregates=["pageviews", "visits"], sort_by="pageviews:asc"),
            id="dates by a metric",
        ),
        pytest.param(
            DAILY.replace(limit=3), DAILY.replace(aggregates=["visits"], limit=3), id="any three dates"
        ),
        pytest.param(on(""), on("/a"), id="no value and one value"),
        pytest.param(on("/a", on("/b")), on("/a", on("/c")), id="two values at once"),
        pytest.param(DOTTED, DOTTED.replace(filters=[Filter("domain", "is", "y.com")]), id="no grouping"),
        pytest.param(
            on("/a"), on("/b", TOTAL.replace(filters=[Filter("pathname", "is not", "/b")])), id="other filters"
        ),
        pytest.param(during("2026-01-01"), during("2026-01-02", "2026-01-02 12:00:00"), id="half a day"),
        pytest.param(during("2026-01-01"), during("2026-01-02 00:00:01", "2026-01-02"), id="less a second"),
        pytest.param(during("2026-01-01"), TOTAL.replace(date_from="2026-01-02"), id="an open end"),
        pytest.param(during("2026-01-01"), TOTAL.replace(date_to="2026-01-02"), id="an open begin"),
        pytest.param(
            during("2026-01-01", "2026-01-02").replace(date_grouping="day"),
            during("2026-01-03", "2026-01-04 12:00:00").replace(date_grouping="day"),
            id="half a day of a chart",
        ),
        pytest.param(TOTAL.replace(**an_hour(1, 9)), TOTAL.replace(**an_hour(1, 8)), id="hours of no known clock"),
        pytest.param(NAMED.replace(**an_hour(1, 9)), NAMED.replace(**an_hour(8, 9)), id="hours too far apart"),
        pytest.param(during("2020-01-01"), during("2026-01-01"), id="too many days"),
        pytest.param(TWO_DAYS.replace(filters=[ROME]), TWO_DAYS.replace(filters=[OSLO]), id="too many rows"),
        pytest.param(
            on("/a", DAILY), on("/b", DAILY), id="nobody knows how many rows"
        ),
        pytest.param(
            on("/a", TOTAL.replace(field_grouping=["entry_page"], sort_by="entry_page:asc")),
            on("/b", TOTAL.replace(field_grouping=["entry_page"], sort_by="entry_page:asc")),
            id="columns with many values",
        ),
    ],
)  # fmt: skip
def test_never_where_it_would_change_a_result(first: AnyQuery, second: AnyQuery) -> None:
    assert [fused.query for fused in fuse([first, second])] == [first, second]


@pytest.mark.parametrize("step", [1, -1])
def test_what_an_answer_in_no_certain_order_contains_rides_along(step: int) -> None:
    views = [
        Pageview(site_id="CDBUGS", at=BEGIN + timedelta(days=n % 3), session=f"{n}", pathname=f"/{n % 4}")
        for n in range(9)
    ]
    by_day = BY_PATH.replace(aggregates=["visits", "pageviews"], date_grouping="day")
    by_day = during("2026-01-01", "2026-01-03", by_day.replace(field_grouping=["device_type"]))
    total = by_day.replace(date_grouping=None, field_grouping=[], aggregates=["pageviews"])
    contained = [
        total,
        total.replace(field_grouping=["device_type"], sort_by="pageviews:desc"),
        during("2026-01-02"),
    ]
    comparison = compare(dataset(views), [by_day, *contained][::step])
    assert same(comparison)
    assert [fused.query for fused in fuse([by_day, *contained][::step])] == [by_day]
    top = BY_PATH.replace(sort_by="pageviews:desc")
    [fused] = fuse([TOTAL, top, on("/a"), BY_PATH][::step])
    assert (fused.query, fused.how) == (BY_PATH, ("3 contained in another",))


def test_nothing_rides_along_with_an_answer_that_may_be_cut_off() -> None:
    for query in (BY_PATH.replace(date_grouping="day"), BY_PATH.replace(sort_by="pageviews:desc", limit=300)):
        assert [fused.query for fused in fuse([query, TOTAL])] == [query, TOTAL]


def test_an_excluded_value_stays_excluded() -> None:
    contradiction = on("/a", TOTAL.replace(filters=[Filter("pathname", "is not", "/a")]))
    data = dataset([Pageview(site_id="CDBUGS", at=BEGIN, session="a", pathname="/a")])
    comparison = compare(data, [contradiction, contradiction.replace(aggregates=["visits"])])
    assert same(comparison)
    assert [len(each) for each in comparison.separate] == [0, 0]


def test_equal_queries_whose_columns_are_in_another_order_may_have_rows_in_another_order() -> None:
    query = TOTAL.replace(field_grouping=["pathname", "browser"])
    other = query.replace(field_grouping=["browser", "pathname"])
    assert query == other
    assert len(fuse([query, other])) == 2
    assert (
        len(
            fuse(
                [
                    on("/a", query).replace(sort_by="browser:asc"),
                    on("/a", other).replace(sort_by="browser:asc"),
                ]
            )
        )
        == 1
    )


def test_urls_stay_short() -> None:
    plan = fuse([on(f"/blog/über uns/{number}?ref=(x|y)") for number in range(500)])
    assert len(plan) <= 12
    assert all(len(urlencode(fused.query.params())) < 4_600 for fused in plan)


@pytest.mark.parametrize("name", ["utm_term", "city"])
def test_long_filters_leave_less_room_for_values(name: str) -> None:
    long = TOTAL.replace(
        filters=[Filter.from_dict({"property": name, "operator": "is", "value": "x" * 3_500})]
    )
    plan = fuse([on(f"/{number:0100}", long) for number in range(100)])
    assert len(plan) < 100
    assert all(len(urlencode(fused.query.params())) < 7_000 for fused in plan)


def test_values_and_times_are_put_together_in_the_better_way() -> None:
    cities = [TOTAL.replace(filters=[Filter("city", "is", name)]) for name in ("Rome", "Oslo", "Bern")]
    month = [f"2026-01-{day:02}" for day in range(1, 31)]
    assert len(fuse([during(day, query=city) for day in month for city in cities])) == len(cities)
    assert len(fuse([during(day, query=city) for day in month[:3] for city in cities[:2]])) == 2
    decades = ["2006-01-01", "2016-01-01"]
    assert len(fuse([during(day, query=city) for city in cities for day in decades])) == len(decades)


def test_a_day_that_begins_an_hour_late_is_a_day() -> None:
    brazil, days = TOTAL.replace(timezone="America/Sao_Paulo"), ("2018-11-03", "2018-11-04", "2018-11-05")
    begin = datetime(2018, 11, 4, tzinfo=UTC)  # in São Paulo, midnight was skipped three hours later
    views = [
        Pageview(site_id="CDBUGS", at=begin + timedelta(minutes=n), session=str(n))
        for n in range(0, 3000, 30)
    ]
    comparison = compare(dataset(views), [during(day, query=brazil) for day in days])
    assert comparison.requests == 2, "servers differ in when a day begins whose midnight was skipped"
    assert same(comparison)
    assert [each.column("pageviews") for each in comparison.fused] == [[6], [46], [48]]
