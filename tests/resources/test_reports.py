"""Reports of the client over real sockets, compared with a plain loop over the records."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fathom_async import (
    EventQuery,
    FathomClient,
    Filter,
    NotFoundError,
    PageviewQuery,
    QueryError,
    RateLimit,
    RatePlan,
    Report,
)
from fathom_async._bulk.complete import InseparableError
from fathom_async._core.codec.rows import RowT
from fathom_async.testing import Completion, Dataset, Event, FathomServer, Pageview, Site
from tests.support.evaluation import ZONE, evaluate
from tests.support.soak import tries

pytestmark = pytest.mark.virtual_time

LOG = Path(__file__).parents[3] / "shared" / "data" / "semicomplete-access.log.gz"
FREE = RatePlan(reports=RateLimit(100_000, per=1))
BEGIN = datetime(2025, 10, 20, tzinfo=UTC)  # summer time ends on 2 November
PAGEVIEWS = ("visits", "uniques", "pageviews", "avg_duration", "bounce_rate")
EVENTS = ("conversions", "unique_conversions", "value")
UNTIL = "2026-01-01"


@asynccontextmanager
async def serving(data: Dataset) -> AsyncGenerator[tuple[FathomServer, FathomClient], None]:
    async with (
        FathomServer(data=data, reports_throttle=None) as server,
        FathomClient("any", base_url=server.url, plan=FREE) as fathom,
    ):
        yield server, fathom


def dataset(views: Sequence[Pageview], done: Sequence[Completion] = ()) -> Dataset:
    return Dataset(
        sites=[Site(id="CDBUGS", name="Bugs", timezone=ZONE)],
        events=[Event(site_id="CDBUGS", id="ABCDEFGH", name="buy")],
        pageviews=views,
        completions=done,
    )


def check(data: Dataset, report: Report[RowT]) -> None:
    """Compare with every row of the same report in a plain loop."""
    params = {"date_to": UNTIL} | report.query.params()
    expected = report.query.read(json.dumps(evaluate(data, params)).encode())
    assert Counter(report.rows) == Counter(expected.rows)
    assert not report.truncated


@pytest.fixture(scope="module")
def log() -> Dataset:
    if not LOG.exists():
        pytest.skip("the access log is not here")
    return Dataset.from_access_log(LOG, timezone=ZONE)


@pytest.mark.parametrize("aggregates", [*((name,) for name in PAGEVIEWS), PAGEVIEWS])
@pytest.mark.parametrize("fields", [("pathname",), ("pathname", "browser"), ("entry_page", "pathname")])
async def test_every_row_of_an_access_log(
    log: Dataset, aggregates: Sequence[str], fields: Sequence[str]
) -> None:
    query = PageviewQuery("CDBUGS", aggregates=aggregates, field_grouping=fields, date_to=UNTIL)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async with serving(log) as (server, fathom):
        report = await fathom.reports.complete(query)
        check(log, report)
        assert len(server.hits) <= 2 * len(report) / 1000 + 3


async def test_every_row_of_an_access_log_by_date(log: Dataset) -> None:
    query = PageviewQuery("CDBUGS", aggregates=PAGEVIEWS, field_grouping=["pathname"], date_to=UNTIL)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async with serving(log) as (_, fathom):
        for grouping in ("hour", "day"):
            dated = query.replace(date_grouping=grouping, date_from="2015-05-15", date_to="2015-05-20")
            report = await fathom.reports.complete(dated)
            assert len(report) > 1000
            check(log, report)
            dates = report.column("date")
            assert dates == sorted(cast("list[datetime]", dates))


@pytest.fixture(scope="module")
def large() -> Dataset:
    chance = random.Random(4)
    sections = ("blog", "docs", "products", "Guides", "ünïcode", "a b")
    paths = [
        f"/{sections[n % 6]}/{2020 + n % 7}/{1 + n % 12:02d}/{chance.choice('abcXYZ')}-{n}"
        for n in range(10_000)
    ]
    views = [
        Pageview(
            site_id="CDBUGS",
            at=BEGIN + timedelta(seconds=chance.randrange(86_400)),
            session=f"s{chance.randrange(20_000)}",
            hostname="x.com",
            pathname=path,
            duration=chance.choice((None, 5, 60)),
            bounced=chance.random() < 0.5,
        )
        for path in paths
        for _ in range(min(20, int(chance.paretovariate(1.2))))
    ]
    return dataset(views)


@pytest.mark.slow
async def test_every_row_of_10_000_paths(large: Dataset) -> None:
    query = PageviewQuery("CDBUGS", aggregates=PAGEVIEWS, field_grouping=["pathname"], sort_by="uniques:desc")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async with serving(large) as (server, fathom):
        report = await fathom.reports.complete(query)
        assert len(report) == 10_000
        check(large, report)
        assert len(server.hits) <= 22
        uniques = cast("list[int]", report.column("uniques"))
        assert uniques == sorted(uniques, reverse=True)


async def test_every_completion() -> None:
    chance = random.Random(5)
    done = [
        Completion(
            site_id="CDBUGS",
            at=BEGIN,
            event="buy",
            visitor=f"v{chance.randrange(900)}",
            pathname=f"/{n % 1300}",
            value=chance.choice((None, 100, 250)),
        )
        for n in range(4000)
    ]
    data = dataset([], done)
    query = EventQuery("CDBUGS", "buy", aggregates=EVENTS, field_grouping=["pathname"], date_to=UNTIL)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async with serving(data) as (_, fathom):
        check(data, await fathom.reports.complete(query))
        check(data, await fathom.reports.complete(query.replace(aggregates=["unique_conversions"])))


async def test_a_page_with_too_many_days_is_refused() -> None:
    views = [Pageview(site_id="CDBUGS", at=BEGIN - timedelta(days=n), session="a") for n in range(1001)]
    query = PageviewQuery("CDBUGS", aggregates=["visits"], field_grouping=["pathname"], date_grouping="day")
    async with serving(dataset(views)) as (_, fathom):
        with pytest.raises(InseparableError, match="too many dates by the day; group by a longer unit"):
            await fathom.reports.complete(query)
        assert len(await fathom.reports.complete(query.replace(date_grouping="month"))) == 34


async def test_what_fits_is_one_request() -> None:
    async with serving(dataset([Pageview(site_id="CDBUGS", at=BEGIN, session="a")])) as (server, fathom):
        totals = PageviewQuery("CDBUGS", aggregates=["visits", "uniques"])
        report = await fathom.reports.complete(totals)
        assert (report.rows, report.query) == ((totals.codec.row(1, 1),), totals)
        await fathom.reports.complete(totals.replace(field_grouping=["pathname"]))
        assert len(server.hits) == 2


async def test_errors_of_a_part_arrive_as_they_are() -> None:
    async with serving(dataset([])) as (_, fathom):
        with pytest.raises(NotFoundError):
            await fathom.reports.complete(PageviewQuery("NOSUCH", aggregates=["visits"]))


VIEWS = st.builds(
    Pageview,
    site_id=st.just("CDBUGS"),
    at=st.integers(0, 21 * 86_400).map(lambda seconds: BEGIN + timedelta(seconds=seconds)),
    session=st.sampled_from("abcd"),
    hostname=st.sampled_from(["www.x.com", "x.com"]),
    pathname=st.sampled_from(["/", "/blog/a", "/blog/b", ""]),
    browser=st.sampled_from(["Chrome", "Firefox", ""]),
    duration=st.none() | st.integers(0, 500),
    bounced=st.booleans(),
)
FIELDS = st.lists(st.sampled_from(["pathname", "browser", "hostname"]), unique=True)
CONDITIONS = st.lists(
    st.sampled_from(
        [
            Filter("pathname", "matching", "^/blog/"),
            Filter("pathname", "is not like", "b*a"),
            Filter("browser", "is not", "Chrome"),
            Filter("domain", "is", "x.com"),
        ]
    ),
    unique=True,
    max_size=2,
)
QUERIES = st.builds(
    PageviewQuery,
    st.just("CDBUGS"),
    aggregates=st.lists(st.sampled_from(PAGEVIEWS), min_size=1, unique=True),
    field_grouping=FIELDS,
    date_grouping=st.sampled_from([None, "hour", "day", "month", "year"]),
    date_from=st.just("2025-10-19") | st.just("2025-10-26 01:30:00"),
    date_to=st.sampled_from(["2025-11-02 01:30:00", "2025-11-09", "2025-11-12"]),
    filters=CONDITIONS,
)


@settings(max_examples=tries(15, soak=30), suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(VIEWS, max_size=40), st.lists(QUERIES, min_size=1, max_size=6))
def test_every_typed_report_equals_a_plain_loop(views: list[Pageview], queries: list[PageviewQuery]) -> None:
    data = dataset(views)

    async def compare() -> None:
        async with serving(data) as (_, fathom):
            for query in queries:
                check(data, await fathom.reports.aggregate(query))
                check(data, await fathom.reports.complete(query))

    asyncio.run(compare())


@pytest.mark.parametrize(
    "zone", ["America/New_York", "Africa/Cairo", "America/Santiago", "Australia/Lord_Howe"]
)
@pytest.mark.parametrize("days", [14, 200])
async def test_hours_are_stitched_over_changes_of_the_clock(zone: str, days: int) -> None:
    views = [
        Pageview(site_id="CDBUGS", at=BEGIN + timedelta(minutes=20 * n), session="a")
        for n in range(72 * days)
    ]
    data = Dataset(sites=[Site(id="CDBUGS", name="Bugs", timezone=zone)], pageviews=views)
    query = PageviewQuery("CDBUGS", aggregates=["pageviews"], date_grouping="hour")
    first, last = BEGIN.date(), (BEGIN + timedelta(days=days - 1)).date()
    async with serving(data) as (server, fathom):
        report = await fathom.reports.aggregate(query.replace(date_from=first, date_to=last))
        assert len(server.hits) == -(-days // 7)
        whole = await fathom.reports.aggregate(
            query.replace(date_grouping=None, date_from=first, date_to=last)
        )
    dates = report.column("date")
    assert len(set(dates)) == len(dates)
    assert sum(row.pageviews or 0 for row in report) == whole.rows[0].pageviews


async def test_an_open_range_of_hours_costs_no_request() -> None:
    query = PageviewQuery("CDBUGS", aggregates=["pageviews"], date_grouping="hour")
    async with serving(dataset([Pageview(site_id="CDBUGS", at=BEGIN, session="a")])) as (server, fathom):
        with pytest.raises(QueryError, match="7 days"):
            await fathom.reports.aggregate(query)
        assert server.hits == ()


async def test_live_visitors_leave_half_of_the_lane() -> None:
    async with (
        FathomServer(data=dataset([])) as server,
        FathomClient("any", base_url=server.url) as fathom,
    ):
        loop = asyncio.get_running_loop()
        begin, tasks = loop.time(), len(asyncio.all_tasks())
        async with aclosing(fathom.reports.live(["CDBUGS", "NOSUCH"], every=1)) as stream:
            outcomes = [await anext(stream) for _ in range(2)]
            assert loop.time() - begin < 12, "the first round does not wait"
            outcomes += [await anext(stream) for _ in range(4)]
            assert loop.time() - begin >= 60
        assert [outcome.site_id for outcome in outcomes] == ["CDBUGS", "NOSUCH"] * 3
        assert all(isinstance(outcome.error, NotFoundError) for outcome in outcomes[1::2])
        assert all(outcome.visitors for outcome in outcomes[::2])
        assert server.refused == 0
        assert len(asyncio.all_tasks()) <= tasks + 3  # the server's side of one connection
