"""Reports compared with a plain loop over the same records."""

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom_async.testing import Completion, Dataset, Event, FathomServer, Pageview, Site
from tests.support.evaluation import ZONE, Row, evaluate
from tests.support.soak import tries

Ask = Callable[..., Awaitable[tuple[int, Any]]]

PATHS = ("/", "/blog/a", "/blog/b", "/about", "")
BEGIN = datetime(2025, 10, 30, tzinfo=UTC)  # summer time ends on 2 November

MOMENTS = st.integers(0, 6 * 86_400).map(lambda seconds: BEGIN + timedelta(seconds=seconds))
VIEWS = st.builds(
    Pageview,
    site_id=st.just("CDBUGS"),
    at=MOMENTS,
    session=st.sampled_from("abcd"),
    hostname=st.sampled_from(["www.x.com", "x.com"]),
    pathname=st.sampled_from(PATHS),
    browser=st.sampled_from(["Chrome", "Firefox", ""]),
    country_code=st.sampled_from(["US", "DE"]),
    duration=st.none() | st.integers(0, 500),
    bounced=st.booleans(),
)
DONE = st.builds(
    Completion,
    site_id=st.just("CDBUGS"),
    at=MOMENTS,
    event=st.sampled_from(["buy", "call"]),
    visitor=st.sampled_from("abcd"),
    pathname=st.sampled_from(PATHS),
    browser=st.sampled_from(["Chrome", "Firefox", ""]),
    value=st.none() | st.integers(0, 10_000),
)
FILTERS = st.one_of(
    st.tuples(
        st.sampled_from(["pathname", "domain"]),
        st.sampled_from(["is", "is not", "is like", "is not like", "matching", "not matching"]),
        st.sampled_from(["/", "/blog", "^/blog/[ab]$", "b*g", "x.com", "/about", "out$"]),
    ),
    st.tuples(
        st.just("browser"), st.sampled_from(["is", "is not"]), st.sampled_from(["Chrome", "Opera", ""])
    ),
)
LOCAL = st.none() | MOMENTS.map(lambda at: at.astimezone(ZoneInfo(ZONE)).strftime("%Y-%m-%d %H:%M:%S"))


@st.composite
def queries(draw: st.DrawFn) -> dict[str, str]:
    entity = draw(st.sampled_from(["pageview", "event"]))
    figures = (
        ["visits", "uniques", "pageviews", "avg_duration", "bounce_rate"]
        if entity == "pageview"
        else ["conversions", "unique_conversions", "value"]
    )
    subject = {"entity_id": "CDBUGS"} if entity == "pageview" else {"site_id": "CDBUGS", "entity_name": "buy"}
    aggregates = draw(st.lists(st.sampled_from(figures), min_size=1, unique=True))
    groupings = draw(st.lists(st.sampled_from(["pathname", "browser", "hostname"]), unique=True))
    bounds = [draw(LOCAL), draw(LOCAL)]
    if None not in bounds:
        bounds.sort(key=str)
    conditions = [
        {"property": name, "operator": operator, "value": value}
        for name, operator, value in draw(st.lists(FILTERS, max_size=2))
    ]
    optional = {
        "field_grouping": ",".join(groupings),
        "date_grouping": draw(st.sampled_from(["", "hour", "day", "month", "year"])),
        "date_from": bounds[0],
        "date_to": bounds[1] or "2025-11-05 19:00:00",
        "filters": json.dumps(conditions) if conditions else "",
    }
    query = {"entity": entity, **subject, "aggregates": ",".join(aggregates)}
    return query | {name: value for name, value in optional.items() if value}


async def fetch(data: Dataset, requests: Sequence[dict[str, str]]) -> list[tuple[int, Any]]:
    headers = {"Authorization": "Bearer any", "Accept": "application/json"}
    answers = list[tuple[int, Any]]()
    async with (
        FathomServer(data=data, reports_throttle=None) as server,
        aiohttp.ClientSession(headers=headers) as session,
    ):
        for query in requests:
            async with session.get(f"{server.url}/aggregations", params=query) as answer:
                answers.append((answer.status, await answer.json()))
    return answers


def by_content(rows: list[Row]) -> list[str]:
    return sorted(json.dumps(row) for row in rows)


def small_dataset(views: Sequence[Pageview], done: Sequence[Completion] = ()) -> Dataset:
    return Dataset(
        sites=[Site(id="CDBUGS", name="Bugs", timezone=ZONE)],
        events=[Event(site_id="CDBUGS", id="ABCDEFGH", name="buy")],
        pageviews=views,
        completions=done,
    )


@settings(deadline=None, max_examples=tries(20, soak=40))
@given(st.lists(VIEWS, max_size=20), st.lists(DONE, max_size=10), st.lists(queries(), min_size=1, max_size=8))
def test_every_report_equals_a_plain_loop(
    views: list[Pageview], done: list[Completion], asked: list[dict[str, str]]
) -> None:
    data = small_dataset(views, done)
    for query, (status, rows) in zip(asked, asyncio.run(fetch(data, asked)), strict=True):
        assert status == 200, rows
        expected = evaluate(data, query)
        assert by_content(rows) == by_content(expected)
        assert [list(row) for row in rows] == [list(row) for row in expected]


@pytest.fixture(scope="module")
def year() -> Dataset:
    return Dataset.synthetic(until=datetime(2026, 10, 31, tzinfo=UTC).date())


REPORT = {"entity": "pageview", "entity_id": "CDBUGS", "aggregates": "pageviews", "date_to": "2026-10-31"}


async def test_rows_come_unsorted_unless_asked(year: Dataset) -> None:
    daily = REPORT | {"date_grouping": "day", "date_from": "2026-01-01"}
    [(_, unsorted), (_, again), (_, ordered), (_, most)] = await fetch(
        year,
        [
            daily,
            daily,
            daily | {"sort_by": "timestamp:asc"},
            daily | {"sort_by": "pageviews:desc", "limit": "3"},
        ],
    )
    dates = [row["date"] for row in ordered]
    assert dates == sorted(dates)
    assert [row["date"] for row in unsorted] not in (dates, dates[::-1])
    assert unsorted == again
    assert by_content(unsorted) == by_content(ordered)
    counts = sorted((int(row["pageviews"]) for row in ordered), reverse=True)
    assert [int(row["pageviews"]) for row in most] == counts[:3]


async def test_groups_stop_silently_at_500_rows() -> None:
    views = [Pageview(site_id="CDBUGS", at=BEGIN, session="a", pathname=f"/{n:04d}") for n in range(1100)]
    grouped = REPORT | {"field_grouping": "pathname"}
    answers = await fetch(
        small_dataset(views),
        [grouped, grouped | {"limit": "1000", "sort_by": "pathname:asc"}, grouped | {"limit": "1001"}],
    )
    assert [len(rows) for _, rows in answers[:2]] == [500, 1000]
    assert answers[1][1][0] == {"pathname": "/0000", "pageviews": "1"}
    assert answers[2] == (400, {"errors": {"limit": ["The limit field must be between 1 and 1000."]}})


async def test_dates_alone_are_not_capped() -> None:
    views = [Pageview(site_id="CDBUGS", at=BEGIN - timedelta(days=n), session="a") for n in range(700)]
    [(_, rows)] = await fetch(small_dataset(views), [REPORT | {"date_grouping": "day"}])
    assert len(rows) == 700


async def test_nothing_is_an_empty_list(year: Dataset) -> None:
    nothing = REPORT | {"filters": json.dumps([{"property": "pathname", "operator": "is", "value": "/no"}])}
    assert await fetch(year, [nothing, nothing | {"date_grouping": "day"}]) == [(200, []), (200, [])]


async def test_a_day_is_a_day_of_the_site_or_of_the_zone_asked_for() -> None:
    night = Pageview(site_id="CDBUGS", at=datetime(2025, 7, 2, 2, 30, tzinfo=UTC), session="a")
    daily = REPORT | {"date_grouping": "day"}
    [(_, here), (_, there), (status, _)] = await fetch(
        small_dataset([night]), [daily, daily | {"timezone": "Asia/Tokyo"}, daily | {"timezone": "Moon"}]
    )
    assert (here[0]["date"], there[0]["date"], status) == ("2025-07-01", "2025-07-02", 400)


async def test_an_event_can_be_named_by_its_id_where_events_have_one(ask: Ask) -> None:
    data = small_dataset([], [Completion(site_id="CDBUGS", at=BEGIN, event="buy", visitor="a", value=250)])
    query = {"entity": "event", "entity_id": "ABCDEFGH", "aggregates": "value,conversions"}
    async with FathomServer(data=data) as classic, FathomServer(data=data, event_shape="names") as named:
        assert await ask(classic, "GET", "/aggregations", **query) == (
            200,
            [{"value": "250", "conversions": "1"}],
        )
        assert (await ask(named, "GET", "/aggregations", **query))[0] == 400
        assert (await ask(classic, "GET", "/aggregations", **(query | {"entity_id": "NOSUCHEV"})))[0] == 404


def one_filter(**parts: object) -> dict[str, str]:
    return {"filters": json.dumps([parts])}


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"entity": ""}, 400, "entity"),
        ({"entity": "robot"}, 400, "entity"),
        ({"entity_id": ""}, 400, "entity_id"),
        ({"entity": "event"}, 404, None),
        ({"entity": "event", "entity_id": "", "site_id": "CDBUGS"}, 400, "entity_name"),
        ({"entity_id": "NOSUCH"}, 404, None),
        ({"aggregates": ""}, 400, "aggregates"),
        ({"aggregates": "sales"}, 400, "aggregates"),
        ({"aggregates": "pageviews,conversions"}, 422, "aggregates"),
        ({"field_grouping": "domain"}, 400, "field_grouping"),
        ({"date_grouping": "week"}, 400, "date_grouping"),
        ({"date_grouping": "hour", "date_from": "2026-10-01"}, 422, "date_grouping"),
        ({"date_grouping": "hour"}, 422, "date_grouping"),
        ({"sort_by": "visits:desc"}, 400, "sort_by"),
        ({"sort_by": "timestamp:asc"}, 400, "sort_by"),
        ({"sort_by": "pageviews"}, 400, "sort_by"),
        ({"date_from": "yesterday"}, 400, "date_from"),
        ({"date_from": "2026-02-30"}, 400, "date_from"),
        ({"date_from": "2026-11-01"}, 400, "date_to"),
        ({"limit": "0"}, 400, "limit"),
        ({"filters": "pathname"}, 400, "filters"),
        (one_filter(property="keyword", operator="is", value="x"), 400, "filters"),
        (one_filter(property="browser", operator="is like", value="x"), 400, "filters"),
        (one_filter(property="pathname", operator="equals", value="x"), 400, "filters"),
        (one_filter(property="pathname", operator="is", value=1), 400, "filters"),
        (one_filter(property="pathname", operator="matching", value="("), 400, "filters"),
    ],
)
async def test_a_wrong_question_is_refused(
    year: Dataset, change: dict[str, str], status: int, field: str | None
) -> None:
    [(answered, body)] = await fetch(year, [REPORT | change])
    assert answered == status, body
    assert list(body.get("errors", [None])) == [field]


async def test_an_hourly_report_of_seven_days_is_allowed(year: Dataset) -> None:
    week = REPORT | {
        "date_grouping": "hour",
        "date_from": "2026-10-25",
        "sort_by": "timestamp:desc",
        "limit": "1",
    }
    [(status, [row])] = await fetch(year, [week])
    assert (status, row["date"][:11]) == (200, "2026-10-31 ")


@pytest.mark.slow
async def test_a_large_site_answers_about_as_quickly_as_a_plain_loop() -> None:
    data = Dataset.synthetic(sites=1, days=30, visits_per_day=1500, paths=50_000, until=BEGIN.date())
    query = REPORT | {
        "aggregates": "pageviews,visits",
        "field_grouping": "pathname",
        "filters": json.dumps(
            [{"property": "pathname", "operator": "matching", "value": r"^/(blog|docs)/\d+/"}]
        ),
        "sort_by": "pageviews:desc",
        "limit": "10",
    }
    await fetch(data, [REPORT])
    begin = time.process_time()
    [(_, rows)] = await fetch(data, [query])
    answered = time.process_time()
    wanted = re.compile(r"^/(blog|docs)/\d+/")
    assert len(data.pageviews) > 75_000
    counts: dict[str, int] = {}
    for view in data.pageviews:
        if wanted.search(view.pathname):
            counts[view.pathname] = counts.get(view.pathname, 0) + 1
    looked_at_each = time.process_time()
    assert answered - begin < 5 * (looked_at_each - answered)
    assert [int(row["pageviews"]) for row in rows] == sorted(counts.values(), reverse=True)[:10]
