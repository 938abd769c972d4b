"""Many reports at once: every query has its outcome, whatever happens to the others."""

# pyright: reportPrivateUsage=false

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest

from fathom_async import (
    APIError,
    ArgumentError,
    BulkError,
    ClosedError,
    DecodeError,
    EventQuery,
    FathomClient,
    FathomError,
    Filter,
    NetworkSettingsError,
    NotFoundError,
    Outcome,
    PageviewQuery,
    PermissionDeniedError,
    Priority,
    QueryError,
    RateLimit,
    RatePlan,
    RetryPolicy,
    ServerError,
    ValidationError,
)
from fathom_async._bulk.results import Progress
from fathom_async._core.request import Request, Response
from fathom_async._util.clock import LoopClock
from fathom_async.testing import Delay, FathomServer, Html, Status
from fathom_async.testing._faults import Fault
from tests.conftest import EAGER, until

SITE = "CDBUGS"
PATHS = ["/", "/pricing", "/blog", "/nowhere"]
TOTAL = PageviewQuery(SITE, aggregates=["pageviews"], date_from="2026-01-01", date_to="2026-01-31")
PAGES = [TOTAL.replace(filters=[Filter("pathname", "is", path)]) for path in PATHS]
BROWSERS = TOTAL.replace(field_grouping=["browser"], sort_by="pageviews:desc")

pytestmark = pytest.mark.virtual_time


def on_page(number: int) -> PageviewQuery:
    return TOTAL.replace(filters=[Filter("pathname", "is", f"/{number}.")])


@pytest.fixture
async def open_server() -> AsyncIterator[FathomServer]:
    """An embedded server without limits."""
    async with FathomServer(reports_throttle=None) as running:
        yield running


@pytest.fixture
async def quick(open_server: FathomServer) -> AsyncIterator[FathomClient]:
    """A client that is as unlimited as its server."""
    plan = RatePlan.hourly(1_000_000, concurrency=50)
    async with FathomClient("any", base_url=open_server.url, plan=plan, retry=EAGER) as client:
        yield client


@pytest.fixture
async def once(open_server: FathomServer) -> AsyncIterator[FathomClient]:
    """A client that tries nothing again."""
    plan = RatePlan.hourly(1_000_000, concurrency=50)
    policy = RetryPolicy(attempts=1)
    async with FathomClient("any", base_url=open_server.url, plan=plan, retry=policy) as client:
        yield client


def asked(server: FathomServer) -> int:
    return sum(hit.path.endswith("/aggregations") for hit in server.hits)


async def test_reports_come_in_the_order_asked_and_are_those_of_each_query(
    open_server: FathomServer, quick: FathomClient
) -> None:
    queries = [*PAGES, BROWSERS, TOTAL, PAGES[0]]
    alone = [await quick.reports.aggregate(query) for query in queries]
    before = asked(open_server)
    together = await quick.reports.gather(queries)
    assert together == alone
    assert [report.query for report in together] == queries
    assert asked(open_server) - before < len(queries) / 2


async def test_outcomes_come_as_they_are_there(open_server: FathomServer, quick: FathomClient) -> None:
    open_server.inject(Delay(0.3))
    queries = [TOTAL, TOTAL.replace(site_id="OTHER1"), BROWSERS]
    outcomes = [outcome async for outcome in quick.reports.run(queries, fuse=False)]
    assert sorted(outcome.position for outcome in outcomes) == [0, 1, 2]
    assert outcomes[-1].report is not None, "the one that took long came last"


async def test_a_query_that_fails_sinks_nobody_else(quick: FathomClient) -> None:
    queries = [TOTAL, TOTAL.replace(site_id="NOSUCH"), BROWSERS]
    with pytest.raises(BulkError, match="1 of 3 queries failed") as caught:
        await quick.reports.gather(queries)
    first, second, third = caught.value.outcomes
    assert isinstance(second.error, NotFoundError)
    assert second.report is None
    with pytest.raises(NotFoundError):
        second.result()
    assert first.result().rows
    assert third.result().rows


@pytest.mark.parametrize(("fault", "more"), [(Status(422), 3), (Status(501), 3), (Html(), 3)])
async def test_what_was_fused_and_failed_is_asked_for_in_halves_if_the_server_is_there(
    open_server: FathomServer, once: FathomClient, fault: Fault, more: int
) -> None:
    open_server.inject(fault)
    reports = await once.reports.gather(PAGES)
    assert [len(report) for report in reports] == [1, 1, 1, 0]
    assert asked(open_server) == 1 + more


class FailingAt:
    """A transport with a bad answer for requests that contain a text, and no rows for the others."""

    def __init__(self, text: str, answer: Response | FathomError) -> None:
        self.text = text
        self.answer = answer
        self.questions = 0
        self.paths: list[str] = []

    async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:  # noqa: ARG002
        self.questions += 1
        if isinstance(self.answer, FathomError):
            raise self.answer
        sent()
        self.paths.append(request.path)
        return self.answer if self.text in str(request.params) else Response(200, {}, b"[]")

    def url(self, request: Request[object]) -> str:
        return request.target

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("answer", "error", "controls"),
    [
        (Response(500, {}, b"no"), ServerError, 1),
        (Response(422, {}, b"no"), ValidationError, 1),
        (Response(200, {}, b"no"), DecodeError, 1),
    ],
)
async def test_one_query_that_fails_sinks_none_that_it_was_fused_with(
    answer: Response, error: type[FathomError], controls: int
) -> None:
    many = [on_page(number) for number in range(16)]
    transport = FailingAt("7.", answer)
    async with FathomClient("any", transport=transport, retry=RetryPolicy(attempts=1)) as fathom:
        failed = [outcome async for outcome in fathom.reports.run(many) if outcome.error]
    assert [(outcome.query, type(outcome.error)) for outcome in failed] == [(many[7], error)]
    assert transport.questions == 1 + controls + 2 * 4, "two halves of 16, of 8, of 4 and of 2"


async def test_a_server_that_fails_at_everything_is_left_in_peace(
    open_server: FathomServer, once: FathomClient
) -> None:
    open_server.inject(*[Status(501)] * 50)
    outcomes = [outcome async for outcome in once.reports.run(PAGES)]
    assert [type(outcome.error) for outcome in outcomes] == [ServerError] * len(PAGES)
    assert asked(open_server) == 1 + 1


async def test_a_question_of_ones_own_that_is_refused_is_asked_once(
    open_server: FathomServer, quick: FathomClient
) -> None:
    open_server.inject(Status(422))
    outcomes = [outcome async for outcome in quick.reports.run([TOTAL, TOTAL])]
    assert [type(outcome.error) for outcome in outcomes] == [ValidationError] * 2
    assert asked(open_server) == 1


async def test_when_the_server_fails_nothing_is_asked_again_one_by_one(
    open_server: FathomServer, quick: FathomClient
) -> None:
    open_server.inject(*[Status(403)] * 2)
    outcomes = [outcome async for outcome in quick.reports.run(PAGES)]
    assert len([outcome for outcome in outcomes if outcome.error]) == len(PAGES)
    assert asked(open_server) == 2, "one probe"


LAPSED = Response(400, {}, b'{"error": "Your subscription has lapsed."}')
UNAUTHENTICATED = Response(401, {}, b'{"message": "Unauthenticated."}')
LAPSED_BY_FIELD = Response(400, {}, b'{"errors": {"account": ["Your subscription has lapsed."]}}')
FORBIDDEN = Response(403, {}, b'{"error": "You do not have permission."}')
FORBIDDEN_AS_400 = Response(400, {}, b'{"error": "You do not have permission to do this."}')
LAPSED_AS_422 = Response(422, {}, b'{"message": "Your subscription has lapsed."}')
UNPAID = Response(402, {}, b'{"error": "Payment required."}')
REDIRECT = Response(302, {"Location": "/login"}, b"<html></html>")
LOGIN_PAGE = Response(200, {"Content-Type": "text/html"}, b"<html></html>")
ATTEMPTS_AT_JSON = 1 + RetryPolicy().garbled
MANY = [
    TOTAL.replace(
        site_id=f"SITE{number % 4}", aggregates=["visits"], date_from=f"2026-01-{1 + number // 4:02}"
    )
    for number in range(64)
]


EACH_SITE = [TOTAL.replace(site_id=f"SITE{number}") for number in range(64)]


@pytest.mark.parametrize(
    "answer",
    [
        *(LAPSED, LAPSED_BY_FIELD, LAPSED_AS_422, UNAUTHENTICATED, FORBIDDEN, FORBIDDEN_AS_400),
        *(UNPAID, REDIRECT, LOGIN_PAGE),
    ],
)
@pytest.mark.parametrize("store", [None, "memory://"])
@pytest.mark.parametrize(
    "queries", [MANY, EACH_SITE, [on_page(number) for number in range(64)]], ids=["sites", "each", "pages"]
)
async def test_what_is_the_accounts_fault_ends_a_run_after_one_probe(
    answer: Response, store: str | None, queries: list[PageviewQuery]
) -> None:
    transport = FailingAt("", answer)
    async with FathomClient("any", transport=transport) as fathom:
        outcomes = [outcome async for outcome in fathom.reports.run(queries, store=store)]
    assert sorted(outcome.position for outcome in outcomes) == list(range(64))
    assert len({str(outcome.error) for outcome in outcomes}) == 1
    assert isinstance(outcomes[0].error, DecodeError if answer is LOGIN_PAGE else APIError)
    is_permission = isinstance(outcomes[0].error, PermissionDeniedError) and queries is EACH_SITE
    most = (10 if is_permission else 4) * (ATTEMPTS_AT_JSON if answer is LOGIN_PAGE else 1)
    assert len([path for path in transport.paths if path.endswith("aggregations")]) <= most


async def test_a_certificate_that_is_not_trusted_ends_a_run_after_a_few_attempts() -> None:
    now = asyncio.get_running_loop().time
    start, transport = now(), FailingAt("", NetworkSettingsError("not trusted", sent=False))
    async with FathomClient("any", transport=transport) as fathom:
        outcomes = [outcome async for outcome in fathom.reports.run(MANY)]
    assert sorted(outcome.position for outcome in outcomes) == list(range(64))
    assert {type(outcome.error) for outcome in outcomes} == {NetworkSettingsError}
    assert transport.questions <= 4
    assert now() - start < 1


@pytest.mark.parametrize(
    "field", ["filters", "filters.0.value", "pathname", "timezone", "limit", "Entity_ID"]
)
async def test_a_400_that_names_what_is_asked_fails_its_query_only(field: str) -> None:
    words = json.dumps({"errors": {field: ["no"]}}).encode()
    sites = ["BAD0", "GOOD", *(f"BAD{number}" for number in range(1, 9))]
    async with FathomClient("any", transport=FailingAt("BAD", Response(400, {}, words))) as fathom:
        queries = [on_page(1).replace(site_id=site) for site in sites]
        outcomes = [outcome async for outcome in fathom.reports.run(queries)]
    assert {outcome.query.site_id for outcome in outcomes if outcome.error is None} == {"GOOD"}


async def test_a_token_for_some_sites_fails_at_the_others_only() -> None:
    transport = FailingAt("SITE2", FORBIDDEN)
    async with FathomClient("any", transport=transport, plan=RatePlan.hourly(1000, concurrency=50)) as fathom:
        outcomes = [outcome async for outcome in fathom.reports.run(MANY)]
    failed = {outcome.query.site_id for outcome in outcomes if outcome.error}
    assert failed == {"SITE2"}
    assert sum(outcome.report is not None for outcome in outcomes) == 48


@pytest.mark.parametrize("answer", [FORBIDDEN, FORBIDDEN_AS_400])
@pytest.mark.parametrize("allowed", [{1, 2, 3, 4, 5, 6}, {2, 3, 4, 6}, *({number} for number in range(10))])
async def test_of_ten_sites_those_that_a_token_is_for_are_answered_whichever_they_are(
    answer: Response, allowed: set[int]
) -> None:
    transport = FailingAt("FORBIDDEN", answer)
    sites = [f"SITE{number}" if number in allowed else f"FORBIDDEN{number}" for number in range(10)]
    async with FathomClient("any", transport=transport, plan=RatePlan.hourly(1000, concurrency=5)) as fathom:
        outcomes = [o async for o in fathom.reports.run([TOTAL.replace(site_id=site) for site in sites])]
    assert {outcome.position for outcome in outcomes if outcome.error is None} == allowed
    assert transport.questions < 2 * len(sites)


@pytest.mark.parametrize("answer", [FORBIDDEN, FORBIDDEN_AS_400, LAPSED, UNPAID])
@pytest.mark.parametrize("concurrency", [1, 50])
async def test_where_several_sites_are_forbidden_the_others_are_answered(
    answer: Response, concurrency: int
) -> None:
    transport = FailingAt("FORBIDDEN", answer)
    plan = RatePlan.hourly(1000, concurrency=concurrency)
    refused = {0, 1, 2, 37, 38, 39}
    sites = [f"FORBIDDEN{number}" if number in refused else f"SITE{number}" for number in range(40)]
    async with FathomClient("any", transport=transport, plan=plan) as fathom:
        for _ in range(2):
            outcomes = [
                outcome
                async for outcome in fathom.reports.run([TOTAL.replace(site_id=site) for site in sites])
            ]
            assert {outcome.position for outcome in outcomes if outcome.error} == refused


@pytest.mark.parametrize("answer", [LAPSED, FORBIDDEN, UNPAID, REDIRECT, LOGIN_PAGE])
@pytest.mark.parametrize("is_fused", [True, False])
async def test_queries_that_are_refused_by_themselves_fail_no_other_though_they_come_first_and_last(
    answer: Response, is_fused: bool
) -> None:
    pages = [on_page(number) for number in (7, *range(7), *range(8, 18))]
    transport = FailingAt("7.", answer)
    async with FathomClient("any", transport=transport, plan=RatePlan.hourly(1000, concurrency=50)) as fathom:
        outcomes = [outcome async for outcome in fathom.reports.run(pages, fuse=is_fused)]
    assert {outcome.position for outcome in outcomes if outcome.error} == {0, len(pages) - 1}


async def test_columns_come_in_the_order_of_each_query(quick: FathomClient) -> None:
    one = TOTAL.replace(aggregates=["pageviews", "visits"])
    other = TOTAL.replace(aggregates=["visits", "pageviews"])
    assert one == other
    reports = await quick.reports.gather([one, other])
    assert [report.columns for report in reports] == [("pageviews", "visits"), ("visits", "pageviews")]
    assert reports[0].rows[0].pageviews == reports[1].rows[0].pageviews


async def test_pageviews_and_events_go_together(quick: FathomClient) -> None:
    events = EventQuery(SITE, "purchase", aggregates=["conversions"])
    pageviews, conversions = await quick.reports.gather([TOTAL, events])
    assert pageviews.columns == ("pageviews",)
    assert conversions.columns == ("conversions",)


async def test_a_bulk_run_lets_everybody_else_go_first(fathom: FathomClient) -> None:
    order: list[str] = []
    queries = [TOTAL.replace(date_from=date(2025, month, 1)) for month in range(1, 13)]

    async def run() -> None:
        async for outcome in fathom.reports.run(queries, fuse=False):
            order.append(outcome.origin)  # noqa: PERF401 - others append meanwhile

    bulk = asyncio.create_task(run())
    await until(lambda: order == ["asked"] * 10)
    await fathom.with_options(priority=Priority.INTERACTIVE).reports.aggregate(BROWSERS)
    order.append("urgent")
    await bulk
    assert order[10] == "urgent"


async def test_who_stops_iterating_stops_the_run(open_server: FathomServer, quick: FathomClient) -> None:
    open_server.inject(*[Delay(0.2)] * 20)
    queries = [TOTAL.replace(date_from=date(2025, month, 1)) for month in range(1, 13)]
    async with aclosing(quick.reports.run([BROWSERS, *queries], fuse=False)) as outcomes:
        async for _ in outcomes:
            break
    lane = quick.limits["reports"]
    assert (lane.in_flight, lane.queued) == (0, 0)
    assert not quick._session.scope._tasks


async def test_closing_the_client_ends_the_run(open_server: FathomServer, quick: FathomClient) -> None:
    open_server.inject(Delay(30))
    run = asyncio.create_task(quick.reports.gather([TOTAL]))
    await until(lambda: quick.limits["reports"].in_flight == 1)
    await quick.aclose()
    with pytest.raises(ClosedError):
        await run


async def test_progress_is_told_from_the_start_to_the_end(quick: FathomClient) -> None:
    heard: list[Progress] = []
    queries = [*PAGES, BROWSERS, TOTAL.replace(site_id="NOSUCH")]
    with pytest.raises(BulkError):
        await quick.reports.gather(queries, on_progress=heard.append)
    assert heard[0] == Progress(queries=6)
    last = heard[-1]
    assert (last.done, last.failed, last.requests, last.answered) == (6, 1, 3, 3)
    assert last.is_over
    assert all(one.done <= other.done for one, other in pairwise(heard))


async def test_the_time_left_is_the_rate_limits(fathom: FathomClient) -> None:
    heard: list[Progress] = []
    queries = [TOTAL.replace(date_from=date(2025, month, 1)) for month in range(1, 13)]
    async with aclosing(fathom.reports.run(queries, fuse=False, on_progress=heard.append)) as outcomes:
        async for _ in outcomes:
            if heard[-1].done == 10:
                break
    assert heard[-1].seconds_left == pytest.approx(60, abs=2)


async def test_a_plan_tells_what_a_run_would_send(server: FathomServer, fathom: FathomClient) -> None:
    queries = [
        TOTAL.replace(site_id=f"SITE{number}", filters=page.filters) for number in range(12) for page in PAGES
    ]
    plan = fathom.reports.plan(queries)
    assert (plan.queries, plan.requests, plan.pageviews) == (48, 12, 12)
    assert plan.seconds == pytest.approx(61, abs=1)
    headline = str(plan).splitlines()[0]
    assert headline == "48 queries in 12 requests, 4.0 times fewer; 1 min 01 s; 12 pageviews on the account"
    assert "4 pathnames as groups" in str(plan)
    assert fathom.reports.plan(queries, fuse=False).requests == 48
    assert not server.hits


async def test_a_plan_counts_the_pieces_of_long_hourly_reports(fathom: FathomClient) -> None:
    hourly = TOTAL.replace(date_grouping="hour")
    plan = fathom.reports.plan([hourly])
    assert plan.requests == 5
    assert Counter(len(group.asked) for group in plan.groups) == {1: 1}


async def test_what_cannot_be_asked_is_refused_before_anything_is_sent(
    server: FathomServer, fathom: FathomClient
) -> None:
    open_ended = PageviewQuery(SITE, aggregates=["visits"], date_grouping="hour")
    with pytest.raises(QueryError, match="7 days by the hour"):
        fathom.reports.run([TOTAL, open_ended])
    with pytest.raises(ArgumentError, match=r"write \[query\]"):
        await fathom.reports.gather(TOTAL)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    with pytest.raises(ArgumentError, match=r"queries\[1\] must be"):
        fathom.reports.plan([TOTAL, "visits"])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert await fathom.reports.gather([]) == []
    assert not server.hits


@pytest.mark.parametrize("priority", Priority)
async def test_the_time_left_counts_what_waits_already_once(
    open_server: FathomServer, priority: Priority
) -> None:
    """The second caller waits for the first, and nothing is counted twice."""
    clock = LoopClock()
    plan = RatePlan(reports=RateLimit(2, per=20))
    told: list[tuple[float, float]] = []

    def note(progress: Progress) -> None:
        told.append((clock.now(), progress.seconds_left))

    async with FathomClient("any", base_url=open_server.url, plan=plan, clock=clock) as fathom:
        apart = [TOTAL.replace(limit=number) for number in range(1, 9)]
        first = asyncio.create_task(fathom.reports.gather(apart[:4], fuse=False, priority=priority))
        await until(lambda: fathom.limits["reports"].queued >= 2)
        assert fathom.reports.plan(apart[4:], fuse=False).seconds > 60
        await fathom.reports.gather(apart[4:], fuse=False, priority=priority, on_progress=note)
        end = clock.now()
        await first
    early = [left + at for at, left in told if left > 0]
    assert early
    assert all(abs(predicted - end) < 15 for predicted in early), (end, told)


async def test_a_priority_or_store_that_is_none_is_refused(quick: FathomClient) -> None:
    with pytest.raises(ArgumentError, match=r"priority must be one of Priority\.INTERACTIVE"):
        quick.reports.run([TOTAL], priority="bulk")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(ArgumentError, match="store must be a path"):
        quick.reports.run([TOTAL], store=5)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


async def test_a_plan_counts_equal_queries_once_in_any_order_of_their_columns(quick: FathomClient) -> None:
    query = TOTAL.replace(field_grouping=["pathname"], aggregates=["pageviews", "visits"])
    plan = quick.reports.plan([query, query.replace(aggregates=["visits", "pageviews"])])
    assert plan.requests == 1


def test_an_outcome_is_a_report_or_an_error_and_never_both() -> None:
    report, error = TOTAL.read(b"[]"), DecodeError("no")
    assert Outcome(TOTAL, report).result() is report
    with pytest.raises(DecodeError):
        Outcome(TOTAL, error=error).result()
    for both in ((None, None), (report, error)):
        with pytest.raises(ArgumentError, match="either a report or an error"):
            Outcome(TOTAL, *both)


async def test_a_plan_above_the_most_requests_is_refused_before_anything_is_sent(
    open_server: FathomServer, quick: FathomClient
) -> None:
    queries = [*PAGES, BROWSERS.replace(limit=None), TOTAL.replace(site_id="GCDFSX")]
    planned = quick.reports.plan(queries).requests
    for store in (None, "memory://"):
        with pytest.raises(ArgumentError, match=f"{planned} requests, more than max_requests={planned - 1}"):
            await quick.reports.gather(queries, store=store, max_requests=planned - 1)
    assert not asked(open_server)
    assert len(await quick.reports.gather(queries, store="memory://", max_requests=planned)) == len(queries)
    assert len(await quick.reports.gather(queries, store="memory://", max_requests=0)) == len(queries), (
        "all kept"
    )


async def test_what_was_fused_kept_and_implied_is_counted(quick: FathomClient) -> None:
    heard: list[Progress] = []
    days = TOTAL.replace(date_grouping="day", date_from="2026-01-01", date_to="2026-01-10")
    week = TOTAL.replace(date_from="2026-01-01", date_to="2026-01-07")
    await quick.reports.gather([*PAGES, days], store="memory://")
    await quick.reports.gather([*PAGES, week], store="memory://", on_progress=heard.append)
    last = heard[-1]
    assert (last.queries, last.kept, last.implied, last.fused, last.answered) == (5, 5, 1, 0, 0)
    counts = quick.stats.queries
    assert counts["kept"] == 4
    assert counts["implied"] == 1
    assert counts["fused"] >= 4
    assert sum(counts.values()) == 10


class ShortUrls:
    """A transport that refuses requests for more than one text."""

    def __init__(self) -> None:
        self.refused = self.sent = 0

    async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:
        del within
        sent()
        self.sent += 1
        if "matching" not in request.params.get("filters", ""):
            return Response(200, {}, b"[]")
        self.refused += 1
        return Response(414, {}, b"Request-URI Too Long")

    def url(self, request: Request[object]) -> str:
        return request.target

    async def close(self) -> None:
        pass


async def test_what_a_server_refuses_for_its_length_is_found_out_once_and_remembered(tmp_path: Path) -> None:
    daily = TOTAL.replace(date_grouping="day", aggregates=["visits"])
    pages = [daily.replace(filters=[Filter("pathname", "is", f"/{number}")]) for number in range(200)]
    transport, plan = ShortUrls(), RatePlan.hourly(100_000, concurrency=50)
    async with FathomClient("any", transport=transport, plan=plan) as fathom:
        await fathom.reports.gather(pages, store=tmp_path / "reports.db")
    assert transport.refused <= 8
    assert transport.sent == len(pages) + transport.refused
    again = ShortUrls()
    other_days = [page.replace(date_from="2025-01-01") for page in pages]
    async with FathomClient("any", transport=again, plan=plan) as fathom:
        await fathom.reports.gather(other_days, store=tmp_path / "reports.db")
    assert (again.sent, again.refused) == (len(pages), 0)
