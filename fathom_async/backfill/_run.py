"""A report kept up to date in a table, of one site or event at a time.

**What is asked for.** The target keeps a ledger of the periods that are *settled*: asked for when they had been over
for at least ``look_back`` periods. A run asks for every period from ``since`` on that is not settled. So the periods
of the last run's end are asked for again, because late data may have come, and so is what an earlier run did not
reach; a settled period is never asked for twice, be it empty or not, unless the site's time zone was changed: then
its days are others than those in the target, which are all asked for again, with a warning in the log.

**What is written.** Each answer takes the place of all rows of its periods in one transaction, together with the
ledger: rows that are gone from the report are gone from the table. Killed at any moment, a run leaves whole periods
behind, and the next one goes on.
"""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import attrs

from fathom_async._core.codec.rows import RowT
from fathom_async._reports.fields import DateGrouping
from fathom_async._reports.query import Query
from fathom_async.backfill._pieces import Ask, pieces
from fathom_async.backfill._places import target_of
from fathom_async.backfill._plan import Plan, planned
from fathom_async.backfill._threads import in_thread

if TYPE_CHECKING:
    from fathom_async.backfill._target import OpenTarget, Target

_ANY_ZONE: Final = ZoneInfo("UTC")
_now: Final = partial(datetime.now, UTC)


@attrs.frozen
class BackfillSummary:
    """What a backfill did.

    Args:
        target: Where it wrote.
        first: The first period that is in the target now, of those wanted: a datetime for hours, else a date. None if
            none of them is complete yet.
        last: The last one.
        periods: How many periods were asked for.
        reports: In how many reports.
        rows: How many rows were written.
    """

    target: "Target"
    first: date | None
    last: date | None
    periods: int
    reports: int
    rows: int

    def __str__(self) -> str:
        if self.first is None:
            return f"{self.target}: no period is complete yet"
        counts = {"period": self.periods, "report": self.reports, "row": self.rows}
        periods, reports, rows = (f"{n:,} {what}{'' if n == 1 else 's'}" for what, n in counts.items())
        asked = f"{periods} asked for in {reports}, {rows}"
        return f"{self.target}: {self.first} to {self.last}; {asked}"


async def backfill(
    query: Query[RowT],
    ask: Ask[RowT],
    *,
    target: "Target | str",
    since: date | str,
    until: date | str | None = None,
    grouping: DateGrouping = "day",
    look_back: int = 3,
    incomplete: bool = False,
    zone: ZoneInfo | Callable[[], Awaitable[ZoneInfo | None]] | None = None,
    now: Callable[[], datetime] = _now,
) -> BackfillSummary:
    """Bring a table up to date with a report, asking only for what it does not have yet.

    One target holds the same report of many sites or events, which are filled in one after the other.

    Args:
        query: What to ask; without a range, a limit and an order. The table has the columns ``site_id``, for events
            ``entity_name``, ``date``, the groupings and the aggregates.
        ask: Returns a report with every row, as `ReportsResource.complete` does.
        target: A `ParquetDataset`, `DuckDBTable` or `SqliteTable`, or such a target as a string:
            ``parquet:directory``, ``duckdb:file#table``, ``sqlite:file#table``.
        since: The first day. The period that it is in is filled in whole.
        until: The last day, likewise; today unless given.
        grouping: The periods: ``hour``, ``day``, ``month`` or ``year``.
        look_back: How many periods a period must have been over for when it was asked for, so that it is not asked
            for again.
        incomplete: Whether the period that is running is written too; it is asked for again until it is settled.
        zone: The time zone of the site, by whose clock periods end, or what finds it out. Not needed where the
            query has a ``timezone``.
        now: Tells the moment, with a time zone.

    Raises:
        ArgumentError: An argument is out of range, or the target holds another report or something else.
        QueryError: The query does not suit a table of periods.
        TargetBusyError: Another backfill is writing into the target.
        TargetError: The target cannot be used.
        InconsistentError: The server answered rows that were not asked for, or two of the same group.
        ImportError: The target needs an extra that is not installed; the message names it.
    """
    where = target_of(target)
    plan_in = partial(
        planned,
        query,
        since=since,
        until=until,
        grouping=grouping,
        look_back=look_back,
        incomplete=incomplete,
        now=now(),
    )
    if callable(zone):
        # Whatever is wrong is said before anything is asked.
        plan_in(zone=None if query.timezone else _ANY_ZONE)
        zone = None if query.timezone else await zone()
    plan = plan_in(zone=zone)
    held = where.using(plan.layout, plan.zone)
    try:
        await in_thread(held.open)
        asked, reports, rows = await _fill(plan, ask, held)
    finally:
        await in_thread(held.close)
    value, wanted = plan.layout.unit.value, plan.wanted
    first, last = (value(wanted.first), value(wanted.after - 1)) if wanted else (None, None)
    return BackfillSummary(where, first, last, asked, reports, rows)


async def _fill(plan: Plan[RowT], ask: Ask[RowT], held: "OpenTarget") -> tuple[int, int, int]:
    """Ask for all that is missing; return how many periods, in how many reports, and their rows."""
    periods = reports = rows = 0
    ledger = await in_thread(partial(held.ledger, plan.series))
    async with aclosing(pieces(plan, ask, ledger)) as found:
        async for piece in found:
            await in_thread(partial(held.replace, plan.series, piece.span, piece.rows, piece.settled))
            periods, reports, rows = periods + len(piece.span), reports + 1, rows + len(piece.rows)
    return periods, reports, rows
