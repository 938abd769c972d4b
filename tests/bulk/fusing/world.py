"""Small worlds in which fused and separate answers are compared: few values, so that they collide."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from attrs import frozen
from hypothesis import strategies as st

from fathom_async import EventQuery, FathomClient, Filter, PageviewQuery, RateLimit, RatePlan, Report
from fathom_async._bulk.fusing import Fused, ServerKnowledge, fuse
from fathom_async._bulk.fusing.box import Shape, shape_of
from fathom_async._core.codec.rows import Row
from fathom_async._reports.fields import FIELD_GROUPINGS
from fathom_async._reports.query import AnyQuery
from fathom_async.testing import Completion, Dataset, Event, FathomServer, Pageview, Site

ZONE = "America/New_York"
HAVANA = "America/Havana"  # where 2 November begins twice
BEGIN = datetime(2025, 10, 30, tzinfo=UTC)  # a month ends on 31 October, and summer time on 2 November
PAGEVIEWS = ("visits", "uniques", "pageviews", "avg_duration", "bounce_rate")
EVENTS = ("conversions", "unique_conversions", "value")
TEXTS = (
    "/",
    "/a",
    "/A",
    "/a.b",
    "/axb",
    "/a/",
    "/as",
    "/a\n",
    "(x|y)[0]*",
    "\\d^$",
    "/\u00fc",
    "u\u0308 ?&#%",
    "",
)
BROWSERS = ("Chrome", "chrome", "Firefox", "")

TOTAL = PageviewQuery("CDBUGS", aggregates=["pageviews"])
VISITS = TOTAL.replace(aggregates=["visits"])
DAILY = TOTAL.replace(date_grouping="day")
BY_PATH = TOTAL.replace(field_grouping=["pathname"])
SALES = EventQuery("CDBUGS", "buy", aggregates=["value"])

MOMENTS = st.integers(0, 6 * 86_400).map(lambda seconds: BEGIN + timedelta(seconds=seconds)) | st.integers(
    0, 12
).map(lambda half_hours: datetime(2025, 11, 2, 4, tzinfo=UTC) + timedelta(minutes=30 * half_hours))
VIEWS = st.builds(
    Pageview,
    site_id=st.just("CDBUGS"),
    at=MOMENTS,
    session=st.sampled_from("abcd"),
    hostname=st.sampled_from(["www.x.com", "x.com"]),
    pathname=st.sampled_from(TEXTS),
    entry_page=st.sampled_from(TEXTS[:4]),
    browser=st.sampled_from(BROWSERS),
    country_code=st.sampled_from(["US", "DE"]),
    duration=st.none() | st.integers(0, 500),
    bounced=st.booleans(),
)
DONE = st.builds(
    Completion,
    site_id=st.just("CDBUGS"),
    at=MOMENTS,
    event=st.sampled_from(["buy", "call"]),
    visitor=st.sampled_from("abcd"),
    hostname=st.just("x.com"),
    pathname=st.sampled_from(TEXTS),
    browser=st.sampled_from(BROWSERS),
    value=st.none() | st.integers(0, 10_000),
)


def dataset(views: Sequence[Pageview] = (), done: Sequence[Completion] = ()) -> Dataset:
    return Dataset(
        sites=[Site(id="CDBUGS", name="Bugs", timezone=ZONE)],
        events=[
            Event(site_id="CDBUGS", id="ABCDEFGH", name="buy"),
            Event(site_id="CDBUGS", id="I", name="call"),
        ],
        pageviews=views,
        completions=done,
    )


DATASETS = st.builds(dataset, st.lists(VIEWS, min_size=4, max_size=40), st.lists(DONE, max_size=20))


@frozen
class Comparison:
    """The same queries, asked in two ways.

    Attributes:
        separate: The answer to each by itself.
        fused: The answers that were cut out of fused ones, or were asked for after all.
        requests: How many requests were planned.
        distrusted: How many of their answers were not trusted.
    """

    separate: list[Report[Row]]
    fused: list[Report[Row]]
    requests: int
    distrusted: int


def compare(data: Dataset, queries: Sequence[AnyQuery]) -> Comparison:
    """Ask the embedded server both ways."""
    return asyncio.run(_compare(data, queries))


async def _compare(data: Dataset, queries: Sequence[AnyQuery]) -> Comparison:
    async with (
        FathomServer(data=data, reports_throttle=None) as server,
        FathomClient("any", base_url=server.url, plan=RatePlan(reports=RateLimit(100_000, per=1))) as fathom,
    ):
        separate: list[Report[Row]] = [await fathom.reports.aggregate(query) for query in queries]
        answers: dict[int, Report[Row]] = {}
        planned, distrusted = fuse(queries), 0
        for group in planned:
            reports = group.split(await fathom.reports.aggregate(group.query), EXACT)
            distrusted += None in reports
            for asked, report in zip(group.asked, reports, strict=True):
                found = report or await fathom.reports.aggregate(asked.query)
                for position in asked.positions:
                    assert position not in answers
                    answers[position] = found
        return Comparison(separate, [answers[n] for n in range(len(queries))], len(planned), distrusted)


def same(comparison: Comparison) -> bool:
    """Whether all answers are equal: rows, their order and their columns, and whether they were cut off."""
    pairs = zip(comparison.separate, comparison.fused, strict=True)
    return comparison.separate == comparison.fused and all(one.columns == two.columns for one, two in pairs)


def some_of(words: Sequence[str], least: int = 1) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(words), min_size=least, max_size=3, unique=True)


PERIODS = st.sampled_from(
    [
        *((f"2025-{day}", f"2025-{day}") for day in ("10-30", "10-31", "11-01", "11-02", "11-03", "11-04")),
        *(
            (f"2025-11-{hour}:00:00", f"2025-11-{hour}:59:59")
            for hour in ("01 13", "01 14", "02 01", "02 02")
        ),
        ("2025-10-01", "2025-10-31"),
        ("2025-11-01", "2025-11-30"),
        ("2025-01-01", "2025-12-31"),
        ("2025-10-31", "2025-11-02"),
        ("2025-10-30", "2025-11-01"),
        ("2025-11-01 13:00:00", "2025-11-01 14:59:59"),
        ("2025-11-01 13:30:00", "2025-11-02 14:59:59"),
        (None, "2025-11-03"),
    ]
)
FILTERS = st.one_of(
    st.builds(Filter, st.sampled_from(["pathname", "entry_page"]), st.just("is"), st.sampled_from(TEXTS)),
    st.builds(Filter, st.just("browser"), st.just("is"), st.sampled_from(BROWSERS)),
    st.builds(Filter, st.just("country_code"), st.just("is"), st.sampled_from(["US", "DE", "FR"])),
    st.builds(Filter, st.just("pathname"), st.sampled_from(["is not", "matching"]), st.just("/a")),
    st.builds(Filter, st.just("domain"), st.just("is"), st.sampled_from(["x.com", "y.com"])),
)


@st.composite
def queries(draw: st.DrawFn) -> AnyQuery:
    """Any query that the server takes."""
    names = draw(st.sampled_from([PAGEVIEWS, EVENTS]))
    aggregates = draw(some_of(names))
    groupings = draw(
        st.sampled_from([[], [], [], ["pathname"], ["browser"], ["country_code"], ["pathname", "browser"]])
    )
    first, last = draw(PERIODS)
    is_short = first is not None and (first[:7] == last[:7] == "2025-11") and last != "2025-11-30"
    unit = draw(st.sampled_from([None, None, None, "day", "month", *(["hour"] if is_short else [])]))
    sortable = [*aggregates, *groupings * 3, *(["timestamp"] * 2 if unit else [])]
    sorts = [f"{name}:{direction}" for name in sortable for direction in ("asc", "desc")]
    arguments: dict[str, object] = {
        "aggregates": aggregates,
        "field_grouping": groupings,
        "date_grouping": unit,
        "date_from": first,
        "date_to": last,
        "filters": draw(st.lists(FILTERS, max_size=2, unique=True)),
        "sort_by": draw(st.none() | st.sampled_from(sorts)),
        "limit": draw(st.none() | st.none() | st.integers(1, 4)),
        "timezone": draw(st.sampled_from([None, None, ZONE, HAVANA])),
    }
    if names is PAGEVIEWS:
        return PageviewQuery("CDBUGS", **arguments)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    event = draw(st.sampled_from(["buy", "call"]))
    return EventQuery("CDBUGS", event, **arguments)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def on(path: str, query: PageviewQuery = TOTAL) -> PageviewQuery:
    return query.replace(filters=[*query.filters, Filter("pathname", "is", path)])


def during(first: str, last: str | None = None, query: PageviewQuery = TOTAL) -> PageviewQuery:
    return query.replace(date_from=first, date_to=last or first)


EXACT = ServerKnowledge(exact=dict.fromkeys(FIELD_GROUPINGS, True))
"""What is known of the embedded server."""


def one(queries: Sequence[AnyQuery]) -> Fused[Row]:
    [fused] = fuse(queries)
    return fused


def told(
    fused: Fused[Row], answer: Report[Row], knowledge: ServerKnowledge | None = None
) -> Sequence[Report[Row]]:
    """Return the reports of all queries, which the answer must tell."""
    parts = [part for part in fused.split(answer, knowledge or ServerKnowledge()) if part is not None]
    assert len(parts) == len(fused.asked)
    return parts


def report(fused: Fused[Row], *rows: tuple[object, ...]) -> Report[Row]:
    return Report(fused.query, tuple(fused.query.codec.row(*row) for row in rows))


def shape(query: AnyQuery, zone: ZoneInfo | None = None) -> Shape:
    """Return what a query needs of a request that answers others too."""
    found = shape_of(query, zone)
    assert found is not None
    return found
