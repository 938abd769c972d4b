"""``fathom budget``."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from fathom_async import LaneStatus, RatePlan
from fathom_async._cli.connection import connect, is_unused, own_budget, run_async
from fathom_async._cli.credentials import find_token
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.files import check_directory
from fathom_async._cli.formatting import duration, per
from fathom_async._cli.output import STANDARD, Kind, OutputOptions, Records, note, write
from fathom_async._cli.settings import BUDGET, PLAN
from fathom_async._util.text import counted

_COLUMNS: Final[dict[str, Kind]] = {
    "lane": "text",
    "limit": "count",
    "per": "number",
    "used": "count",
    "left": "count",
    "waiting": "count",
    "next_slot_in": "number",
}
_SHOWN: Final[dict[str, Kind]] = {
    "lane": "text",
    "limit": "text",
    "used": "count",
    "left": "count",
    "waiting": "text",
    "next slot": "text",
}


def budget(*, output: OutputOptions = STANDARD) -> None:
    """Show what is left of the rate limits that programs share. It sends no request."""
    output.check(_COLUMNS)
    lanes = _lanes()
    if output.resolved() == "table":
        write(Records(_SHOWN, [_words(name, lane) for name, lane in lanes.items()]), output)
    else:
        write(Records(_COLUMNS, [_cells(name, lane) for name, lane in lanes.items()]), output)


def _lanes() -> Mapping[str, LaneStatus]:
    if (url := os.environ.get(BUDGET)) is None:
        url = own_budget(os.environ, _token())
    if not url:
        raise CommandError(
            f"{BUDGET} is empty, so every program has a budget of its own; "
            f"to share one, set {BUDGET}=file:///path/to/budget",
            ExitCode.USAGE,
        )
    if is_unused(url):
        _check_place(Path(unquote(urlsplit(url).path)))
        note("no program has used this budget yet")
        return _unused(RatePlan.parse(os.environ.get(PLAN) or "classic"))
    _token()
    return run_async(_look)


def _token() -> str:
    try:
        return find_token(os.environ).token
    except CommandError as error:
        raise CommandError(f"each token has a budget of its own, and there is {error}", error.code) from None


def _check_place(file: Path) -> None:
    try:
        check_directory(file.parent)
    except FileNotFoundError:
        raise CommandError(
            f"there is no directory {file.parent} for the budget; create it first", ExitCode.USAGE
        ) from None
    except OSError as error:
        raise CommandError(f"cannot use {file} as a budget file: {error.strerror}", ExitCode.USAGE) from None


async def _look() -> Mapping[str, LaneStatus]:
    async with connect() as fathom:
        return await fathom.look()


def _words(name: str, lane: LaneStatus) -> tuple[str | int, ...]:
    waiting = counted(lane.waiting, "program") if lane.waiting else "nobody"
    when = f"in {duration(lane.next_slot_in)}" if lane.next_slot_in > 0 else "now"
    if lane.paused_for > 0:
        when += ", paused by the server"
    return name, f"{lane.limit:,} {per(lane.per)}", lane.used, _left(lane), waiting, when


def _left(lane: LaneStatus) -> int:
    return max(0, lane.limit - lane.used)


def _cells(name: str, lane: LaneStatus) -> tuple[str | int | float, ...]:
    return name, lane.limit, lane.per, lane.used, _left(lane), lane.waiting, round(lane.next_slot_in, 3)


def _unused(plan: RatePlan) -> Mapping[str, LaneStatus]:
    limits = {"crud": plan.crud, "reports": plan.reports or plan.crud}
    return {
        name: LaneStatus(limit.requests, limit.per, used=0, in_flight=0, queued=0, next_slot_in=0.0)
        for name, limit in limits.items()
    }
