"""Made-up traffic of a site, and what a table of its reports must hold."""

import json
import random
import sqlite3
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import attrs
import duckdb
import pyarrow.dataset as arrow_dataset  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

from fathom_async import EventQuery, FathomClient, PageviewQuery, RateLimit, RatePlan, Report
from fathom_async._reports.query import Query
from fathom_async.backfill._destination import Destination
from fathom_async.backfill._duckdb import DuckDBTable
from fathom_async.backfill._sqlite import SqliteTable
from fathom_async.testing import Completion, Dataset, Event, FathomServer, Pageview, Record, Site
from tests.support.evaluation import ZONE, evaluate

if TYPE_CHECKING:
    from fathom_async._core.codec.rows import Row
    from fathom_async.backfill._parquet import ParquetDataset

FREE = RatePlan(reports=RateLimit(100_000, per=1))
BEGIN = datetime(2026, 2, 20, tzinfo=UTC)
"""Summer time begins in New York on 8 March."""
END = BEGIN + timedelta(days=40)

VISITS = PageviewQuery("CDBUGS", aggregates=["visits", "avg_duration"])
PATHS = PageviewQuery(
    "CDBUGS", aggregates=["pageviews", "bounce_rate"], field_grouping=["pathname", "browser"]
)
SALES = EventQuery(
    "CDBUGS", "buy", aggregates=["value", "unique_conversions"], field_grouping=["country_code"]
)

Ask = Callable[[Query[Any]], Coroutine[object, object, Report[Any]]]
Table = list[dict[str, Any]]


@lru_cache(maxsize=32)
def traffic(seed: int = 1, *, visits: int = 300, days: int = 40) -> Dataset:
    """Bursts of visits with quiet days between them, and sales, of two sites."""
    chance = random.Random(seed)
    busy = [day for day in range(days) if chance.random() < 0.7] or [0]
    views: list[Pageview] = []
    done: list[Completion] = []
    for number in range(visits):
        site = chance.choice(("CDBUGS", "CDBUGS", "DAFFY"))
        at = BEGIN + timedelta(days=chance.choice(busy), seconds=chance.randrange(86_400))
        bounced = chance.random() < 0.5
        browser = chance.choice(("Chrome", "Firefox", ""))
        views.extend(
            Pageview(
                site_id=site,
                at=at + timedelta(seconds=5 * page),
                session=f"s{number}",
                hostname="x.com",
                pathname=chance.choice(("/", "/über uns", "/日本", "/a'b\"c", "/🐦")),
                browser=browser,
                duration=chance.choice((None, 5, 60)),
                bounced=bounced,
            )
            for page in range(1 if bounced else chance.randint(2, 4))
        )
        if chance.random() < 0.3:
            done.append(
                Completion(
                    site_id=site,
                    at=at,
                    event="buy",
                    visitor=f"v{number % 50}",
                    value=chance.choice((None, 0, 995)),
                    country_code=chance.choice(("US", "DE", "")),
                )
            )
    return of(views, done)


def of(views: Iterable[Pageview], done: Iterable[Completion], zone: str = ZONE) -> Dataset:
    sites = ("CDBUGS", "DAFFY")
    return Dataset(
        sites=[Site(id=site, name=site, timezone=zone) for site in sites],
        events=[Event(site_id=site, id=f"E{site}", name="buy") for site in sites],
        pageviews=views,
        completions=done,
    )


def until(data: Dataset, moment: datetime, late: timedelta = timedelta()) -> Dataset:
    """What was known at a moment, when every record comes so late at the most."""

    def is_known(record: Record) -> bool:
        return record.at + random.Random(str(record.at)).random() * late <= moment

    return of(list(filter(is_known, data.pageviews)), list(filter(is_known, data.completions)))


@asynccontextmanager
async def serving(data: Dataset) -> AsyncGenerator[tuple[FathomServer, FathomClient], None]:
    async with (
        FathomServer(data=data, reports_throttle=None, now=END + timedelta(days=30)) as server,
        FathomClient("any", base_url=server.url, plan=FREE) as fathom,
    ):
        yield server, fathom


def expected(data: Dataset, query: Query[Any], grouping: str, first: str, last: str) -> Table:
    """The rows that a table must have, worked out in a plain loop."""
    whole = query.replace(date_grouping=grouping, date_from=first, date_to=last)
    mine = of(
        [view for view in data.pageviews if view.site_id == query.site_id],
        [done for done in data.completions if done.site_id == query.site_id],
    )
    series = {"site_id": query.site_id} | (
        {"entity_name": query.entity_name} if isinstance(query, EventQuery) else {}
    )
    report: Report[Row] = whole.read(json.dumps(evaluate(mine, whole.params())).encode())
    return in_order([series | row for row in report.to_dicts()])


def in_order(table: Table) -> Table:
    return sorted(table, key=lambda row: repr([row[name] for name in sorted(row)]))


def columns_of(target: Destination) -> dict[str, str]:
    """The columns of a target and their types, as the target calls them."""
    if isinstance(target, SqliteTable):
        return {name: kind for _, name, kind, *_ in _sqlite(target, f'PRAGMA table_info("{target.table}")')}
    if isinstance(target, DuckDBTable):
        with duckdb.connect(target.path) as connection:
            found = connection.execute(f'DESCRIBE "{target.table}"').fetchall()
        return {name: kind for name, kind, *_ in found}
    table = _arrow_table(cast("ParquetDataset", target).path)
    return {field.name: str(field.type) for field in table.schema}


def read(target: Destination, grouping: str = "day") -> Table:
    """All rows of a target, in one order, with dates as dates."""
    if isinstance(target, SqliteTable):
        names = list(columns_of(target))
        found = _sqlite(target, f'SELECT * FROM "{target.table}"')  # noqa: S608 - our own name
        rows = [dict(zip(names, row, strict=True)) for row in found]
        for row in rows:
            moment = datetime.fromisoformat(row["date"])
            row["date"] = moment if grouping == "hour" else moment.date()
        return in_order(rows)
    if isinstance(target, DuckDBTable):
        with duckdb.connect(target.path) as connection:
            result = connection.execute(f'SELECT * FROM "{target.table}"')  # noqa: S608
            names = [str(column[0]) for column in result.description]
            return in_order([dict(zip(names, row, strict=True)) for row in result.fetchall()])
    return in_order(_arrow_table(cast("ParquetDataset", target).path).to_pylist())


def _sqlite(target: SqliteTable, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(target.path)) as connection:
        return connection.execute(sql).fetchall()


def _arrow_table(path: Path) -> Any:
    dataset: Any = arrow_dataset
    table = dataset.dataset(path, partitioning="hive").to_table()
    return table.drop_columns([name for name in table.column_names if name in {"month", "year"}])


class KilledError(Exception):
    """Stands for whatever ends a run."""


@attrs.define
class Dying:
    """Asks as the client does, until it is killed at one of its requests.

    Attributes:
        ask: What asks.
        after: Answers that come before that.
        asked: What was asked for.
    """

    ask: Ask
    after: int = 10**6
    asked: list[Query[Any]] = attrs.field(factory=list[Query[Any]])

    async def __call__(self, query: Query[Any]) -> Report[Any]:
        if len(self.asked) == self.after:
            raise KilledError
        self.asked.append(query)
        return await self.ask(query)
