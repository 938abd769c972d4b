"""Fused answers are those of single queries on every server, however it compares texts and reads moments."""

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from fathom_async import Filter, PageviewQuery, Report
from fathom_async._core.codec.rows import Row
from fathom_async._reports.query import AnyQuery
from fathom_async.testing import Dataset, Pageview, ServerDialect, Site
from fathom_async.testing._dialect import Difference
from tests.support.direct import DirectTransport, direct_client

pytestmark = pytest.mark.filterwarnings("ignore::fathom_async.UnsortedLimitWarning")

SITE = "CDBUGS"
CASE: frozenset[Difference] = frozenset({"case"})
ACCENTS: frozenset[Difference] = frozenset({"accents"})
BLANKS: frozenset[Difference] = frozenset({"blanks"})
SLASHES: frozenset[Difference] = frozenset({"slashes"})
PERCENT: frozenset[Difference] = frozenset({"percent"})
LATIN = CASE | ACCENTS
EVERYTHING = LATIN | BLANKS | SLASHES | PERCENT
DIALECTS = {
    "exact": ServerDialect(),
    "case in filters and groups": ServerDialect(filters_ignore=CASE, groups_ignore=CASE),
    "case in filters only": ServerDialect(filters_ignore=CASE),
    "case in patterns only": ServerDialect(patterns_ignore=CASE),
    "case in filters and patterns": ServerDialect(filters_ignore=CASE, patterns_ignore=CASE),
    "case everywhere": ServerDialect(filters_ignore=CASE, groups_ignore=CASE, patterns_ignore=CASE),
    "accents in filters and groups": ServerDialect(filters_ignore=LATIN, groups_ignore=LATIN),
    "accents in filters only": ServerDialect(filters_ignore=ACCENTS),
    "accents everywhere": ServerDialect(filters_ignore=LATIN, groups_ignore=LATIN, patterns_ignore=LATIN),
    "padding": ServerDialect(filters_ignore=BLANKS, groups_ignore=BLANKS),
    "a general collation": ServerDialect(filters_ignore=LATIN | BLANKS, groups_ignore=LATIN | BLANKS),
    "slashes": ServerDialect(filters_ignore=SLASHES),
    "slashes in filters and groups": ServerDialect(filters_ignore=SLASHES, groups_ignore=SLASHES),
    "percent": ServerDialect(filters_ignore=PERCENT),
    "everything in filters": ServerDialect(filters_ignore=EVERYTHING),
    "everything in filters and groups": ServerDialect(filters_ignore=EVERYTHING, groups_ignore=EVERYTHING),
    "trimmed values": ServerDialect(is_trimmed=True),
    "decoded values": ServerDialect(is_decoded=True),
    "nulls": ServerDialect(has_nulls=True),
    "nulls without case": ServerDialect(has_nulls=True, filters_ignore=CASE, groups_ignore=CASE),
    "anchored patterns": ServerDialect(is_anchored=True),
    "zeros": ServerDialect(has_zero_rows=True),
    "the first of two hours": ServerDialect(repeated_hour="first"),
    "the last of two hours": ServerDialect(repeated_hour="last"),
}
TEXTS = (
    "/a",
    "/A",
    "/á",
    "/Á",
    "/a/",
    "/a ",
    " /a",
    "/%61",
    "/a b",
    "/a%20b",
    "/b",
    "/B",
    "/",
    "",
    "/c.d",
    "/cxd",
)
BROWSERS = ("Chrome", "chrome", "Firefox", "São", "Sao", "")
ZONES = ("UTC", "America/Santiago", "America/Havana", "Africa/Cairo")
# Clocks go back at midnight, or to midnight, in Santiago, in Cairo and in Havana.
DAYS = (
    "2026-04-03",
    "2026-04-04",
    "2026-04-05",
    "2026-10-29",
    "2026-10-30",
    "2026-10-31",
    "2026-11-01",
    "2026-11-02",
)
HALF_HOURS = range(61)
TWICE = (4, 5, 6, 7, 8, 9, 10, 11, 40, 41, 42, 43)
"""Half-hours of UTC in which some of the clocks show everything for the first or the second time."""
METRICS = ("visits", "uniques", "pageviews", "avg_duration", "bounce_rate")


def dataset(chance: random.Random, zone: str) -> Dataset:
    texts, browsers = (
        chance.sample(TEXTS, chance.randint(2, 9)),
        chance.sample(BROWSERS, chance.randint(1, 4)),
    )
    views: list[Pageview] = []
    for _ in range(chance.randint(3, 40)):
        begin = datetime.fromisoformat(chance.choice(DAYS)).replace(tzinfo=UTC)
        views.append(
            Pageview(
                site_id=SITE,
                at=begin + timedelta(minutes=30 * chance.choice(HALF_HOURS if zone == "UTC" else TWICE)),
                session=chance.choice("abcdef"),
                pathname=chance.choice(texts),
                utm_source=chance.choice(texts),
                browser=chance.choice(browsers),
                duration=chance.choice([None, 0, 3, 60]),
                bounced=chance.random() < 0.5,
            )
        )
    return Dataset(sites=[Site(id=SITE, name="Bugs", timezone=zone)], pageviews=views)


def queries(chance: random.Random) -> list[AnyQuery]:
    """Sets as a dashboard has them: the same few periods, properties and figures in many combinations."""
    names = chance.sample(["pathname", "utm_source", "browser"], chance.choice([1, 1, 1, 2]))
    days = chance.sample(DAYS, chance.randint(1, 3))
    periods = [(day, day) for day in days] + [(min(days), max(days))] + [("2026-10-01", "2026-10-31")]
    metrics = [chance.sample(METRICS, chance.randint(1, 2)) for _ in range(2)]
    asked: list[AnyQuery] = []
    for _ in range(chance.randint(2, 10)):
        first, last = chance.choice(periods)
        fixed = [name for name in names if chance.random() < 0.85]
        query = PageviewQuery(SITE, aggregates=["visits"], date_from=first, date_to=last).replace(
            aggregates=chance.choice(metrics),
            date_grouping=chance.choice([None, None, None, "day"]),
            filters=[is_(chance, name) for name in fixed],
        )
        free = [name for name in names if name not in fixed]
        if free and chance.random() < 0.5:
            column = chance.choice([free[0], query.aggregates[0]])
            query = query.replace(
                field_grouping=free[:1],
                date_grouping=None,
                sort_by=f"{column}:{chance.choice(['asc', 'desc'])}",
                limit=chance.choice([None, 2]),
            )
        asked.append(query)
    return asked


def is_(chance: random.Random, name: str) -> Filter:
    value = chance.choice(BROWSERS if name == "browser" else TEXTS)
    return Filter.from_dict({"property": name, "operator": "is", "value": value})


def told(report: Report[Row]) -> object:
    """Return what a caller is told: a row of zeros is no row."""
    query = report.query
    rows = report.rows
    if not query.field_grouping and query.date_grouping is None:
        return [report.total(metric) for metric in query.aggregates]
    return rows, report.truncated


async def differences(dialect: ServerDialect, seed: int, sets: int) -> Counter[str]:
    chance = random.Random(seed)
    found = Counter[str]()
    for _ in range(sets):
        zone = chance.choice(ZONES) if dialect.repeated_hour != "both" or chance.random() < 0.3 else "UTC"
        data, asked = dataset(chance, zone), queries(chance)
        async with direct_client(single := DirectTransport(data, dialect)) as fathom:
            right = [await fathom.reports.aggregate(query) for query in asked]
        async with direct_client(together := DirectTransport(data, dialect)) as fathom:
            for half in (asked[: len(asked) // 2], asked, asked):  # what one run learned, the next one knows
                answers: list[Report[Row]] = await fathom.reports.gather(half)
                wrong = [one for one, two in zip(answers, right, strict=False) if told(one) != told(two)]
                found["wrong"] += len(wrong)
                found["asked"] += len(half)
        found["sets"] += 1
        found["sent"] += len(together.asked)
        found["alone"] += len(single.asked)
    return found


@pytest.mark.parametrize("name", DIALECTS)
def test_fused_answers_are_those_of_single_queries_on_every_server(name: str) -> None:
    found = asyncio.run(differences(DIALECTS[name], seed=len(name), sets=25))
    assert found["wrong"] == 0
    assert found["sent"] < found["asked"]


def test_a_site_without_look_alikes_costs_nothing_more() -> None:
    data = Dataset(
        sites=[Site(id=SITE, name="Bugs")],
        pageviews=[
            Pageview(site_id=SITE, at=datetime(2026, 10, 1, tzinfo=UTC), session="a", pathname=path)
            for path in ("/", "/blog", "/blog/a")
        ],
    )
    base = PageviewQuery(SITE, aggregates=["visits"], date_from="2026-10-01", date_to="2026-10-31")
    asked = [
        base.replace(filters=[Filter("pathname", "is", path)]) for path in ("/", "/blog", "/blog/a", "/no")
    ]

    async def sent() -> int:
        async with direct_client(transport := DirectTransport(data)) as fathom:
            await fathom.reports.gather(asked)
        return len(transport.asked)

    assert asyncio.run(sent()) == 1


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("has_zero_rows", [False, True])
async def test_the_total_of_nothing_is_the_same_alone_and_fused(metric: str, *, has_zero_rows: bool) -> None:
    at = datetime(2026, 10, 1, tzinfo=UTC)
    views = [Pageview(site_id=SITE, at=at, session="a", pathname="/a", duration=0, bounced=False)]
    data = Dataset(sites=[Site(id=SITE, name="Bugs")], pageviews=views)
    base = PageviewQuery(SITE, aggregates=["visits"], date_from="2026-10-01", date_to="2026-10-31")
    asked = [
        base.replace(aggregates=[metric, *more], filters=[Filter("pathname", "is", path)])
        for path in ("/a", "/none")
        for more in ([], ["visits"][metric == "visits" :])
    ]
    transport = DirectTransport(data, ServerDialect(has_zero_rows=has_zero_rows))
    async with direct_client(transport) as fathom:
        fused = [report.total(metric) for report in await fathom.reports.gather(asked)]
        assert len(transport.asked) == 1
        alone = [(await fathom.reports.aggregate(query)).total(metric) for query in asked]
    assert fused == alone
    is_rate = metric in {"avg_duration", "bounce_rate"}
    assert alone == ([None, 0, None, None] if is_rate else [1, 1, 0, 0])


@pytest.mark.parametrize("zone", ZONES[1:])
@pytest.mark.parametrize("hour", ["both", "first", "last"])
def test_days_are_those_of_single_queries_where_clocks_go_back_at_midnight(
    zone: str, hour: Literal["both", "first", "last"]
) -> None:
    begin = datetime(2026, 4, 3, tzinfo=UTC)
    views = [
        Pageview(site_id=SITE, at=begin + timedelta(minutes=30 * number), session="a")
        for number in [*range(150), *range(48 * 208, 48 * 215)]
    ]
    data = Dataset(sites=[Site(id=SITE, name="Bugs", timezone=zone)], pageviews=views)
    total = PageviewQuery(SITE, aggregates=["pageviews"])
    asked = [total.replace(date_from=day, date_to=day) for day in DAYS]
    asked += [total.replace(date_from=first, date_to=last) for first in DAYS for last in DAYS if first < last]

    async def both_ways() -> tuple[list[int], list[int]]:
        async with direct_client(DirectTransport(data, ServerDialect(repeated_hour=hour))) as fathom:
            single = [await fathom.reports.aggregate(query) for query in asked]
            fused = await fathom.reports.gather(asked)
        return [one.total("pageviews") for one in single], [one.total("pageviews") for one in fused]

    single, fused = asyncio.run(both_ways())
    assert single == fused
