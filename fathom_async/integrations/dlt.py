"""A dlt source: ``pipeline.run(fathom_source(site_ids=["CDBUGS"], reports={"pages": query}, since="2026-01-01"))``.

Needs the extra ``fathom_async[dlt]``.

Reports are loaded incrementally, in the way of `fathom_async.backfill`: the state of the pipeline has the periods
that are settled; those that are not are asked for again, and take the place of what was loaded of them. A run of a
pipeline is kept whole or not at all, and so is its state.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast
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
from fathom_async.backfill._backfill_plan import BackfillPlan, plan_backfill
from fathom_async.backfill._chunks import chunks
from fathom_async.backfill._layout import Layout, Series
from fathom_async.backfill._ledger import Ledger, Span
from fathom_async.client import BASE_URL, FathomClient
from fathom_async.errors import ArgumentError
from fathom_async.models import Event, Milestone, Site

if TYPE_CHECKING:
    from fathom_async.backfill._ledger import LedgerJson

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
"""The column that tells dlt to delete the rows of a site, an event or a date, and to put none in their place."""

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
    look_back: int = 3,
    base_url: str = BASE_URL,
    budget: str | None = None,
    now: Callable[[], datetime] = _now,
) -> list[DltResource]:
    """Load sites, events, milestones and reports.

    Each load requests ``sites``, ``events`` and ``milestones`` in full. Sites are merged by ``id``, and deleted sites
    stay; events and milestones are merged by ``site_id``, so that those of a site replace the ones loaded before.

    Each of the `reports` is a resource of its own, of complete periods only, with the columns ``site_id``, for events
    ``entity_name``, ``date``, the groupings and the aggregates. It is merged by site, event and date, so that the
    rows of a date replace the ones loaded before.

    Where nothing is left of a site's events or milestones, or of a date, dlt is told so by a row with ``is_deleted``,
    which it does not load: the tables have this column, without a value in any row. It takes a destination that can
    merge.

    A report whose query was changed, or that another version of this package loaded, is refused. dlt drops it and
    loads it anew with ``pipeline.run(source.with_resources("pages"), refresh="drop_resources")``.

    All resources share one client, and so its rate limits.

    Args:
        token: API token; from dlt's secrets unless given, as ``sources.fathom.token``.
        site_ids: Which sites; all that the token can see unless given.
        reports: By the name of the resource, one `PageviewQuery` or `EventQuery`, or a list of queries that differ in
            the site or event only; without a range, a limit and an order. They are grouped by their
            ``date_grouping``, or by day.
        since: The first day of the reports.
        look_back: How many periods a period must have been over for when it was asked for, so that it is not asked
            for again.
        base_url: Where the API lives.
        budget: Where the rate limits are kept that other processes spend too; see `FathomClient`.
        now: Tells the moment, with a time zone.

    Raises:
        ArgumentError: The reports do not suit a table, or ``since`` is missing.
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
            raise ArgumentError(f"reports has {name!r}, which is a resource of its own; write another name")
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
            raise ArgumentError("reports need to know their first day; write since='2026-01-01'")
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
    """One client for all resources, in whichever event loop dlt runs them.

    dlt makes a loop for each extraction and ends it with `shutdown_asyncgens`. So the client is held by an
    asynchronous generator of that loop, and is closed with it.
    """

    def __init__(self, connect: Callable[[], FathomClient], site_ids: Sequence[str] | None) -> None:
        self._connect = connect
        self._site_ids = site_ids
        self._loop: asyncio.AbstractEventLoop | None = None
        self._holder: AsyncGenerator[_Account, None] | None = None
        self._account: _Account | None = None

    async def account(self) -> "_Account":
        """Return what the resources of this event loop share."""
        loop = asyncio.get_running_loop()
        if self._account is None or self._loop is not loop:
            holder = _held(self._connect, self._site_ids)
            self._account = await anext(holder)
            self._loop, self._holder = loop, holder
        return self._account


class _Account:
    """A client, and the sites that it was asked for, once."""

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
                f"the API does not tell the time zone of {site_id}; give its queries one: timezone='Europe/Berlin'"
            )
        return ZoneInfo(site.timezone)

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
        columns={column: hints.copy() for column, hints in (columns or {}).items()},  # dlt writes into them
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
    """Return how to have a resource dropped by dlt, its state too, and loaded from the first day on."""
    return (
        f'load it anew: pipeline.run(source.with_resources({name!r}), refresh="drop_resources"), or with all '
        'others: pipeline.run(source, refresh="drop_sources")'
    )


def _gone(**key: object) -> dict[str, object]:
    """Return the row after which dlt has none of this key."""
    return key | {GONE: True}


def _gone_dates(layout: Layout, series: Series, span: Span, rows: Table) -> Table:
    """Return what makes dlt delete the dates that have no rows: they may have had some when they were loaded."""
    key = dict(zip(layout.key, series.cells, strict=True))
    dates = (layout.unit.value(index) for index in range(span.first, span.after))
    found = {row[DATE_COLUMN] for row in rows}
    return [_gone(**key, **{DATE_COLUMN: each}) for each in dates if each not in found]


def _layout(name: str, queries: Iterable[AnyQuery], settings: _Settings) -> Layout:
    """Return the layout that the queries of a resource share."""
    plans = [settings.plan(query, ZoneInfo("UTC")) for query in queries]
    if not plans:
        raise ArgumentError(f"the report {name!r} has no queries; write one, or leave it out")
    for plan in plans[1:]:
        plan.layout.check(
            plans[0].layout.describe(), f"the report {name!r}", instead="give it a name of its own in reports"
        )
    if len({plan.series for plan in plans}) < len(plans):
        raise ArgumentError(f"the report {name!r} has two queries for the same site and event; write one")
    return plans[0].layout


def _key(series: Series) -> str:
    return json.dumps(series.cells, ensure_ascii=False)


def _fields(model: Site | Event | Milestone) -> dict[str, object]:
    """Return a row: what the API tells, known to this package or not."""
    known = attrs.asdict(model, recurse=False, filter=lambda field, _: field.name != "extra")
    return dict(model.extra) | known
