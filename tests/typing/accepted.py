"""What users write, with the types that they rely on.

`make types` checks this file with mypy and pyright, `make dist` once more against the installed wheel, and
`test_accepted.py` runs it.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import assert_type

import fathom_async
from fathom_async import (
    Account,
    APIError,
    BulkError,
    BulkPlan,
    CachePolicy,
    Change,
    ComparedRow,
    Comparison,
    Deleted,
    Event,
    EventQuery,
    EventRow,
    FathomClient,
    FathomError,
    LaneStatus,
    Listing,
    LiveVisitors,
    Milestone,
    Outcome,
    Page,
    PageviewQuery,
    PageviewRow,
    Priority,
    Progress,
    RateLimit,
    RateLimitError,
    RatePlan,
    Report,
    RetryPolicy,
    Site,
    WaitTooLongError,
    where,
)
from fathom_async.integrations.fleet import Fleet, FleetPlan, Json, batches
from fathom_async.integrations.workers import WorkerClients
from fathom_async.reports import Query, Row
from fathom_async.service import Request, Service, ServiceClient, object_decoder, parse
from fathom_async.store import MemoryStore, ReportStore, open_store
from fathom_async.telemetry import Admitted
from fathom_async.telemetry import Event as ClientEvent
from fathom_async.testing import FathomServer, Hit, LaravelWindow, Status

PAGES = PageviewQuery(
    "CDBUGS",
    aggregates=["visits", "bounce_rate"],
    field_grouping=["pathname"],
    filters=[where.browser == "Chrome", where.pathname.matching("^/blog/"), where.country_code != "DE"],
    sort_by="visits:desc",
    limit=10,
)
DAYS = PageviewQuery(
    "CDBUGS", aggregates=("visits",), date_grouping="day", date_from="2026-01-01", date_to=date(2026, 1, 31)
)
SALES = EventQuery("CDBUGS", "purchase", aggregates=["conversions", "value"])


async def lists(fathom: FathomClient) -> Site:
    every = assert_type(fathom.sites.list(limit=2), Listing[Site])
    page = await every
    assert_type(page, Page[Site])
    assert_type(page.data, tuple[Site, ...])
    async for site in every:
        assert_type(site.timezone, str | None)
    async for events in fathom.events.list(page.data[0]).pages():
        assert_type(events, Page[Event])
    assert_type([each async for each in fathom.milestones.list("CDBUGS")], list[Milestone])
    return page.data[0]


async def objects(fathom: FathomClient, site: Site) -> None:
    assert_type(await fathom.account.get(), Account)
    created = await fathom.sites.create(name="Shop", timezone="Europe/Berlin", extra={"new_field": 1})
    assert_type(await fathom.sites.update(created, share_password=None), Site)
    assert_type(await fathom.sites.delete(created.id), Deleted)
    assert_type(await fathom.request("GET", f"/sites/{site.id}", params={"limit": 1}), object)


async def rows(fathom: FathomClient) -> None:
    pages = await fathom.reports.aggregate(PAGES)
    assert_type(pages, Report[PageviewRow])
    assert_type(pages.first, PageviewRow | None)
    for row in pages:
        assert_type(row.pathname, str | None)
        assert_type(row.visits, int | None)
        assert_type(row.bounce_rate, float | None)
    for day in await fathom.reports.complete(DAYS):
        assert_type(day.date, date)
    sales = await fathom.reports.aggregate(SALES)
    assert_type(sales, Report[EventRow])
    assert_type(sales.total("conversions"), int)
    assert_type(pages.query.replace(limit=1), Query[PageviewRow])
    assert_type(sales.money("euro"), list[Decimal | None])
    totals = await fathom.reports.aggregate(PageviewQuery("CDBUGS", aggregates=["visits", "avg_duration"]))
    assert_type(totals.total("visits"), int)
    assert_type(totals.total("avg_duration"), float | None)


async def any_kind(fathom: FathomClient, queries: Sequence[Query[Row]]) -> list[Report[Row]]:
    """Take queries of both kinds, and lists of one kind."""
    return await fathom.reports.gather(queries, keeping=None, priority=Priority.BULK)


async def many(fathom: FathomClient) -> None:
    def tell(progress: Progress) -> None:
        assert_type(progress.seconds_left, float)

    store: ReportStore = MemoryStore()
    assert_type(fathom.reports.plan([PAGES, DAYS]), BulkPlan[PageviewRow])
    async for outcome in fathom.reports.run([PAGES, DAYS], store=store, keeping=CachePolicy(max_age=300)):
        assert_type(outcome, Outcome[PageviewRow])
        assert_type(outcome.report, Report[PageviewRow] | None)
        assert_type(outcome.error, FathomError | None)
        assert_type(outcome.result().rows[0].visits, int | None)
    try:
        reports = await fathom.reports.gather([PAGES], store="memory://", max_requests=5, on_progress=tell)
    except BulkError as error:
        assert_type(error.outcomes, tuple[Outcome[Row], ...])
        raise
    assert_type(reports, list[Report[PageviewRow]])
    both: list[Query[Row]] = [PAGES, SALES]
    assert_type(await any_kind(fathom, both), list[Report[Row]])
    assert_type(await any_kind(fathom, [PAGES, DAYS]), list[Report[Row]])


async def compared(fathom: FathomClient) -> None:
    comparison = await fathom.reports.compare(DAYS, to="previous year")
    assert_type(comparison, Comparison[PageviewRow])
    one = await fathom.reports.compare(DAYS.replace(date_grouping=None))
    assert_type(one.change("visits"), Change)
    for row in comparison:
        assert_type(row, ComparedRow)
        assert_type(row.changes["visits"].relative, float | None)


async def options(fathom: FathomClient) -> None:
    urgent = fathom.with_options(priority=Priority.INTERACTIVE, max_wait=2.0, timeout=10, flow="page")
    assert_type(urgent, FathomClient)
    assert_type(urgent.eta(25), float)
    for lane in (await fathom.look()).values():
        assert_type(lane, LaneStatus)
    async for seen in fathom.reports.live(["CDBUGS"], every=5):
        assert_type(seen, LiveVisitors)
        break


async def errors(fathom: FathomClient) -> None:
    try:
        await fathom.sites.get("NOSUCH")
    except WaitTooLongError as error:
        assert_type(error.eta, float)
    except RateLimitError as error:
        assert_type(error.retry_after, float | None)
    except APIError as error:
        assert_type(error.status, int)
    try:
        await fathom.sites.get("NOSUCH")
    except fathom_async.TimeoutError as error:
        assert_type(error.sent, bool)
    except FathomError as error:
        assert_type(str(error), str)


async def fleet(server: FathomServer) -> None:
    workers = WorkerClients(lambda _account: FathomClient("any", base_url=server.url), lambda: None)

    async def run(task: Json) -> Sequence[Json]:
        return await workers.answer(task)

    jobs = Fleet(run, at_once=2, plan="classic")
    assert_type(jobs.plan(batches([PAGES])), FleetPlan)
    async for outcome in jobs.run([PAGES, DAYS], account="shop"):
        assert_type(outcome, Outcome[PageviewRow])
    assert_type(await jobs.outcomes([SALES]), Sequence[Outcome[EventRow]])
    await workers.aclose()


async def service(url: str) -> None:
    settings = Service(base_url=url, authorization="Bearer any", limits={"all": RateLimit(600, per=3600)})
    async with ServiceClient(settings) as client:
        assert_type(await client.send(Request("GET", "/account", parse, lane="all")), object)
        read = Request("GET", "/account", object_decoder(Account), lane="all")
        assert_type(await client.send(read), Account)
        assert_type(client.with_options(max_wait=None), ServiceClient)


async def main() -> list[ClientEvent]:
    seen = list[ClientEvent]()
    plan = RatePlan(reports=RateLimit(10, per=60), reserve=2)
    async with (
        FathomServer(reports_throttle=LaravelWindow(100, per=60)) as server,
        FathomClient(
            "any",
            base_url=server.url,
            plan=plan,
            retry=RetryPolicy(attempts=3),
            on_event=seen.append,
            trust_env=False,
        ) as fathom,
    ):
        site = await lists(fathom)
        await objects(fathom, site)
        server.inject(Status(503))
        for part in (rows, many, compared, options, errors):
            await part(fathom)
        await fleet(server)
        await service(server.url)
        assert_type(server.hits, Sequence[Hit])
    assert_type(open_store("memory://"), ReportStore)
    assert_type([event.waited for event in seen if isinstance(event, Admitted)], list[float])
    return seen
