"""Queries: checks, equality and parameters."""

# ruff: noqa: DTZ001 - the clock of a site has no time zone of its own

import json
import pickle
import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom_async import FathomClient
from fathom_async._reports.chunks import hour_chunks
from fathom_async._reports.fields import (
    CATEGORICAL_OPERATORS,
    CATEGORICAL_PROPERTIES,
    DATE_GROUPINGS,
    EVENT_AGGREGATES,
    FIELD_GROUPINGS,
    OPERATORS,
    PAGEVIEW_AGGREGATES,
    TEXT_PROPERTIES,
)
from fathom_async._reports.filters import Filter, where
from fathom_async._reports.periods import Period
from fathom_async._reports.query import AnyQuery, EventQuery, PageviewQuery, query_from_params
from fathom_async.errors import DecodeError, QueryError
from fathom_async.testing import FathomServer

ANY_LIMIT = pytest.mark.filterwarnings("ignore::fathom_async.UnsortedLimitWarning")


def pageviews(**arguments: Any) -> PageviewQuery:
    given: dict[str, Any] = {"site_id": "CDBUGS", "aggregates": ["pageviews"], **arguments}
    return PageviewQuery(**given)


FULL = PageviewQuery(
    "CDBUGS",
    aggregates=["pageviews", "visits"],
    field_grouping=["pathname", "browser"],
    date_grouping="day",
    date_from="2026-01-01",
    date_to="2026-01-31",
    filters=[Filter("pathname", "matching", "^/blog/"), where.browser != "Chrome"],
    sort_by="pageviews:desc",
    limit=100,
    timezone="Europe/Berlin",
)


def test_a_query_is_sent_as_the_reference_writes_it() -> None:
    assert FULL.params() == {
        "entity": "pageview",
        "entity_id": "CDBUGS",
        "aggregates": "pageviews,visits",
        "field_grouping": "pathname,browser",
        "date_grouping": "day",
        "date_from": "2026-01-01 00:00:00",
        "date_to": "2026-01-31 23:59:59",
        "filters": '[{"property":"pathname","operator":"matching","value":"^/blog/"},'
        '{"property":"browser","operator":"is not","value":"Chrome"}]',
        "sort_by": "pageviews:desc",
        "limit": "100",
        "timezone": "Europe/Berlin",
    }


def test_an_event_is_named_next_to_its_site() -> None:
    assert EventQuery("CDBUGS", "Purchased product", aggregates=["conversions", "value"]).params() == {
        "entity": "event",
        "site_id": "CDBUGS",
        "entity_name": "Purchased product",
        "aggregates": "conversions,value",
    }


def test_columns_are_the_date_then_groupings_then_aggregates() -> None:
    assert FULL.columns == ("date", "pathname", "browser", "pageviews", "visits")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"aggregates": "pageviews,visits"}, r"write aggregates=\['pageviews', 'visits'\]"),
        ({"aggregates": []}, "aggregates is empty"),
        ({"aggregates": None}, "takes a list of names"),
        ({"aggregates": ["page_views"]}, "did you mean 'pageviews'"),
        ({"aggregates": ["conversions"]}, "only in EventQuery"),
        ({"aggregates": ["visits", "visits"]}, "names 'visits' twice"),
        ({"aggregates": [3]}, "takes names as str"),
        ({"field_grouping": "pathname"}, r"write field_grouping=\['pathname'\]"),
        ({"field_grouping": ["domain"]}, "group by 'hostname'"),
        ({"field_grouping": ["date"]}, "write date_grouping="),
        ({"field_grouping": ["country"]}, "did you mean 'country_code'"),
        ({"field_grouping": ["ref", "ref"]}, "names 'ref' twice"),
        ({"date_grouping": "daily"}, "did you mean 'day'|there are: hour"),
        ({"date_from": "2026-02-01", "date_to": "2026-01-01"}, "is before date_from"),
        ({"date_from": datetime(2026, 1, 1, tzinfo=UTC)}, "has the time zone UTC"),
        ({"filters": where.browser == "Chrome"}, r"write filters=\[Filter"),
        ({"filters": [where.browser == "Chrome"] * 2}, "twice; write it once"),
        ({"filters": [("browser", "is", "Chrome")]}, "takes conditions such as where"),
        ({"sort_by": "pageviews"}, "write 'pageviews:desc'"),
        ({"sort_by": "pageviews:down"}, "write 'pageviews:desc'"),
        ({"sort_by": "visits:desc"}, "neither an aggregate nor a grouping here; there are: pageviews"),
        ({"sort_by": "timestamp:asc"}, "needs a date_grouping"),
        ({"sort_by": "date:asc", "date_grouping": "day"}, "write 'timestamp:asc'"),
        ({"sort_by": 3}, "must be a str"),
        ({"limit": 0}, "between 1 and 1000"),
        ({"limit": 1001}, "between 1 and 1000"),
        ({"limit": True}, "whole number"),
        ({"limit": "10"}, "whole number"),
        ({"timezone": "Europe/Berln"}, "did you mean 'Europe/Berlin'"),
        ({"site_id": ""}, "an ID such as 'CDBUGS'"),
        ({"site_id": "CD/BUGS"}, "an ID such as 'CDBUGS'"),
        ({"site_id": "CD BUGS"}, "an ID such as 'CDBUGS'"),
        ({"site_id": 7}, "site_id must be a str"),
    ],
)
def test_what_the_server_would_refuse_is_refused_before(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        pageviews(**arguments)


@pytest.mark.parametrize("name", ["", "  ", "\ud800", 5])
def test_an_event_needs_a_name(name: Any) -> None:
    with pytest.raises(QueryError, match="entity_name"):
        EventQuery("CDBUGS", name, aggregates=["conversions"])


def test_aggregates_of_pageviews_are_none_of_events() -> None:
    with pytest.raises(QueryError, match="only in PageviewQuery"):
        EventQuery("CDBUGS", "purchase", aggregates=["visits"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]


def test_an_aware_moment_is_converted_to_the_time_zone_of_the_query() -> None:
    query = pageviews(date_from=datetime(2026, 1, 1, 12, tzinfo=UTC), timezone="Asia/Tokyo")

    assert query.date_from == datetime(2026, 1, 1, 21)


@pytest.mark.parametrize(
    ("arguments", "limit"),
    [
        ({}, None),
        ({"date_grouping": "day"}, None),
        ({"field_grouping": ["pathname"]}, 1000),
        ({"field_grouping": ["pathname"], "sort_by": "pageviews:desc", "limit": 5}, 5),
        ({"limit": 5}, 5),
    ],
)
def test_a_report_grouped_by_fields_asks_for_all_rows_that_there_can_be(
    arguments: dict[str, object], limit: int | None
) -> None:
    query = pageviews(**arguments)

    assert query.effective_limit == limit
    assert query.params().get("limit") == (None if limit is None else str(limit))


@pytest.mark.parametrize(
    ("date_from", "date_to", "exceeds"),
    [
        ("2026-01-01", "2026-01-07", False),
        ("2026-01-01", "2026-01-08 00:00:00", False),
        ("2026-01-01", "2026-01-08", True),
        ("2026-01-01", None, True),
        (None, "2026-01-01", True),
    ],
)
def test_hours_are_grouped_for_a_week_at_most(date_from: str, date_to: str, exceeds: bool) -> None:
    query = pageviews(date_grouping="hour", date_from=date_from, date_to=date_to)

    assert query.exceeds_hour_span is exceeds
    assert not query.replace(date_grouping="day").exceeds_hour_span


def test_a_copy_is_checked_like_the_original() -> None:
    assert FULL.replace(limit=10).limit == 10
    assert FULL.replace(limit=10) != FULL
    with pytest.raises(QueryError, match="neither an aggregate nor a grouping"):
        FULL.replace(aggregates=["visits"])
    with pytest.raises(QueryError, match="did you mean 'field_grouping'"):
        FULL.replace(field_groupings=[])


def test_a_period_is_resolved_once() -> None:
    query = pageviews().over("last 30 days", now=date(2026, 11, 21))

    assert query == pageviews(date_from="2026-10-23", date_to="2026-11-21")
    assert pageviews().over(Period.parse("today", date(2026, 1, 1)), now=date(2026, 11, 21)) == (
        pageviews(date_from="2026-01-01", date_to="2026-01-01")
    )


def test_today_is_the_day_in_the_time_zone_of_the_query() -> None:
    late = datetime(2026, 11, 21, 23, tzinfo=UTC)

    assert pageviews(timezone="Asia/Tokyo").over("today", now=late).date_from == datetime(2026, 11, 22)
    assert pageviews().over("today", now=late).date_from == datetime(2026, 11, 21)


def test_a_query_shows_what_was_asked() -> None:
    query = EventQuery("CDBUGS", "purchase", aggregates=["value"], date_from="2026-01-01", limit=5)

    assert repr(query) == (
        "EventQuery('CDBUGS', 'purchase', date_from='2026-01-01 00:00:00', limit=5, aggregates=('value',))"
    )


def test_a_query_cannot_be_changed_and_can_be_pickled() -> None:
    with pytest.raises(AttributeError):
        FULL.limit = 3  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    assert pickle.loads(pickle.dumps(FULL)) == FULL  # noqa: S301


def test_the_key_is_the_same_in_every_process() -> None:
    assert pageviews(field_grouping=["ref", "city"]).key() == (
        '{"aggregates":"pageviews","entity":"pageview","entity_id":"CDBUGS",'
        '"field_grouping":"city,ref","limit":"1000"}'
    )


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "entity"),
        ({"entity": "site"}, "entity has no 'site'"),
        ({"entity": "pageview", "aggregates": "visits"}, "site_id"),
        ({"entity": "pageview", "entity_id": "A"}, "aggregates is empty"),
        ({"entity": "pageview", "entity_id": "A", "aggregates": "visits", "agg": "x"}, "no parameter 'agg'"),
        ({"entity": "event", "entity_id": "CODE", "aggregates": "value"}, "no parameter 'entity_id'"),
        ({"entity": "pageview", "entity_id": "A", "aggregates": "visits", "limit": "ten"}, "whole number"),
        ({"entity": "pageview", "entity_id": "A", "aggregates": "visits", "filters": "x"}, "JSON array"),
    ],
)
def test_other_parameters_are_no_query(params: dict[str, str], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        query_from_params(params)


def test_parameters_of_another_entity_are_refused() -> None:
    with pytest.raises(QueryError, match="entity must be 'event' for EventQuery"):
        EventQuery.from_params(FULL.params())


def test_a_body_is_read_into_a_report() -> None:
    query = pageviews(date_grouping="day")
    body = b'[{"date":"2026-01-02","pageviews":"5"},{"date":"2026-01-01","pageviews":null}]'

    report = query.read(body)

    assert report.query is query
    assert [(row.date, row.pageviews) for row in report] == [(date(2026, 1, 1), None), (date(2026, 1, 2), 5)]
    with pytest.raises(DecodeError):
        query.read(b"{}")


@given(st.lists(st.tuples(st.sampled_from(["2026-01", "2025-12", "2026-11"]), st.text(max_size=2))))
def test_rows_come_in_calendar_order_and_those_of_one_date_in_the_order_of_the_server(
    cells: list[tuple[str, str]],
) -> None:
    query = pageviews(date_grouping="month", field_grouping=["pathname"])
    body = json.dumps([{"date": month, "pathname": path, "pageviews": 1} for month, path in cells])

    report = query.read(body.encode())

    in_order = sorted(cells, key=lambda cell: cell[0])
    assert [(str(row.date)[:7], row.pathname) for row in report] == in_order


def test_a_sort_that_was_asked_for_is_kept() -> None:
    body = b'[{"date":"2026-01-02","pageviews":"5"},{"date":"2026-01-01","pageviews":"3"}]'

    report = pageviews(date_grouping="day", sort_by="pageviews:desc").read(body)

    assert report.column("pageviews") == [5, 3]


def filters() -> st.SearchStrategy[Filter]:
    def make(property: str, operator: str, value: str) -> Filter:
        return Filter.from_dict({"property": property, "operator": operator, "value": value})

    words = st.text(st.characters(codec="utf-8", exclude_characters="()[]{}*+?\\|"), min_size=1, max_size=8)
    return st.builds(make, st.sampled_from(TEXT_PROPERTIES), st.sampled_from(OPERATORS), words) | st.builds(
        make, st.sampled_from(CATEGORICAL_PROPERTIES), st.sampled_from(CATEGORICAL_OPERATORS), words
    )


def some(names: tuple[str, ...], at_least: int = 0) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), min_size=at_least, max_size=4, unique=True)


@st.composite
def queries(draw: st.DrawFn) -> AnyQuery:
    event = draw(st.booleans())
    aggregates = draw(some(EVENT_AGGREGATES if event else PAGEVIEW_AGGREGATES, at_least=1))
    groupings = draw(some(FIELD_GROUPINGS))
    date_grouping = draw(st.none() | st.sampled_from(DATE_GROUPINGS))
    start = draw(st.none() | st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)))
    length = draw(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=900)))
    sortable = [*aggregates, *groupings, *(["timestamp"] if date_grouping else [])]
    arguments: dict[str, Any] = {
        "aggregates": aggregates,
        "field_grouping": groupings,
        "date_grouping": date_grouping,
        "date_from": start,
        "date_to": draw(st.none() | st.just(start and start + length)),
        "filters": draw(st.lists(filters(), max_size=3, unique=True)),
        "sort_by": draw(st.none() | st.sampled_from([f"{name}:desc" for name in sortable])),
        "limit": draw(st.none() | st.integers(1, 1000)),
        "timezone": draw(st.none() | st.sampled_from(["UTC", "Europe/Berlin"])),
    }
    if event:
        name = draw(st.text(st.characters(codec="utf-8"), min_size=1, max_size=9).filter(str.strip))
        return EventQuery("CDBUGS", name, **arguments)
    return PageviewQuery("CDBUGS", **arguments)


@ANY_LIMIT
@given(queries())
def test_a_query_survives_the_wire(query: AnyQuery) -> None:
    again = query_from_params(query.params())

    assert again == query
    assert again.columns == query.columns
    assert again.params() == query.params()


@ANY_LIMIT
@given(queries(), st.randoms(use_true_random=False))
def test_order_does_not_matter_to_what_is_asked(query: AnyQuery, chance: random.Random) -> None:
    shuffled: dict[str, Any] = {
        name: chance.sample(getattr(query, name), len(getattr(query, name)))
        for name in ("aggregates", "field_grouping", "filters")
    }
    other = query.replace(**shuffled)

    assert other == query
    assert hash(other) == hash(query)
    assert other.key() == query.key()
    assert set(other.columns) == set(query.columns)


@ANY_LIMIT
@given(queries(), queries())
def test_queries_are_equal_exactly_if_their_keys_are(one: AnyQuery, other: AnyQuery) -> None:
    assert (one == other) is (one.key() == other.key())
    assert one != "a query"


def test_filters_that_fit_into_no_url_are_refused_shortly() -> None:
    filters = [Filter("pathname", "is not", f"/{number:03}/{'x' * 150}?a=b&c=d") for number in range(60)]
    query = PageviewQuery("CDBUGS", aggregates=["visits"], filters=filters)
    with pytest.raises(QueryError, match=r"^60 filters make a URL of 16,262 characters, and") as caught:
        hour_chunks(query)
    assert len(str(caught.value)) < 200
    assert hour_chunks(query.replace(filters=filters[:15]))
    with pytest.raises(QueryError, match=r"^15 filters and extra make a URL of"):
        hour_chunks(query.replace(filters=filters[:15], extra={"note": "x" * 10_000}))


async def test_what_fits_into_no_url_is_not_sent(server: FathomServer, fathom: FathomClient) -> None:
    filters = [Filter("pathname", "is not", "x" * 300 + str(number)) for number in range(30)]
    query = PageviewQuery("CDBUGS", aggregates=["visits"], filters=filters)
    with pytest.raises(QueryError, match="30 filters make a URL"):
        await fathom.reports.aggregate(query)
    with pytest.raises(QueryError, match="30 filters make a URL"):
        fathom.reports.plan([query])
    assert not server.hits
