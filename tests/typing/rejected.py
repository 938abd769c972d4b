"""What must not type-check. Each mistake is on a line of its own, with the error of mypy and of pyright behind it.

Both checkers report a comment that suppresses nothing, and an error that no comment names. So `make types` fails if
one of them accepts a line, or rejects it for another reason. Nothing here runs.
"""

# ruff: noqa: B015, B018, F841 - the mistakes are expressions and assignments that nothing uses
# pyright: reportUnnecessaryTypeIgnoreComment=true
# pyright: reportUnusedExpression=false, reportUnusedVariable=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from datetime import date

from fathom_async import EventQuery, FathomClient, PageviewQuery, RateLimit, RatePlan, Report, Site, where
from fathom_async.integrations.fleet import Fleet
from fathom_async.reports import Query, Row
from fathom_async.service import Request, Service, ServiceClient, parse
from fathom_async.testing import FathomServer

VISITS = PageviewQuery("CDBUGS", aggregates=["visits"])
SALES = EventQuery("CDBUGS", "purchase", aggregates=["conversions"])


def clients() -> None:
    FathomClient()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    FathomClient(42)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    FathomClient("token", tokem="other")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    FathomClient("token", timeout="30")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    FathomClient("token", plan=600)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    FathomClient("token", on_budget_lost="ignore")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    FathomClient.from_env(token="other")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    RatePlan(reports=10)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    RateLimit("10", per=60)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def queries(site: Site) -> None:
    PageviewQuery("CDBUGS")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    PageviewQuery(["CDBUGS"], aggregates=["visits"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    PageviewQuery("CDBUGS", aggregates=["visit"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    PageviewQuery("CDBUGS", aggregates=["conversions"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    PageviewQuery("CDBUGS", ["browser"], aggregates=["visits"])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    PageviewQuery("CDBUGS", aggregates=["visits"], field_grouping=["path"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    PageviewQuery("CDBUGS", aggregates=["visits"], date_grouping="week")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    PageviewQuery("CDBUGS", aggregates=["visits"], limit="10")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    PageviewQuery("CDBUGS", aggregates=["visits"], page=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    PageviewQuery("CDBUGS", aggregates=["visits"], filters=["browser"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    EventQuery("CDBUGS", aggregates=["conversions"])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    EventQuery("CDBUGS", "purchase", aggregates=["visits"])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]
    VISITS.limit = 5  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    site.name = "Other"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def filters() -> None:
    where.browser.matching("Chr.*")  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    where.path == "/"  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    where.browser.is_(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (where.browser == "Chrome") | (where.browser == "Safari")  # type: ignore[operator]  # pyright: ignore[reportOperatorIssue]


async def rows(fathom: FathomClient) -> None:
    report = await fathom.reports.aggregate(VISITS)
    report.rows[0].conversions  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    report.rows[0].visits + 1  # type: ignore[operator]  # pyright: ignore[reportOptionalOperand]
    report.rows[0].visits = 5  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    report[0]  # type: ignore[index]  # pyright: ignore[reportIndexIssue]
    report.total()  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]
    report.money("gold")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    (await fathom.reports.aggregate(SALES)).rows[0].visits  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    found: Report[Row] = await fathom.sites.get("CDBUGS")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]


async def calls(fathom: FathomClient, any_query: Query[Row], server: FathomServer) -> None:
    await fathom.reports.aggregate("CDBUGS")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await fathom.reports.aggregate([VISITS])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await fathom.reports.gather(VISITS)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await fathom.reports.gather([VISITS], on_progress=print, max_request=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await fathom.reports.gather([VISITS], store=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await fathom.reports.run([VISITS])  # type: ignore[misc]  # pyright: ignore[reportGeneralTypeIssues]
    fathom.reports.run([VISITS], on_progress=len)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await fathom.reports.compare(VISITS, to=7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    await fathom.reports.backfill(any_query, target="sqlite:stats.db#visits")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    fathom.with_options(priority="urgent")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    fathom.with_options(max_wait="2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    fathom.site  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    await fathom.sites.create("Shop")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await fathom.sites.create(name="Shop", share=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    await fathom.milestones.create("CDBUGS", name="Launch", milestone_date=date.today)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    for each in fathom.sites.list():  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        del each
    with fathom:  # type: ignore[attr-defined]  # pyright: ignore[reportGeneralTypeIssues]
        pass
    server.inject(503)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def services(client: ServiceClient, run: Fleet) -> None:
    Service(base_url="https://api.example.com", authorization="key")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    Service(base_url="https://api.example.com", authorization="key", limits={"all": 600})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
    Request("GET", "/sites", lane="all")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    number: int = await client.send(Request("GET", "/sites", parse, lane="all"))  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    Fleet(print)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    async for outcome in run.run([VISITS], account=7):  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        del outcome
