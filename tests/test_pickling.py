"""Every public error and value survives `pickle`, `copy`, `deepcopy` and a pool of processes."""

import ast
import asyncio
import copy
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, date, datetime
from http import HTTPStatus
from importlib import import_module
from inspect import getsource, isabstract, isclass
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from typing import Final, is_typeddict

import pytest

import fathom_async as fathom
from fathom_async import backfill, jobs, models, reports, service, store, telemetry, testing, watch
from fathom_async._core.codec.objects import discard
from fathom_async.connectors import emma, secoda, sync
from fathom_async.integrations import batches, charts, fastapi, fleet, mcp, prometheus
from tests.test_public import PUBLIC

NOW: Final = datetime(2026, 1, 31, 12, tzinfo=UTC)
URL: Final = "https://api.usefathom.com/v1/sites"
VISITS: Final = fathom.PageviewQuery(
    "CDBUGS", aggregates=["visits"], filters=[fathom.Filter("browser", "is", "Firefox")]
)
SALES: Final = fathom.EventQuery("CDBUGS", "sale", aggregates=["conversions"], date_grouping="day")
REPORT: Final = fathom.Report(VISITS, tuple(VISITS.codec.decode(b'[{"visits": "3"}]')), truncated=False)
REFUSED: Final = fathom.RateLimitError(429, "Too Many Attempts.", {"a": ["b"]}, "GET", URL, 59.0)
ANSWERED: Final = fathom.Outcome(VISITS, REPORT, asked_at=5.0)
FAILED: Final = fathom.Outcome(SALES, error=REFUSED, position=1)
EXTRA: Final = {"new": {"deep": [1]}}
RULE: Final = watch.Rule(name="a", site_id="CDBUGS", metric="visits", below=1)
PURCHASE: Final = emma.NewMemberEvent(member_id=5, event_type="purchase", attributes={"a": 1})
REJECTED: Final = emma.Batch((PURCHASE,), error=REFUSED)

WORDS: Final = [
    fathom.FathomError,
    fathom.ArgumentError,
    fathom.ConfigurationError,
    fathom.QueryError,
    fathom.UnsortedLimitWarning,
    fathom.ClosedError,
    fathom.BudgetError,
    fathom.PagingError,
    fathom.StoreError,
    fathom.InconsistentError,
    backfill.TargetError,
    backfill.TargetBusyError,
    sync.SyncError,
]
"""Errors of a message alone."""

ANSWERS: Final = [
    fathom.APIError,
    fathom.AuthenticationError,
    fathom.PermissionDeniedError,
    fathom.ValidationError,
    fathom.NotFoundError,
    fathom.GoneError,
    fathom.RateLimitError,
    fathom.ServerError,
]
BREAKS: Final = [
    fathom.TransportError,
    fathom.ConnectError,
    fathom.NetworkSettingsError,
    fathom.TimeoutError,
    fathom.OutageError,
]

ERRORS: Final[list[Exception]] = [
    *(kind("it broke") for kind in WORDS),
    *(kind(418, "teapot", {"name": ["is odd"]}, "GET", URL, 7.0) for kind in ANSWERS),
    *(kind("it broke", "GET", URL, False) for kind in BREAKS),
    fathom.DecodeError("not JSON", "GET", URL, b"<html>"),
    fathom.WaitTooLongError("reports", 42.5, 2.0),
    fathom.WorkerTokenError("acme", "worker-7.internal", 4711, "401 Unauthorized"),
    fathom.InseparableError("too many rows", VISITS, 1000),
    fathom.BulkError([ANSWERED, FAILED]),
    emma.BatchError([REJECTED]),
    jobs.JobFileError("jobs.toml", [jobs.Fault("job.a", "is odd")]),
]


def plan() -> object:
    """Return the plan of two queries."""

    async def planned() -> object:
        async with fathom.FathomClient("token") as client:
            return client.reports.plan([VISITS, SALES])

    return asyncio.run(planned())


def stats() -> fathom.Stats:
    """Return the counts of a client."""
    counted = telemetry.Telemetry()
    counted.sent["crud"] += 1
    counted.queries["fused"] += 2
    return counted.stats()


SIGNUPS: Final = sync.SiteEvents(models.Site("A", "Acme", "none", NOW), "Acme", (models.Event("signup"),))
VALUES: Final[list[object]] = [
    *fathom.Priority,
    *(VISITS, SALES, REPORT, REPORT.rows[0], SALES.codec.row(date(2026, 1, 31), 3), *VISITS.codec.columns),
    *(ANSWERED, FAILED, plan(), fathom.Progress(2, done=1), stats()),
    *(fathom.Comparison(REPORT, REPORT), fathom.Change(3, 2)),
    fathom.ComparedRow(None, ("/",), {"visits": fathom.Change(3, 2)}),
    fathom.Filter("browser", "is", "Firefox"),
    fathom.Period.parse("2026-01", NOW),
    fathom.LiveVisitors("CDBUGS", NOW, error=REFUSED),
    fathom.CachePolicy(),
    fathom.RetryPolicy(),
    fathom.RatePlan.hourly(600, concurrency=5),
    fathom.RateLimit(10, per=60),
    fathom.LaneStatus(10, 60, 1, 0, 0, 0.0),
    store.CacheEntry(b"[]", 5.0, query="site_id=CDBUGS"),
    service.Options(fathom.Priority.BULK, flow="a"),
    service.Request("GET", "/sites", discard),
    service.Response(200, {"Content-Type": "text/html"}, b""),
    *(models.Account(1, "Jane", "jane@example.com", EXTRA), models.Deleted("1", "site", True, EXTRA)),
    models.Site("CDBUGS", "Acme", "none", NOW, extra=EXTRA),
    models.Event("sale", "1", None, NOW, EXTRA),
    models.Milestone("1", "Launch", NOW.date(), NOW, NOW, EXTRA),
    models.Page((models.Account(1, "Jane", "jane@example.com"),), True),
    models.Token("a", 1, ("*",), NOW, None, NOW, NOW, EXTRA),
    *(models.PageVisitors("https://a", "/", 3), models.ReferrerVisitors("https://b", "/", 3)),
    models.CurrentVisitors(3, (), ()),
    *(charts.Scale(0.0, 10.0), charts.Bar(0.0, 1.0, 2.0, 3.0)),
    reports.CalendarUnit("day"),
    telemetry.Queued(1, "crud", "GET", "/sites", 1, 0.0),
    telemetry.Admitted(1, "crud", 0.0, 0.0),
    telemetry.Sent(1, "crud", 0.0),
    telemetry.Answered(1, "crud", 0.0, 200, 0.1),
    telemetry.Retried(1, "crud", 0.0, 1, 0.5, "it broke"),
    telemetry.Failed(1, "crud", 0.0, "it broke"),
    telemetry.Paused("crud", 0.0, 1.0),
    telemetry.Recovered("crud", 0.0),
    telemetry.Adapted("crud", 0.0, "limit", 2000, 1000),
    *(backfill.ParquetDataset(Path("a")), backfill.DuckDBTable(Path("a"), "b")),
    backfill.SqliteTable(Path("a"), "b"),
    backfill.BackfillSummary(backfill.ParquetDataset(Path("a")), NOW, NOW, 1, 1, 1),
    *(secoda.SecodaPlan(), secoda.Resource("1", "Acme", extra=EXTRA)),
    secoda.CatalogPage((secoda.Resource("1"),), True),
    *(emma.EmmaPlan(), PURCHASE, REJECTED, emma.Creation((REJECTED,))),
    *(emma.EventType(1, "purchase", extra=EXTRA), emma.MemberEvent(1, 5, 7, extra=EXTRA)),
    *(sync.CreateCategory("a"), sync.CreateEvent("a", "b", "c"), sync.UpdateEvent("a", "b", "c")),
    *(sync.CreateProperty("a", "b", "c", "d"), sync.UpdateProperty("a", "b", "c", "d")),
    *(sync.DeleteEvent("a", "b", 1), sync.CreateEventType("a", "b")),
    *(SIGNUPS, sync.AccountEvents((SIGNUPS,), {SIGNUPS.site.id: "Acme"})),
    service.LimitHeaders("RateLimit-Limit"),
    sync.Applied(sync.CreateCategory("a"), "failed", REFUSED),
    *(jobs.Fault("job.a", "is odd"), jobs.Output(), jobs.NamedQuery("a", VISITS, None)),
    jobs.Job("a", (jobs.NamedQuery("a", VISITS, None),), False, jobs.Output()),
    jobs.JobFile("jobs.toml", ()),
    *(RULE, watch.Alert(RULE, NOW, NOW, 0, 1, None), watch.WatchResult(errors={RULE: REFUSED})),
    *(fastapi.LiveCount("CDBUGS", 3, NOW), fastapi.Reply(HTTPStatus.BAD_GATEWAY, "a")),
    fastapi.LaneHealth.of(fathom.LaneStatus(10, 60, 1, 0, 0, 0.0), 0.0),
    fastapi.Health(status="ok", lanes={}, sent={"crud": 1}, refused=0, retried=0, shared=0),
    *batches.batches([VISITS, SALES]),
    fleet.FleetPlan(1, 2, 3, 4, 5.0, "a"),
    mcp.QueryInput.model_validate({"site_id": "CDBUGS", "aggregates": ["visits"]}),
    prometheus.METRICS[0],
    *(
        testing.Status(503, {"a": 1}),
        testing.Disconnect(),
        testing.Truncate(),
        testing.Delay(1.0),
        testing.Html(),
    ),
    *(
        testing.Redirect("https://elsewhere"),
        testing.Body(b""),
        testing.ServerDialect(),
        testing.Verdict(True, 10, 9),
    ),
    testing.Hit(0.0, "GET", "/v1/sites", {"limit": "10"}, 200, "crud", True),
    *(testing.Site(id="CDBUGS", name="Acme"), testing.Event(site_id="CDBUGS", id="1", name="sale")),
    testing.Milestone(site_id="CDBUGS", id="1", name="Launch", milestone_date=NOW.date()),
    testing.Record(site_id="CDBUGS", at=NOW),
    testing.Pageview(site_id="CDBUGS", at=NOW, session="a"),
    testing.Completion(site_id="CDBUGS", at=NOW, event="sale", visitor="a"),
]

LIVE: Final = {
    "clients, which hold connections, and what sends through them": (
        *("FathomClient", "SecodaClient", "EmmaClient", "ServiceClient"),
        *("Caller", "Listing", "SyncPlan"),
        *("LiveFeed", "WorkerClients", "Fleet", "FathomTasks", "DaskFleet", "FathomWorker"),
    ),
    "settings of one client, which hold its token": ("Service",),
    "stores, which hold a file or a connection": ("MemoryStore", "RedisStore", "SqliteStore"),
    "servers of tests, and what they count": (
        *("FathomServer", "ServiceServer", "Dataset", "VirtualTimeLoop"),
        *("AlignedWindow", "ConcurrencyCap", "LaravelWindow", "SlidingLog", "TokenBucket"),
    ),
    "clocks and observers": ("LoopClock", "Telemetry", "RequestSpans", "ProgressBar", "ClientMetrics"),
}
"""Public classes whose instances stay in their process, by the reason."""


def public_classes() -> Iterator[type]:
    """Yield every public class that has instances."""
    for name in PUBLIC:
        module = import_module(name)
        defined = ast.parse(getsource(module)).body  # libraries may add classes of their own at run time
        own = [each.name for each in defined if isinstance(each, ast.ClassDef)]
        shown = (
            getattr(module, each) for each in getattr(module, "__all__", own) if not each.startswith("_")
        )
        for each in shown:
            if isclass(each) and not (
                is_typeddict(each) or isabstract(each) or getattr(each, "_is_protocol", False)
            ):
                yield each


def test_every_public_error_and_value_is_tried() -> None:
    tried = {base for each in (*ERRORS, *VALUES) for base in type(each).__mro__}
    live = {name for names in LIVE.values() for name in names}
    left = {each.__name__ for each in public_classes() if each not in tried}
    assert left == live


def facts(value: object) -> object:
    """Return what equal values have in common; errors have no equality of their own."""
    fields = repr(vars(value)) if isinstance(value, Exception) else ""
    return type(value), str(value), repr(value), fields


def pickled(value: object) -> object:
    written = BytesIO()
    pickler = pickle.Pickler(written)
    pickler.dispatch_table = {}  # without the help that Dask registers for errors
    pickler.dump(value)
    return pickle.loads(written.getvalue())  # noqa: S301 - our own


@pytest.mark.parametrize("way", [pickled, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("value", [*ERRORS, *VALUES], ids=lambda value: type(value).__name__)
def test_a_copy_is_equal(value: object, way: Callable[[object], object]) -> None:
    assert facts(way(value)) == facts(value)


def echo(value: object) -> object:
    """Return or raise a value in another process."""
    if isinstance(value, Exception):
        raise value
    return value


def test_a_process_pool_returns_values_and_raises_errors() -> None:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        ended = [(value, pool.submit(echo, value)) for value in (*ERRORS, *VALUES)]
    for value, future in ended:
        there = future.exception() if isinstance(value, Exception) else future.result()
        assert facts(there) == facts(value)
