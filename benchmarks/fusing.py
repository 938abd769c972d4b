"""Count the requests of a dashboard: as asked, with equal queries sent once, and fused.

``python -m benchmarks fusing`` queries the embedded server both ways and compares every answer.
"""

import time
from collections.abc import Iterator, Sequence
from datetime import date
from typing import get_args

from benchmarks.harness import Benchmark, Comparison
from benchmarks.report import table
from fathom_async import EventQuery, FathomClient, Filter, PageviewQuery, RateLimit, RatePlan
from fathom_async._bulk.fusing import Fused, fuse
from fathom_async._core.codec.rows import Row
from fathom_async._reports.fields import EventAggregate, FieldGrouping, PageviewAggregate
from fathom_async._reports.query import AnyQuery
from fathom_async._reports.report import Report
from fathom_async.testing import Dataset, FathomServer

SITE = "CDBUGS"
TODAY = date(2026, 10, 31)
PERIODS = ("today", "last 7 days", "last 30 days")
METRICS: tuple[PageviewAggregate, ...] = get_args(PageviewAggregate)
PAGE_METRICS: tuple[PageviewAggregate, ...] = ("pageviews", "uniques")
EVENT_METRICS: tuple[EventAggregate, ...] = ("conversions", "value")
BREAKDOWNS: tuple[FieldGrouping, ...] = (
    "pathname",
    "referrer_source",
    "country_code",
    "browser",
    "device_type",
)
PAGES = 12
TARGET = 3.0

_FREE = RatePlan(reports=RateLimit(100_000, per=1))
_A_MINUTE = 10
_WINDOW = 60


def dashboard(data: Dataset, today: date = TODAY) -> Iterator[AnyQuery]:
    """Yield the queries of a dashboard with independent widgets."""
    for period in PERIODS:
        yield from (_total(metric, period, today) for metric in METRICS)
        yield from (_total(metric, period, today, path) for path in _pages(data) for metric in PAGE_METRICS)
        for name in sorted({event.name for event in data.events if event.site_id == SITE})[:2]:
            for metric in EVENT_METRICS:
                yield EventQuery(SITE, name, aggregates=[metric]).over(period, now=today)
    for period in PERIODS[1:]:
        yield from (_total(metric, period, today).replace(date_grouping="day") for metric in PAGE_METRICS)
    for field in BREAKDOWNS:
        top = PageviewQuery(
            SITE, aggregates=["pageviews"], field_grouping=[field], sort_by="pageviews:desc", limit=10
        )
        yield top.over("last 30 days", now=today)
    yield from (_total(metric, "today", today) for metric in PAGE_METRICS)  # the header shows these once more


def _total(metric: PageviewAggregate, period: str, today: date, path: str | None = None) -> PageviewQuery:
    filters = [] if path is None else [Filter("pathname", "is", path)]
    return PageviewQuery(SITE, aggregates=[metric], filters=filters).over(period, now=today)


def _pages(data: Dataset) -> Sequence[str]:
    return sorted({view.pathname for view in data.pageviews if view.site_id == SITE})[:PAGES]


async def answers(
    fathom: FathomClient, plan: Sequence[Fused[Row]], queries: Sequence[AnyQuery]
) -> list[Report[Row]]:
    """Return the answers of fused requests in the order of the queries."""
    found: dict[int, Report[Row]] = {}
    for group in plan:
        reports = group.split(await fathom.reports.aggregate(group.query))
        if reports is None:
            reports = [await fathom.reports.aggregate(asked.query) for asked in group.asked]
        for asked, report in zip(group.asked, reports, strict=True):
            found |= dict.fromkeys(asked.positions, report)
    return [found[position] for position in range(len(queries))]


async def _run(rounds: int) -> Sequence[Comparison]:
    del rounds  # makes the runs reproducible
    data = Dataset.synthetic(until=TODAY)
    queries = list(dashboard(data))
    begin = time.perf_counter()
    plan: Sequence[Fused[Row]] = fuse(queries)
    seconds = time.perf_counter() - begin
    async with (
        FathomServer(data=data, reports_throttle=None) as server,
        FathomClient("any", base_url=server.url, plan=_FREE) as fathom,
    ):
        separate: list[Report[Row]] = [await fathom.reports.aggregate(query) for query in queries]
        server.reset_stats()
        fused = await answers(fathom, plan, queries)
        requests = len(server.hits)
    equal = sum(one == two for one, two in zip(separate, fused, strict=True))
    rows = [("as asked", len(queries)), ("equal queries once", len(set(queries))), ("fused", requests)]
    head = ("", "requests", "x fewer", "s at 10/min")
    print()
    print(table([head, *(_line(name, number, len(queries)) for name, number in rows)]))
    print(f"\n{equal} of {len(queries)} answers are equal; planning took {seconds * 1000:.1f} ms")
    factor = len(queries) / requests
    print(f"target: {TARGET:g} times fewer, {'reached' if factor >= TARGET else 'missed'} in this run\n")
    for group in plan:
        print(f"{len(group.asked):>4}  {', '.join(group.how) or 'as asked'}")
    return ()


def _line(name: str, requests: int, asked: int) -> tuple[str, ...]:
    return name, str(requests), f"{asked / requests:.1f}", str((requests - 1) // _A_MINUTE * _WINDOW)


BENCHMARK = Benchmark(
    name="fusing",
    measures=(
        f"A dashboard requests {len(METRICS)} metrics, and {PAGES} pages with {len(PAGE_METRICS)} metrics, each "
        f"for {len(PERIODS)} periods, one query per figure, with daily charts, events and breakdowns. The embedded "
        "server answers the fused and the single requests, and the benchmark compares all answers."
    ),
    run=_run,
)
