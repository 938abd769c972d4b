"""Count the requests of large sets of queries: as asked, as sent, and as planned once the sites are known.

``python -m benchmarks fusing`` queries the embedded server both ways, and fails if an answer differs.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import chain, groupby, pairwise
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, get_args

from attrs import frozen

from benchmarks.harness import Benchmark
from benchmarks.results import Table
from fathom_async import EventQuery, FathomClient, Filter, PageviewQuery, RateLimit, RatePlan
from fathom_async._reports.fields import EventAggregate, FieldGrouping, PageviewAggregate
from fathom_async._reports.query import AnyQuery
from fathom_async._util.clock import LoopClock
from fathom_async.testing import Completion, Dataset, Event, FathomServer

SITE: Final = "CDBUGS"
TODAY: Final = date(2026, 10, 31)
PERIODS: Final = ("today", "last 7 days", "last 30 days")
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
UTM: tuple[FieldGrouping, ...] = ("utm_source", "utm_medium", "utm_campaign")
PAGES: Final = 12

_LOG: Final = Path(__file__).parents[2] / "shared" / "data" / "semicomplete-access.log.gz"
_FREE: Final = RatePlan(reports=RateLimit(100_000, per=1))
_A_MINUTE: Final = 10
_WINDOW: Final = 60


def dashboard(data: Dataset, today: date = TODAY) -> Iterator[AnyQuery]:
    """Yield the queries of a dashboard with independent widgets."""
    for period in PERIODS:
        yield from (_total(metric, period, today) for metric in METRICS)
        yield from (
            _total(metric, period, today, path) for path in _pages(data)[:PAGES] for metric in PAGE_METRICS
        )
        for name in sorted({event.name for event in data.events if event.site_id == SITE})[:2]:
            for metric in EVENT_METRICS:
                yield EventQuery(SITE, name, aggregates=[metric]).over(period, now=today)
    for period in PERIODS[1:]:
        yield from (_total(metric, period, today).replace(date_grouping="day") for metric in PAGE_METRICS)
    for field in BREAKDOWNS:
        yield _top(SITE, field).over("last 30 days", now=today)
    yield from (_total(metric, "today", today) for metric in PAGE_METRICS)  # the header shows these once more


def pages(data: Dataset, today: date = TODAY) -> Iterator[AnyQuery]:
    """Yield the totals of 200 pages in 30 days, two figures each."""
    for path in _pages(data)[:200]:
        yield from (_total(metric, "last 30 days", today, path) for metric in PAGE_METRICS)


def agency(data: Dataset) -> Iterator[AnyQuery]:
    """Yield the yearly report of an agency: months, quarters, the year, and three breakdowns of each site."""
    first_days = [date(2025 + (9 + month) // 12, (9 + month) % 12 + 1, 1) for month in range(1, 14)]
    for site in data.sites:
        for metric in METRICS:
            base = PageviewQuery(site.id, aggregates=[metric])
            yield from (_between(base, first, last) for first, last in pairwise(first_days))
        views = PageviewQuery(site.id, aggregates=["pageviews"])
        for quarter in range(0, 12, 3):
            yield _between(views, first_days[quarter], first_days[quarter + 3])
        yield _between(views, first_days[0], first_days[12])
        for field in BREAKDOWNS[2:]:
            yield _between(_top(site.id, field), first_days[0], first_days[12])


def shop(data: Dataset, today: date = TODAY) -> Iterator[AnyQuery]:
    """Yield what a shop wants to know of its events in each of twelve weeks."""
    for event in data.events:
        for week in range(12):
            last = today - timedelta(days=7 * week)
            base = EventQuery(event.site_id, event.name, aggregates=["conversions"])
            base = base.replace(date_from=last - timedelta(days=6), date_to=last)
            yield base
            yield base.replace(aggregates=["value"])
            yield from (base.replace(field_grouping=[field], sort_by=f"{field}:asc") for field in UTM)


def log(data: Dataset) -> Iterator[AnyQuery]:
    """Yield what one may want to know of four days of a real site."""
    days = [date(2015, 5, day) for day in range(17, 21)]
    spans = [*zip(days, days, strict=True), (days[0], days[-1])]
    for first, last in spans:
        yield from (_during(PageviewQuery(SITE, aggregates=[metric]), first, last) for metric in METRICS)
    for first, last in spans[:4]:
        yield from (
            _during(_top(SITE, field), first, last) for field in ("pathname", "browser", "referrer_hostname")
        )
        for browser in ("Chrome", "Firefox", "Safari", "Internet Explorer", "Opera"):
            views = PageviewQuery(SITE, aggregates=["pageviews"], filters=[Filter("browser", "is", browser)])
            yield _during(views, first, last)
    for path in _pages(data)[:37]:
        for metric in PAGE_METRICS:
            yield _during(_on(path, metric), *spans[4])
    for metric in METRICS:
        yield _during(PageviewQuery(SITE, aggregates=[metric], date_grouping="day"), *spans[4])


Step = tuple[date, Sequence[AnyQuery]]
"""The queries of one run, and the day on which it takes place."""


def analyst(today: date = TODAY + timedelta(days=2)) -> Iterator[Step]:
    """Yield what an analyst wants to know of the previous month, one question after the other."""
    last = today.replace(day=1) - timedelta(days=1)
    month = _during(PageviewQuery(SITE, aggregates=["pageviews"]), last.replace(day=1), last)
    pages = month.replace(aggregates=["pageviews", "visits", "uniques"], field_grouping=["pathname"])
    path, mobile = Filter("pathname", "is", "/pricing"), Filter("device_type", "is", "Mobile")
    week = month.replace(date_from=last.replace(day=5), date_to=last.replace(day=11))
    yield today, [pages]
    yield today, [pages.replace(aggregates=["pageviews"], sort_by="pageviews:desc", limit=5)]
    yield today, [month.replace(aggregates=["visits", "uniques"], filters=[path])]
    yield today, [month]
    yield today, [month.replace(date_grouping="day", field_grouping=["device_type"])]
    yield today, [month.replace(date_grouping="day")]
    yield today, [week, *(_during(week, last.replace(day=day), last.replace(day=day)) for day in (7, 12))]
    yield today, [month.replace(field_grouping=["device_type"], sort_by="pageviews:desc")]
    yield today, [month.replace(filters=[mobile], date_grouping="day"), week.replace(filters=[mobile])]


def weekly(monday: date = date(2026, 9, 7)) -> Iterator[Step]:
    """Yield a job of eight weeks: four weeks by day and device, then the last week and the one before."""
    views = PageviewQuery(SITE, aggregates=["pageviews"])
    for week in range(8):
        today = monday + timedelta(weeks=week)
        days = [today - timedelta(weeks=ago) for ago in range(5)]
        month = views.replace(date_grouping="day", field_grouping=["device_type"])
        yield today, [_between(month, days[4], today)]
        yield today, [_between(views, days[1], today), _between(views, days[2], days[1])]


def _during(query: PageviewQuery, first: date, last: date) -> PageviewQuery:
    return query.replace(date_from=first, date_to=last)


def _between(query: PageviewQuery, first: date, end: date) -> PageviewQuery:
    return query.replace(date_from=first, date_to=end - timedelta(days=1))


def _top(site: str, field: FieldGrouping) -> PageviewQuery:
    return PageviewQuery(
        site, aggregates=["pageviews"], field_grouping=[field], sort_by="pageviews:desc", limit=10
    )


def _on(path: str, metric: PageviewAggregate) -> PageviewQuery:
    return PageviewQuery(SITE, aggregates=[metric], filters=[Filter("pathname", "is", path)])


def _total(metric: PageviewAggregate, period: str, today: date, path: str | None = None) -> PageviewQuery:
    query = PageviewQuery(SITE, aggregates=[metric]) if path is None else _on(path, metric)
    return query.over(period, now=today)


def _pages(data: Dataset) -> Sequence[str]:
    return sorted({view.pathname for view in data.pageviews if view.site_id == SITE})


def _shop_data() -> Dataset:
    """Return twenty events whose visitors come from a few campaigns."""
    data = Dataset.synthetic(sites=1, days=100, visits_per_day=60, until=TODAY)
    names = [f"product {number}" for number in range(20)]
    done = [
        Completion(
            site_id=SITE,
            at=view.at,
            event=names[number % len(names)],
            visitor=view.session,
            value=100 * (number % 7),
            utm_source=("", "newsletter", "search", "social", "partner")[number % 5],
            utm_medium=("", "email", "cpc", "post")[number % 4],
            utm_campaign=f"campaign {number % 9}",
        )
        for number, view in enumerate(data.pageviews)
    ]
    events = [Event(site_id=SITE, id=f"E{number}", name=name) for number, name in enumerate(names)]
    return Dataset(sites=data.sites, events=events, completions=done)


class _SetClock(LoopClock):
    """A loop's clock on a day, at 20:00 UTC."""

    def __init__(self, day: date) -> None:
        super().__init__()
        self._unix = datetime(day.year, day.month, day.day, 20, tzinfo=UTC).timestamp()

    def unix(self) -> float:
        return self._unix


@frozen
class Found:
    """What a set of queries took.

    Attributes:
        name: The set.
        asked: Number of queries.
        sent: Number of reports sent.
        others: Number of requests for the time zones of sites.
        known: Number of requests of a plan for all queries of a day, once answers have shown how long they are.
        seconds: Seconds that the first plan took.
        different: Answers that differ from those of single requests.
    """

    name: str
    asked: int
    sent: int
    others: int
    known: int
    seconds: float
    different: int


async def measure(name: str, data: Dataset, steps: Iterable[Step]) -> Found:
    """Query the embedded server both ways; each day is a process of its own, with the store of the days before."""
    days = [(day, [queries for _, queries in run]) for day, run in groupby(steps, key=itemgetter(0))]
    every = list(chain.from_iterable(chain.from_iterable(runs) for _, runs in days))
    known, spent, together = 0, list[float](), list[object]()
    async with FathomServer(data=data, reports_throttle=None) as server:
        async with FathomClient("any", base_url=server.url, plan=_FREE) as fathom:
            separate = await fathom.reports.gather(every, fuse=False)
        server.reset_stats()
        with TemporaryDirectory() as directory:
            for day, runs in days:
                clock = _SetClock(day)
                async with FathomClient("any", base_url=server.url, plan=_FREE, clock=clock) as fathom:
                    begin = time.perf_counter()
                    fathom.reports.plan(runs[0])
                    spent.append(time.perf_counter() - begin)
                    for queries in runs:
                        together += await fathom.reports.gather(queries, store=f"{directory}/reports.db")
                    known += fathom.reports.plan(list(chain.from_iterable(runs))).requests
        sent = sum(hit.lane == "reports" for hit in server.hits)
        others = len(server.hits) - sent
    different = sum(one != two for one, two in zip(separate, together, strict=True))
    return Found(name, len(every), sent, others, known, spent[0], different)


async def _run(rounds: int) -> Sequence[Table]:
    del rounds  # makes the runs reproducible
    data = Dataset.synthetic(until=TODAY)
    many_pages = Dataset.synthetic(sites=1, days=31, visits_per_day=100, paths=300, until=TODAY)
    many_sites = Dataset.synthetic(sites=40, days=366, visits_per_day=2, until=TODAY)
    shopping = _shop_data()
    long = Dataset.synthetic(sites=1, days=90, until=TODAY)
    sets: list[tuple[str, Dataset, list[Step]]] = [
        ("dashboard", data, [(TODAY, list(dashboard(data)))]),
        ("200 pages", many_pages, [(TODAY, list(pages(many_pages)))]),
        ("agency of 40 sites", many_sites, [(TODAY, list(agency(many_sites)))]),
        ("shop of 20 events", shopping, [(TODAY, list(shop(shopping)))]),
        ("analyst, nine steps", long, list(analyst())),
        ("job of eight weeks", long, list(weekly())),
    ]
    if _LOG.exists():
        real = Dataset.from_access_log(_LOG, hostname="semicomplete.com")
        sets.insert(1, ("real log", real, [(TODAY, list(log(real)))]))
    else:
        print(f"\nwithout the set of a real log: {_LOG} is not there")
    found = [await measure(*each) for each in sets]
    if different := [f"{each.name}: {each.different}" for each in found if each.different]:
        raise SystemExit(f"answers that differ from those of single requests: {', '.join(different)}")
    head = ("queries", "asked", "sent", "time zones", "floor", "x fewer", "s at 10/min", "planned in ms")
    note = f"all {sum(each.asked for each in found):,} answers are those of single requests"
    return [Table("requests", head, [_line(each) for each in found], [note])]


def _line(found: Found) -> tuple[str, ...]:
    return (
        found.name,
        f"{found.asked:,}",
        f"{found.sent:,}",
        f"{found.others:,}",
        f"{found.known:,}",
        f"{found.asked / found.sent:.1f}",
        str((found.sent - 1) // _A_MINUTE * _WINDOW),
        f"{found.seconds * 1000:.0f}",
    )


BENCHMARK = Benchmark(
    name="fusing",
    measures=(
        "The requests that large sets of queries take: a dashboard, a real log, pages, an agency, a shop, and two "
        "that come one after the other, an analyst's questions and a weekly job. All queries are sent one by one "
        "and as runs with a store, and every answer is compared. Time zones of sites take requests of the other "
        "lane. The floor is a plan for all queries of a day, once answers have shown how many values properties "
        "have."
    ),
    run=_run,
)
