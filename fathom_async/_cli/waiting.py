"""What a command waits for, told on a terminal while it lasts."""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from rich.console import Console

from fathom_async import FathomClient
from fathom_async._cli.formatting import counted, duration

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
    """Return what the requests of a client wait for, in words."""
    lane = max(fathom.limits.values(), key=lambda lane: (lane.queued > 0, lane.paused_for, lane.in_flight))
    when = duration(lane.next_slot_in)
    if lane.paused_for:
        return f"the server asked for a pause; the next request goes in {when}"
    if lane.queued:
        return f"{counted(lane.queued, 'request')} to go; the rate limit lets the next one through in {when}"
    return f"waiting for {counted(lane.in_flight, 'answer')}" if lane.in_flight else "waiting for the server"
