"""Keeping so many requests in flight."""

import asyncio
from collections.abc import Awaitable, Callable


async def fan_out(call: Callable[[], Awaitable[object]], calls: int, at_once: int) -> None:
    """Make so many calls, never more than `at_once` at a time."""
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
