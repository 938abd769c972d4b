"""The parts of the demonstration, without a terminal."""

from collections import Counter
from datetime import date, datetime, timedelta
from io import StringIO

import pytest
from attrs import evolve
from rich.console import Console, RenderableType

from fathom_async import FathomClient, PageviewQuery, PageviewRow, Progress, Report, RetryPolicy
from fathom_async._cli.demo import Standing, headline, summarize, traffic_of
from fathom_async._cli.demo.job import DemoJob, plan_reports
from fathom_async._cli.demo.source import Source
from fathom_async._cli.failures import CommandError
from fathom_async.testing import Dataset, FathomServer, Status

SITES = ("ACMEAA", "OTHERA")
PERFECT = Standing(reports=42, others=12, refused=0, failed=0, seconds=8.2, optimum=240.0, speed=30.0)


def shown(*parts: RenderableType, width: int = 80) -> str:
    console = Console(file=StringIO(), width=width, highlight=False)
    for part in parts:
        console.print(part)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def over(days: int) -> Source:
    """Return a source whose reports cover so many days."""
    first = date(2026, 1, 1)
    return Source(Dataset(sites=()), first, first + timedelta(days=days - 1), None, "nothing")


def test_reports_are_all_different() -> None:
    plan = plan_reports(SITES, over(2), 500)
    assert len(plan) == 500
    assert len({query.key() for query in plan}) == 500


def test_every_kind_comes_first_over_all_days() -> None:
    plan = plan_reports(SITES, over(30), 28)
    assert {(str(query.date_from), str(query.date_to)) for query in plan} == {
        ("2026-01-01 00:00:00", "2026-01-30 23:59:59")
    }
    assert len({query.aggregates + query.field_grouping for query in plan}) == 14


def test_parts_follow_and_touch_without_overlap() -> None:
    plan = plan_reports(SITES[:1], over(1), 10_000)
    assert 40 <= len(plan) < 10_000
    halves = [query for query in plan if query.date_grouping == "hour"][1:3]
    assert [(str(each.date_from), str(each.date_to)) for each in halves] == [
        ("2026-01-01 00:00:00", "2026-01-01 11:59:59"),
        ("2026-01-01 12:00:00", "2026-01-01 23:59:59"),
    ]


def test_the_headline_says_how_fast_the_clocks_run() -> None:
    assert "A minute lasts 2 seconds here" in headline(42, "data", 30).plain
    assert "A minute lasts 1 second here" in headline(42, "data", 60).plain
    assert "a minute lasts a minute" in headline(42, "data", 1).plain


def report(*rows: tuple[object, ...], **more: object) -> Report[PageviewRow]:
    query = PageviewQuery("ACMEAA", aggregates=["pageviews"]).replace(**more)
    return Report(query, tuple(query.codec.row(*row) for row in rows))


def test_days_without_pageviews_count_as_zero() -> None:
    first, last = date(2026, 1, 1), date(2026, 1, 3)
    of_days = [report(*rows, date_grouping="day") for rows in ([(first, 1)], [(first, 2), (last, 5)])]
    days = traffic_of(of_days)
    assert days is not None
    assert dict(zip(days.dates, days.lines[0].values, strict=True)) == {
        first: 3,
        date(2026, 1, 2): 0,
        last: 5,
    }
    assert traffic_of([]) is None
    midnight = datetime(2026, 1, 1)  # noqa: DTZ001 - reports have local hours
    rows = [(midnight, 1), (midnight + timedelta(hours=30), 1)]
    hours = traffic_of([report(*rows, date_grouping="hour")])
    assert hours is not None
    assert len(hours.dates) == 31


@pytest.mark.parametrize("width", [40, 80, 160])
def test_summary(width: int) -> None:
    days = (date(2026, 1, 1), date(2026, 1, 2))
    reports = {
        "Acme": [
            report(*zip(days, (5, 9), strict=True), date_grouping="day"),
            report(("/", 1234), ("/pricing" * 20, 3), field_grouping=["pathname"]),
        ],
        "Empty": [report(field_grouping=["pathname"])],
    }
    parts = summarize(reports, PERFECT, width)
    text = shown(*parts, width=width)
    assert all(len(row) <= width for row in text.splitlines())
    if width >= 80:
        for expected in (
            "1,234  ███",
            "Pageviews by day",
            "Acme  /  ",
            "1.025",
            "8.20 s here",
        ):
            assert expected in text


def test_summary_of_nothing() -> None:
    text = shown(*summarize({}, PERFECT, 80))
    assert text.splitlines()[1] == "How it went"


def test_verdict() -> None:
    assert PERFECT.ratio == pytest.approx(1.025)
    assert PERFECT.problem is None
    assert evolve(PERFECT, optimum=0.0).ratio is None
    assert evolve(PERFECT, refused=1, failed=2).problem == "of 54 requests, 1 refused, 2 failed"


def small_source() -> Source:
    data = Dataset.synthetic(sites=2, days=3, until=date(2026, 3, 3))
    return Source(data, date(2026, 3, 1), date(2026, 3, 2), None, "a little")


async def test_job_does_everything_and_leaves_no_draft() -> None:
    source = small_source()
    async with (
        FathomServer(data=source.data, reports_throttle=None) as server,
        FathomClient("any", base_url=server.url) as fathom,
    ):
        job = DemoJob(fathom, source, 9)
        shown = list[Progress]()
        await job.run(shown.append)
        assert (shown[0].done, shown[-1].done, shown[-1].requests) == (0, 9, 9)
        assert job.failures == []
        assert len(server.hits) == 15
        assert [site.id async for site in fathom.sites.list()] == [site.id for site in source.data.sites]
        assert set(job.reports) == {site.name for site in source.data.sites}


async def test_a_failure_is_counted_and_ends_nothing_else() -> None:
    source = small_source()
    async with (
        FathomServer(data=source.data) as server,
        FathomClient("any", base_url=server.url, retry=RetryPolicy(attempts=1)) as fathom,
    ):
        server.inject(Status(500), path="/aggregations")
        server.inject(Status(500), method="POST", path="/sites")
        job = DemoJob(fathom, source, 6)
        await job.run()
        assert len(job.failures) == 2
        assert all("500" in failure for failure in job.failures)
        assert "creating a site" in "".join(job.failures)
        sent = Counter(hit.path for hit in server.hits)
        assert sent["/v1/aggregations"] == 6
        assert sent["/v1/sites"] == 2, "the list, and the site that was not made, so that none was changed"
        assert len(server.hits) == 10


async def test_too_many_reports() -> None:
    source = small_source()
    async with (
        FathomServer(data=source.data) as server,
        FathomClient("any", base_url=server.url) as fathom,
    ):
        with pytest.raises(CommandError, match=r"there are [\d,]+ different reports of this data"):
            await DemoJob(fathom, source, 10**6).run()
