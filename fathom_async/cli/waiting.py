"""What a command waits for, told on a terminal while it lasts."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from rich.console import Console

from fathom_async import FathomClient
from fathom_async.cli.wording import counted, duration

_PATIENCE: Final = 0.5
_FRAME: Final = 0.25


@asynccontextmanager
async def telling(fathom: FathomClient) -> AsyncGenerator[None, None]:
    """Tell on standard error what the block waits for: the answer, or its turn. Only a terminal is told."""
    if not sys.stderr.isatty():
        yield
        return
    task = asyncio.create_task(_tell(fathom))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _tell(fathom: FathomClient) -> None:
    await asyncio.sleep(_PATIENCE)
    with Console(stderr=True, highlight=False).status("") as line:
        while True:
            line.update(situation(fathom))
            await asyncio.sleep(_FRAME)


def situation(fathom: FathomClient) -> str:
    """Return what the reports of a client wait for, in words."""
    lane = fathom.limits["reports"]
    if lane.queued:
        who = counted(lane.queued, "request")
        return f"{who} to go; the rate limit lets the next one through in {duration(lane.next_slot_in)}"
    return f"waiting for {counted(lane.in_flight, 'answer')}" if lane.in_flight else "waiting for the server"
