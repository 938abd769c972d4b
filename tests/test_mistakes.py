"""What newcomers write by mistake, and what the error tells them to write instead; no request is spent on it."""

import asyncio
import inspect
import socket
import traceback
from collections.abc import Mapping
from contextlib import aclosing
from datetime import date
from typing import Final

import pytest

import fathom_async
from fathom_async import ConnectError, FathomClient, NotFoundError, PageviewQuery, RetryPolicy
from fathom_async.testing import FathomServer

VISITS: Final = PageviewQuery("CDBUGS", aggregates=["visits"], field_grouping=["pathname"])
NAMES: Final = {
    **{
        name: getattr(fathom_async, name)
        for name in ("EventQuery", "Filter", "FathomClient", "PageviewQuery", "where")
    },
    "date": date,
    "query": VISITS,
    "report": VISITS.read(b'[{"pathname": "/", "visits": 7}]'),
    "row": VISITS.read(b'[{"pathname": "/", "visits": 7}]').rows[0],
}

MISTAKES: Final = {
    # A site's ID instead of a query, one query instead of a list, a list instead of one.
    "fathom.reports.aggregate('CDBUGS')": "write PageviewQuery('CDBUGS', aggregates=['visits', 'pageviews'])",
    "fathom.reports.complete('CDBUGS')": "write PageviewQuery('CDBUGS', aggregates=['visits', 'pageviews'])",
    "fathom.reports.aggregate([query])": "write reports.gather(queries) for many",
    "fathom.reports.compare(None)": "write a PageviewQuery or an EventQuery",
    "fathom.reports.backfill('CDBUGS', since='2026-01-01')": "write PageviewQuery('CDBUGS'",
    "fathom.reports.gather(query)": "for a single one write [query]",
    "fathom.reports.plan('CDBUGS')": "for a single one write [query]",
    "fathom.reports.live('CDBUGS')": "write ['CDBUGS']",
    # Metrics and groups.
    "PageviewQuery('CDBUGS', aggregates='visits,pageviews')": "write aggregates=['visits', 'pageviews']",
    "PageviewQuery('CDBUGS', aggregates=['visits, pageviews'])": "write ['visits', 'pageviews']",
    "PageviewQuery('CDBUGS', ['visits'])": "write aggregates=['visits']",
    "PageviewQuery('CDBUGS', metrics=['visits'])": "did you mean 'aggregates'?",
    "PageviewQuery('CDBUGS', aggregates=['visit'])": "did you mean 'visits'?",
    "PageviewQuery('CDBUGS', aggregates=['sessions'])": "did you mean 'visits'?",
    "PageviewQuery('CDBUGS', aggregates=['pathname'])": "write field_grouping=['pathname']",
    "query.replace(field_grouping=['visits'])": "write aggregates=['visits']",
    "query.replace(field_grouping=['page'])": "did you mean 'pathname'?",
    "query.replace(field_grouping=['day'])": "write date_grouping='day'",
    # Ranges.
    "PageviewQuery('CDBUGS', aggregates=['visits'], period='last 30 days')": "write query.over('last 30 days', now=",
    "query.replace(period='last 30 days')": "write query.over('last 30 days', now=",
    "query.over('last 30 days', now='2026-01-31')": "write now=date.today()",
    "query.replace(date_from='01/11/2026')": "write '2026-01-31' or '2026-01-31 15:30:00'",
    "query.replace(date_from='2026-02-01', date_to='2026-01-01')": "is before date_from 2026-02-01 00:00:00; swap",
    "query.replace(timezone='Berlin')": "did you mean 'Europe/Berlin'?",
    "query.replace(start='2026-01-01')": "did you mean 'date_from'?",
    # Orders and limits.
    "query.replace(sort='-visits')": "did you mean 'sort_by'?",
    "query.replace(sort_by='-visits')": "write 'visits:desc'",
    "query.replace(sort_by='visits DESC')": "write 'visits:desc'",
    "query.replace(sort_by='visits')": "write 'visits:desc' or 'visits:asc'",
    "query.replace(limit=0)": "limit must be between 1 and 1000, not 0",
    "query.replace(limit=5000)": "for every row, write reports.complete(query)",
    "fathom.sites.list(limit=0)": "a whole number from 1 to 100",
    # Filters.
    "where.pathname == None": "group by it and take the row in which it is None",
    "where.pathname == ['/a', '/b']": "write where.pathname.matching('^(/a|/b)$')",
    "where.browser == ['Chrome', 'Safari']": "send one query for each",
    "(where.pathname == '/a') | (where.pathname == '/b')": "write where.pathname.matching('^(/a|/b)$')",
    "(where.pathname == '/a') | (where.browser == 'Chrome')": "send one query for each",
    "(where.pathname == '/a') & (where.browser == 'Chrome')": "write filters=[Filter(",
    "(where.pathname == '/a') and (where.browser == 'Chrome')": "write a list, all of which must match",
    "~(where.pathname == '/a')": "write where.pathname != '/a'",
    "where.page == '/a'": "did you mean 'pathname'?",
    "where.browser.matching('Chrome')": "there are: ==, !=, is_, is_not",
    "Filter('pathname', '==', '/a')": "did you mean 'is'?",
    "query.replace(filters=where.pathname == '/a')": "write filters=[Filter(",
    "query.replace(filters={'pathname': '/a'})": "a list such as [where.pathname == '/']",
    # Columns that were not asked for.
    "report.column('pageviews')": "write aggregates=[..., 'pageviews'] in the query",
    "row['visits']": "write row.visits",
    "report['visits']": "write report.column('visits')",
    "report[0]": "write report.rows[0]",
    "row.pageviews": "write aggregates=[..., 'pageviews'] in the query",
    "row.browser": "write field_grouping=['browser'] in the query",
    "row.date": "write date_grouping='day' in the query",
    "row.visit": "did you mean 'visits'?",
    # What is asynchronous.
    "[site for site in fathom.sites.list()]": "write `async for item in listing`",
    "fathom.sites.list().data": "`(await listing).data` for a page",
    "fathom.close()": "did you mean 'aclose'?",
    "fathom.__enter__()": "write `async with FathomClient(...) as client`",
    "fathom.site": "did you mean 'sites'?",
    # What the client is made of.
    "FathomClient(None)": "is missing",
    "FathomClient('any', retries=3)": "did you mean 'retry'?",
    "FathomClient('Bearer abc')": "the token alone, without 'Bearer'",
    "FathomClient('any', base_url='https://api.usefathom.com')": "the API's address, which is https://api.usefathom.com/v1",
    "FathomClient('any', base_url='api.usefathom.com/v1')": "write e.g. https://host/path",
    "FathomClient('any', budget='/tmp/budget')": "write file:///path/to/budget",
    "fathom.sites.create(name='Acme', timezone='Berlin')": "did you mean 'Europe/Berlin'?",
    "fathom.events.get('CDBUGS', fathom_event)": "write event.id",
}  # fmt: skip


async def carried_out(code: str, names: Mapping[str, object]) -> None:
    found: object = eval(code, {**names})  # noqa: S307 - the table above
    if inspect.isawaitable(found):
        await found


@pytest.mark.parametrize("code", MISTAKES)
async def test_a_mistake_is_told_what_to_write_before_a_request(
    server: FathomServer, fathom: FathomClient, code: str
) -> None:
    names = {**NAMES, "fathom": fathom, "fathom_event": fathom_async.Event("purchase", id="E")}
    with pytest.raises((TypeError, ValueError, AttributeError)) as caught:
        await carried_out(code, names)
    assert MISTAKES[code] in str(caught.value)
    # Python's own suggestion does not repeat ours.
    assert "Did you mean" not in "".join(traceback.format_exception_only(caught.value))
    assert server.hits == ()


async def test_a_site_is_as_good_as_its_id(server: FathomServer, fathom: FathomClient) -> None:
    site = await fathom.sites.get("CDBUGS")

    assert await fathom.sites.get(site) == site
    assert await fathom.events.list(site) == await fathom.events.list("CDBUGS")
    assert await fathom.milestones.list(site) == await fathom.milestones.list("CDBUGS")
    assert PageviewQuery(site, aggregates=["visits"]) == PageviewQuery("CDBUGS", aggregates=["visits"])
    await fathom.reports.current_visitors(site)
    async with aclosing(fathom.reports.live([site])) as live:
        assert (await anext(live)).site_id == "CDBUGS"
    assert (await fathom.sites.delete(site)).id == "CDBUGS"
    assert not [hit.path for hit in server.hits if "Site" in hit.path]


async def test_an_address_where_nothing_listens_is_told_as_such() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        async with FathomClient("any", base_url=url, retry=RetryPolicy(attempts=1)) as fathom:
            with pytest.raises(ConnectError, match="nothing listens there; is the base URL right, and"):
                await fathom.account.get()


async def test_a_base_url_without_its_version_is_told_by_the_first_answer(server: FathomServer) -> None:
    root = server.url.removesuffix("/v1")
    async with FathomClient("any", base_url=root) as fathom:
        with pytest.raises(NotFoundError, match=rf"The base URL has no /v1: is it {server.url}\?"):
            await fathom.account.get()


def test_a_client_of_one_loop_says_so_in_the_next() -> None:
    fathom = FathomClient("any", base_url="http://127.0.0.1:1/v1", retry=RetryPolicy(attempts=1))

    async def ask() -> None:
        try:
            await fathom.account.get()
        finally:
            await fathom.aclose()

    with pytest.raises(ConnectError):
        asyncio.run(ask())
    with pytest.raises(RuntimeError, match="open the client inside"):
        asyncio.run(fathom.account.get())
