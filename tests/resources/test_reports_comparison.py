"""Comparisons through a client, against the embedded server."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from fathom_async import Change, FathomClient, NotFoundError, PageviewQuery
from fathom_async.testing import Dataset, FathomServer, Pageview, Site

pytestmark = pytest.mark.virtual_time

ZONE = "Pacific/Auckland"
PAGES = PageviewQuery(
    "CDBUGS", aggregates=["pageviews"], field_grouping=["pathname"], sort_by="pageviews:desc"
)


def served(views: Sequence[tuple[str, str]]) -> Dataset:
    return Dataset(
        sites=[Site(id="CDBUGS", name="Bugs", timezone=ZONE)],
        pageviews=[
            Pageview(
                site_id="CDBUGS",
                at=datetime.fromisoformat(at).replace(tzinfo=UTC),
                session="s",
                pathname=path,
            )
            for at, path in views
        ],
    )


async def test_both_periods_are_asked_in_one_run() -> None:
    data = served([("2026-02-10", "/"), ("2026-03-10", "/"), ("2026-03-11", "/"), ("2026-02-11", "/gone")])
    async with FathomServer(data=data) as server, FathomClient("any", base_url=server.url) as fathom:
        comparison = await fathom.reports.compare(PAGES, over="2026-03")
        assert len(server.hits) <= 2
    assert {row.groups: row.changes["pageviews"] for row in comparison} == {
        ("/",): Change(2, 1),
        ("/gone",): Change(0, 1),
    }
    assert comparison.change("pageviews") == Change(2, 2)


async def test_words_are_meant_on_the_sites_clock() -> None:
    async with FathomServer(data=served([])) as server, FathomClient("any", base_url=server.url) as fathom:
        aware = datetime(2026, 3, 10, 20, tzinfo=UTC)  # 9:00 on 11 March in Auckland
        comparison = await fathom.reports.compare(PAGES, over="today", now=aware)
    ranges = [
        (report.query.date_from, report.query.date_to) for report in (comparison.current, comparison.previous)
    ]
    start = datetime.fromisoformat("2026-03-11")
    last = timedelta(hours=8, minutes=59, seconds=59)
    day = timedelta(days=1)
    assert ranges == [(start, start + last), (start - day, start - day + last)]


async def test_the_present_moment_is_the_default() -> None:
    async with FathomServer(data=served([])) as server, FathomClient("any", base_url=server.url) as fathom:
        comparison = await fathom.reports.compare(PAGES, over="last 30 days", to="previous year")
        assert [hit.path for hit in server.hits if "sites" in hit.path] == ["/v1/sites/CDBUGS"]
    current, previous = comparison.current.query, comparison.previous.query
    assert current.date_from is not None
    assert previous.date_from is not None
    assert current.date_from.year - previous.date_from.year == 1


async def test_a_failure_is_the_servers_own_error() -> None:
    async with FathomServer(data=served([])) as server, FathomClient("any", base_url=server.url) as fathom:
        with pytest.raises(NotFoundError):
            await fathom.reports.compare(PAGES.replace(site_id="NOSUCH"), over="2026-03")


async def test_kept_answers_are_not_asked_again() -> None:
    data = served([("2026-02-10", "/"), ("2026-03-10", "/")])
    async with FathomServer(data=data) as server, FathomClient("any", base_url=server.url) as fathom:
        first = await fathom.reports.compare(PAGES, over="2026-03", store="memory://")
        sent = len(server.hits)
        again = await fathom.reports.compare(PAGES, over="2026-03", store="memory://")
        assert len(server.hits) == sent
    assert first.rows == again.rows
