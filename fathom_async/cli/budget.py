"""``fathom budget``."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from rich.table import Table

from fathom_async import LaneStatus, RatePlan
from fathom_async.cli.connection import connect, run_async
from fathom_async.cli.failures import CommandError, ExitCode
from fathom_async.cli.output import STANDARD, Kind, OutputOptions, note, records, stdout_console, write
from fathom_async.cli.wording import duration

BUDGET: Final = "FATHOM_BUDGET"

_COLUMNS: Final[dict[str, Kind]] = {
    "lane": "text",
    "limit": "count",
    "per": "number",
    "used": "count",
    "left": "count",
    "next_slot_in": "number",
}
_PER: Final = {60.0: "a minute", 3600.0: "an hour"}


def budget(*, output: OutputOptions = STANDARD) -> None:
    """Show what is left of the rate limits that programs share by FATHOM_BUDGET. Nothing is spent.

    Args:
        output: Where it goes, and how it is written.
    """
    lanes = _lanes()
    if output.output is None and output.resolved() == "table":
        stdout_console().print(drawn(lanes))
    else:
        write(records(_COLUMNS, [_cells(name, lane) for name, lane in lanes.items()]), output)


def _lanes() -> Mapping[str, LaneStatus]:
    if not (url := os.environ.get(BUDGET)):
        raise CommandError(
            f"{BUDGET} is not set, so that every program has a budget of its own, which ends with it; let them "
            f"share one: {BUDGET}=file:///path/to/budget",
            ExitCode.USAGE,
        )
    if urlsplit(url).scheme != "file":
        raise CommandError("only a budget in a file can be looked at", ExitCode.USAGE)
    if not Path(unquote(urlsplit(url).path)).exists():
        # To look would make the file: as somebody whose files the other programs may not open.
        note("no program has used this budget yet")
        return _unused(RatePlan.classic())
    return run_async(_look)


async def _look() -> Mapping[str, LaneStatus]:
    async with connect() as fathom:
        return fathom.limits


def drawn(lanes: Mapping[str, LaneStatus]) -> Table:
    """Return the lanes for the eyes."""
    table = Table(box=None, padding=(0, 3, 0, 0), pad_edge=False, header_style="dim")
    for column in ("lane", "limit", "used", "left", "next slot"):
        table.add_column(
            column, no_wrap=True, justify="left" if column in {"lane", "limit", "next slot"} else "right"
        )
    for name, lane in lanes.items():
        left = lane.limit - lane.used
        when = f"in {duration(lane.next_slot_in)}" if lane.next_slot_in > 0 else "now"
        per = _PER.get(lane.per, f"in {duration(lane.per)}")
        table.add_row(name, f"{lane.limit:,} {per}", f"{lane.used:,}", f"{left:,}", when)
    return table


def _cells(name: str, lane: LaneStatus) -> tuple[str | int | float, ...]:
    return name, lane.limit, lane.per, lane.used, lane.limit - lane.used, round(lane.next_slot_in, 3)


def _unused(plan: RatePlan) -> Mapping[str, LaneStatus]:
    limits = {"crud": plan.crud, "reports": plan.reports or plan.crud}
    return {
        name: LaneStatus(limit.requests, limit.per, used=0, in_flight=0, queued=0, next_slot_in=0.0)
        for name, limit in limits.items()
    }
