"""Keep a number of requests in flight."""

import asyncio
from collections.abc import Awaitable, Callable


async def fan_out(call: Callable[[], Awaitable[object]], calls: int, at_once: int) -> None:
    """Make a number of calls, at most `at_once` at a time."""
    left = iter(range(calls))

    async def worker() -> None:
        for _ in left:
            await call()

    if at_once == 1:
        await worker()
        return
    async with asyncio.TaskGroup() as workers:
        for _ in range(at_once):
            workers.create_task(worker())
