"""A dlt source: ``pipeline.run(fathom_source(site_ids=["CDBUGS"], reports={"pages": query}, since="2026-01-01"))``.

Needs the extra ``fathom_async[dlt]``.

Reports load incrementally, as in `fathom_async.backfill`: the state of the pipeline records the settled periods; each
load requests the others again and replaces their rows. dlt commits the data and the state of a run together.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

import attrs

try:
    import dlt
    from dlt.common.schema.typing import TColumnSchema
    from dlt.extract.resource import DltResource
except ImportError as _error:
    raise ImportError('dlt is missing: pip install "fathom_async[dlt]"') from _error

from fathom_async._core.codec.rows import ColumnKind, Row
from fathom_async._ratelimit.plan import Priority
from fathom_async._reports.fields import DATE_COLUMN
from fathom_async._reports.query import AnyQuery, EventQuery, PageviewQuery
from fathom_async._util.checks import site_zone
from fathom_async.backfill._backfill_plan import BackfillPlan, plan_backfill
from fathom_async.backfill._chunks import chunks
from fathom_async.backfill._layout import Layout, Series
from fathom_async.backfill._ledger import Ledger, LedgerJson, Span
from fathom_async.client import BASE_URL, FathomClient
from fathom_async.errors import ArgumentError
from fathom_async.models import Event, Milestone, Site

Table = list[dict[str, object]]

_TYPES: Final[dict[ColumnKind, TColumnSchema]] = {
    "text": {"data_type": "text"},
    "count": {"data_type": "bigint"},
    "number": {"data_type": "double"},
    "hour": {"data_type": "timestamp", "timezone": False},
    "day": {"data_type": "date"},
    "month": {"data_type": "date"},
    "year": {"data_type": "date"},
}

GONE: Final = "is_deleted"
"""The column that tells dlt to delete the rows of a site, an event or a date without replacing them."""

_now: Final = partial(datetime.now, UTC)
_GONE_COLUMN: Final[dict[str, TColumnSchema]] = {GONE: {"data_type": "bool", "hard_delete": True}}
_make = cast("Callable[..., DltResource]", dlt.resource)  # pyright: ignore[reportUnknownMemberType]


@dlt.source(name="fathom", section="fathom")
def fathom_source(
    token: str = dlt.secrets.value,
    *,
    site_ids: Sequence[str] | None = None,
    reports: Mapping[str, Any] | None = None,
    since: date | str | None = None,
    look_back: int = 0,
    base_url: str = BASE_URL,
    budget: str | None = None,
    now: Callable[[], datetime] = _now,
) -> list[DltResource]:
    """Load sites, events, milestones and reports.

    Each load requests ``sites``, ``events`` and ``milestones`` in full. Sites merge by ``id``, and deleted sites
    stay; events and milestones merge by ``site_id``, so that a load replaces all of a site's.

    Each of the `reports` is a resource of its own. It contains complete periods only and has the columns ``site_id``,
    ``entity_name`` (events only), ``date``, the groupings and the aggregates. It merges by site, event and date, so
    that a load replaces all rows of a date.

    If a site has no events or milestones left, or a date no rows, the source emits a row with ``is_deleted``, which
    makes dlt delete the old rows. dlt does not load that row: the tables have the column, but no value in it. The
    destination must support merging.

    The source rejects a report whose query has changed, or that another version of this package loaded. To drop and
    reload it, run ``pipeline.run(source.with_resources("pages"), refresh="drop_resources")``.

    All resources share one client and its rate limits.

    Args:
        token: API token; by default ``sources.fathom.token`` of dlt's secrets.
        site_ids: Ids of the sites to load; by default all that the token can access.
        reports: Maps the name of a resource to a `PageviewQuery` or `EventQuery`, or to a list of queries that differ
            in the site or event only, without range, limit and order. They group by their ``date_grouping``, or by
            day.
        since: The first day of the reports.
        look_back: Number of the latest complete periods to load again each time, for data that is added later.
        base_url: URL of the API.
        budget: Rate limits to share with other processes; see `FathomClient`.
        now: Returns the current time, with a time zone.

    Raises:
        ArgumentError: The queries of a report do not fit one table, or ``since`` is missing.
    """
    connection = _Connection(partial(FathomClient, token, base_url=base_url, budget=budget), site_ids)
    settings = _Settings(since, look_back, now)
    resources = [
        _resource("sites", connection, _sites, primary_key="id"),
        _resource(
            "events",
            connection,
            _events,
            merge_key="site_id",
            columns=_texts("id", "currency") | _GONE_COLUMN,
        ),
        _resource("milestones", connection, _milestones, merge_key="site_id", columns=_GONE_COLUMN),
    ]
    for name, queries in (reports or {}).items():
        if name in {"sites", "events", "milestones"}:
            raise ArgumentError(f"reports has {name!r}, which is a built-in resource; choose another name")
        several = [queries] if isinstance(queries, PageviewQuery | EventQuery) else list(queries)
        resources.append(_report(name, several, connection, settings))
    return resources


@attrs.frozen
class _Settings:
    """Settings that the reports of a source share."""

    since: date | str | None
    look_back: int
    now: Callable[[], datetime]

    def plan(self, query: AnyQuery, zone: ZoneInfo) -> BackfillPlan[Row]:
        if self.since is None:
            raise ArgumentError("reports need a first day; pass since='2026-01-01'")
        return plan_backfill(
            query,
            since=self.since,
            until=None,
            grouping=query.date_grouping or "day",
            look_back=self.look_back,
            incomplete=False,
            zone=None if query.timezone else zone,
            now=self.now(),
        )


class _Connection:
    """One client for all resources, in the event loop in which dlt runs them.

    dlt creates a loop for each extraction and ends it with `shutdown_asyncgens`. An asynchronous generator of that
    loop therefore holds the client, and closes it when the loop ends.
    """

    def __init__(self, connect: Callable[[], FathomClient], site_ids: Sequence[str] | None) -> None:
        self._connect = connect
        self._site_ids = site_ids
        self._loop: asyncio.AbstractEventLoop | None = None
        self._holder: AsyncGenerator[_Account, None] | None = None
        self._account: _Account | None = None

    async def account(self) -> "_Account":
        """Return the account of the running event loop; open it on first use."""
        loop = asyncio.get_running_loop()
        if self._account is None or self._loop is not loop:
            holder = _held(self._connect, self._site_ids)
            self._account = await anext(holder)
            self._loop, self._holder = loop, holder
        return self._account


class _Account:
    """A client and its sites, requested once."""

    def __init__(self, fathom: FathomClient, site_ids: Sequence[str] | None) -> None:
        self.fathom = fathom
        self._site_ids = site_ids
        self._sites: list[Site] | None = None
        self._asking = asyncio.Lock()

    async def sites(self) -> list[Site]:
        async with self._asking:
            if self._sites is None:
                self._sites = await self._ask()
            return self._sites

    async def zone(self, site_id: str) -> ZoneInfo:
        found = [site for site in await self.sites() if site.id == site_id]
        [site] = found or [await self.fathom.sites.get(site_id)]
        if site.timezone is None:
            raise ArgumentError(
                f"the API has no time zone for {site_id}; set one on its queries: timezone='Europe/Berlin'"
            )
        return site_zone(site_id, site.timezone)

    async def _ask(self) -> list[Site]:
        if self._site_ids is None:
            return [site async for site in self.fathom.sites.list()]
        return [await self.fathom.sites.get(site_id) for site_id in self._site_ids]


async def _held(
    connect: Callable[[], FathomClient], site_ids: Sequence[str] | None
) -> AsyncGenerator[_Account, None]:
    async with connect() as fathom:
        yield _Account(fathom, site_ids)


def _resource(
    name: str,
    connection: _Connection,
    rows: "Callable[[_Account], AsyncGenerator[Table, None]]",
    *,
    primary_key: str | None = None,
    merge_key: str | Sequence[str] | None = None,
    columns: dict[str, TColumnSchema] | None = None,
) -> DltResource:
    async def generate() -> AsyncGenerator[Table, None]:
        async with aclosing(rows(await connection.account())) as tables:
            async for table in tables:
                yield table

    return _make(
        generate,
        name=name,
        write_disposition="merge",
        primary_key=primary_key,
        merge_key=merge_key,
        columns={column: hints.copy() for column, hints in (columns or {}).items()},  # dlt modifies them
    )


def _texts(*names: str) -> dict[str, TColumnSchema]:
    return {name: {"data_type": "text"} for name in names}


async def _sites(account: _Account) -> AsyncGenerator[Table, None]:
    yield [_fields(site) for site in await account.sites()]


async def _events(account: _Account) -> AsyncGenerator[Table, None]:
    for site in await account.sites():
        found = [event async for event in account.fathom.events.list(site.id)]
        yield [{"site_id": site.id} | fields for fields in map(_fields, found)] or [_gone(site_id=site.id)]


async def _milestones(account: _Account) -> AsyncGenerator[Table, None]:
    for site in await account.sites():
        found = [milestone async for milestone in account.fathom.milestones.list(site.id)]
        yield [{"site_id": site.id} | fields for fields in map(_fields, found)] or [_gone(site_id=site.id)]


def _report(
    name: str, queries: Sequence[AnyQuery], connection: _Connection, settings: _Settings
) -> DltResource:
    layout = _layout(name, queries, settings)
    names = [column.name for column in layout.columns]

    async def tables(account: _Account) -> AsyncGenerator[Table, None]:
        state = dlt.current.resource_state(name)
        held = state.setdefault("definition", layout.describe())
        layout.check(held, f"the resource {name!r}", instead=_anew(name))
        kept: dict[str, LedgerJson] = state.setdefault("ledgers", {})
        ask = account.fathom.with_options(priority=Priority.BULK).reports.complete
        for query in queries:
            plan = settings.plan(query, await account.zone(query.site_id))
            key = _key(plan.series)
            ledger = Ledger.from_json(layout.unit, kept.get(key, {}))
            async with aclosing(chunks(plan, ask, ledger)) as found:
                async for piece in found:
                    ledger = ledger.replaced(piece.span, piece.settled, plan.zone)
                    kept[key] = ledger.to_json(layout.unit)
                    rows: Table = [dict(zip(names, row, strict=True)) for row in piece.rows]
                    yield rows + _gone_dates(layout, plan.series, piece.span, rows)

    columns = {column.name: _TYPES[column.kind] for column in layout.columns} | _GONE_COLUMN
    return _resource(name, connection, tables, merge_key=[*layout.key, DATE_COLUMN], columns=columns)


def _anew(name: str) -> str:
    """Return advice on how to drop a resource and its state in dlt and load it from the first day."""
    return (
        f'reload it: pipeline.run(source.with_resources({name!r}), refresh="drop_resources"), or reload all: '
        'pipeline.run(source, refresh="drop_sources")'
    )


def _gone(**key: object) -> dict[str, object]:
    """Return the row that makes dlt delete all rows with this key."""
    return key | {GONE: True}


def _gone_dates(layout: Layout, series: Series, span: Span, rows: Table) -> Table:
    """Return the rows that make dlt delete the dates without rows: an earlier load may have had some."""
    key = dict(zip(layout.key, series.cells, strict=True))
    dates = (layout.unit.value(index) for index in range(span.first, span.after))
    found = {row[DATE_COLUMN] for row in rows}
    return [_gone(**key, **{DATE_COLUMN: each}) for each in dates if each not in found]


def _layout(name: str, queries: Iterable[AnyQuery], settings: _Settings) -> Layout:
    """Return the layout that the queries of a resource share."""
    plans = [settings.plan(query, ZoneInfo("UTC")) for query in queries]
    if not plans:
        raise ArgumentError(f"the report {name!r} has no queries; add one, or leave the report out")
    for plan in plans[1:]:
        plan.layout.check(
            plans[0].layout.describe(), f"the report {name!r}", instead="put it under another name in reports"
        )
    if len({plan.series for plan in plans}) < len(plans):
        raise ArgumentError(f"the report {name!r} has two queries for the same site and event; keep one")
    return plans[0].layout


def _key(series: Series) -> str:
    return json.dumps(series.cells, ensure_ascii=False)


def _fields(model: Site | Event | Milestone) -> dict[str, object]:
    """Return a row of all fields of the API's answer, including those that the model does not define."""
    known = attrs.asdict(model, recurse=False, filter=lambda field, _: field.name != "extra")
    return dict(model.extra) | known
