"""Keep a report up to date in a table, one site or event at a time.

**What is requested.** The target keeps a ledger of the periods that are *settled*: requested when they had been over
for an hour, in which hits may arrive late, and for ``look_back`` periods. A run requests every period from ``since``
on that is not settled: new ones, those that ended shortly before the previous run, and those it did not reach. A
settled period is requested again, whether it has rows or not, only if it is among the latest ``look_back`` ones, or
after a change of the site's time zone: its days then differ from those in the target, which are all requested again,
with a warning in the log.

**What is written.** Each answer replaces all rows of its periods in one transaction, together with the ledger: rows
that are gone from the report are gone from the table. A run that is killed leaves whole periods behind, and the next
run continues there.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, date, datetime
from functools import partial
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

import attrs

from fathom_async._bulk.request import Ask
from fathom_async._bulk.results import OnProgress, Progress
from fathom_async._core.codec.rows import RowT
from fathom_async._core.session import Caller
from fathom_async._reports.fields import DateGrouping
from fathom_async._reports.query import Query
from fathom_async._util.checks import suggestion
from fathom_async._util.text import counted
from fathom_async.backfill._backfill_plan import BackfillPlan, plan_backfill
from fathom_async.backfill._chunks import OnReport, chunks, unheard
from fathom_async.backfill._destination import Destination, OpenDestination
from fathom_async.backfill._duckdb import DuckDBTable
from fathom_async.backfill._parquet import ParquetDataset
from fathom_async.backfill._sqlite import SqliteTable
from fathom_async.errors import ArgumentError

_ANY_ZONE: Final = ZoneInfo("UTC")
_now: Final = partial(datetime.now, UTC)


@attrs.frozen
class BackfillSummary:
    """The result of a backfill.

    Args:
        target: Where it wrote.
        first: The first of the wanted periods in the target: a datetime for hours, otherwise a date. None if none is
            complete yet.
        last: The last one.
        periods: Number of periods requested.
        reports: Number of reports they took.
        rows: Number of rows written.
    """

    target: Destination
    first: date | None
    last: date | None
    periods: int
    reports: int
    rows: int

    def __str__(self) -> str:
        if self.first is None:
            return f"{self.target}: no period is complete yet"
        periods, reports = counted(self.periods, "period"), counted(self.reports, "report")
        asked = f"{periods} requested in {reports}, {counted(self.rows, 'row')}"
        return f"{self.target}: {self.first} to {self.last}; {asked}"


async def backfill(
    query: Query[RowT],
    ask: Ask[RowT],
    *,
    target: Destination | str,
    since: date | str,
    until: date | str | None = None,
    grouping: DateGrouping = "day",
    look_back: int = 0,
    incomplete: bool = False,
    zone: ZoneInfo | Callable[[], Awaitable[ZoneInfo | None]] | None = None,
    now: Callable[[], datetime] = _now,
    on_report: OnReport = unheard,
) -> BackfillSummary:
    """Bring a table up to date with a report, requesting only what it does not have yet.

    The arguments and the errors are those of `ReportsResource.backfill`, besides these: `ask` returns a report with
    every row, as `ReportsResource.complete` does, and `now` the moment, with a time zone. `zone` is not needed if the
    query has a ``timezone``. `on_report` is called before each report and after the last one.
    """
    where = target_of(target)
    plan_in = partial(
        plan_backfill,
        query,
        since=since,
        until=until,
        grouping=grouping,
        look_back=look_back,
        incomplete=incomplete,
        now=now(),
    )
    if callable(zone):
        # Check all arguments before the first request.
        plan_in(zone=None if query.timezone else _ANY_ZONE)
        zone = None if query.timezone else await zone()
    plan = plan_in(zone=zone)
    held = where.using(plan.layout, plan.zone)
    try:
        await in_thread(held.open)
        asked, reports, rows = await _fill(plan, ask, held, on_report)
    finally:
        await in_thread(held.close)
    value, wanted = plan.layout.unit.value, plan.wanted
    first, last = (value(wanted.first), value(wanted.after - 1)) if wanted else (None, None)
    return BackfillSummary(where, first, last, asked, reports, rows)


def tell_progress(send: Caller, on_progress: OnProgress, done: int, to_come: int) -> None:
    """Report the progress of a backfill whose reports are sent by a caller."""
    lane, options, total = send.session.lanes["reports"], send.options, done + to_come
    left = lane.eta(to_come, options.priority, options.flow) if to_come else 0.0
    on_progress(Progress(total, done, requests=total, answered=done, seconds_left=left))


async def _fill(
    plan: BackfillPlan[RowT], ask: Ask[RowT], held: OpenDestination, on_report: OnReport
) -> tuple[int, int, int]:
    """Request everything missing; return the numbers of periods, reports and rows."""
    periods = reports = rows = 0
    ledger = await in_thread(partial(held.ledger, plan.series))
    async with aclosing(chunks(plan, ask, ledger, on_report)) as found:
        async for chunk in found:
            await in_thread(partial(held.replace, plan.series, chunk.span, chunk.rows, chunk.settled))
            periods, reports, rows = periods + len(chunk.span), reports + 1, rows + len(chunk.rows)
    return periods, reports, rows


T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Run blocking work in a thread, and return its result.

    A cancelled caller still waits for the work to end: a thread cannot be stopped, and the resources it uses must not
    be closed while it runs.
    """
    running = asyncio.get_running_loop().run_in_executor(None, work)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        running.exception()
        raise cancelled
    return running.result()


KINDS: Final = ("parquet", "duckdb", "sqlite")

_ADVICE: Final = (
    "write 'parquet:reports' for a directory, 'duckdb:stats.duckdb#pageviews' or 'sqlite:stats.db#pageviews' "
    "for a table of a file"
)


def target_of(written: object) -> Destination:
    """Return the target that a string describes, or the target itself; see `backfill`.

    Paths are relative, or absolute as in ``duckdb:/data/stats.duckdb#pageviews`` (``duckdb:///data/…`` is the same).
    """
    if isinstance(written, ParquetDataset | DuckDBTable | SqliteTable):
        return written
    if not isinstance(written, str):
        if callable(getattr(written, "using", None)):
            return written  # type: ignore[return-value]
        raise ArgumentError(f"the target must be a str or a target, not {written!r}: {_ADVICE}")
    kind, colon, rest = written.partition(":")
    if not colon:
        raise ArgumentError(f"the target {written!r} does not say its kind: {_ADVICE}")
    if kind not in KINDS:
        raise ArgumentError(f"the target {written!r} is of no known kind{suggestion(kind, KINDS)}")
    if rest.startswith("//") and not rest.startswith("///"):
        raise ArgumentError(f"the target {written!r} names a host; targets are files: {_ADVICE}")
    rest = rest.removeprefix("//")
    path, mark, table = (rest, "", "") if kind == "parquet" else rest.rpartition("#")
    if not path.strip() or (kind != "parquet" and not mark):
        raise ArgumentError(f"the target {written!r} is incomplete: {_ADVICE}")
    if kind == "parquet":
        return ParquetDataset(path)
    return DuckDBTable(path, table) if kind == "duckdb" else SqliteTable(path, table)
