"""Real processes that share a store, for the tests that kill them."""

import asyncio
import os
import time
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from fathom_async._cache import single_flight as claims
from fathom_async._cache.entry import CacheEntry
from fathom_async._cache.open import open_store
from fathom_async._cache.redis import RedisStore
from fathom_async._cache.sqlite import SqliteStore
from fathom_async._cache.store import ReportStore
from tests.cache.once import ask_once

LEASE = 2.0


def shared_store(where: str) -> ReportStore:
    """A store whose claims lapse sooner than usual."""
    if where.startswith("redis"):
        return RedisStore(where, lease=LEASE)
    return SqliteStore(Path(where), lease=LEASE, poll_seconds=0.02)


def appear(file: Path, size: int = 0) -> None:
    """Wait until a file is there, and longer than it was."""
    give_up = time.monotonic() + 20
    while not file.exists() or file.stat().st_size < size + 1:
        assert time.monotonic() < give_up
        time.sleep(0.0005)


def answer(number: int) -> CacheEntry:
    """An answer that fills several pages of a file, and shows whether it is complete."""
    return CacheEntry(f"{number:05}".encode() * 4_000, 1_000.0 + number)


def note(log: Path, line: str) -> None:
    """Write a line that a kill cannot tear."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, f"{line}\n".encode())
    os.close(file)


def hold(test: Connection, where: str, key: str) -> None:
    """Claim a key, and never put an answer."""

    async def main() -> None:
        async with shared_store(where) as store, store.claim([key]) as mine:
            test.send(" ".join(mine))
            await asyncio.Event().wait()

    claims._RENEWALS = 20  # pyright: ignore[reportPrivateUsage] - on a busy machine, the living stay alive
    asyncio.run(main())


def ask(_: Connection, where: str, log: Path, keys: int) -> None:
    """Ask for all keys at once, as often as five times each."""

    async def answered(key: str) -> CacheEntry:
        note(log, key)
        await asyncio.sleep(0.2)
        return CacheEntry(key.encode(), 1.0)

    async def main() -> None:
        async with shared_store(where) as store, asyncio.TaskGroup() as group:
            for number in [*range(keys)] * 5:
                key = f"key {number}"
                group.create_task(ask_once(store, key, partial(answered, key), lambda _: True))

    claims._RENEWALS = 20  # pyright: ignore[reportPrivateUsage]
    asyncio.run(main())


def put(test: Connection, where: str) -> None:
    """Put one answer after the other, and report each."""

    async def main() -> None:
        async with open_store(where) as store:
            for number in range(100_000):
                await store.put_many({f"key {number % 50}": answer(number)})
                test.send(str(number))

    asyncio.run(main())


def run(test: Connection, where: str, log: Path, requests: int) -> None:
    """Send what is missing, one request after the other, as a bulk run does."""

    async def main() -> None:
        async with shared_store(where) as store:
            for number in range(requests):
                if not await store.get_many([f"key {number}"]):
                    note(log, str(number))
                    await asyncio.sleep(0.002)
                    await store.put_many({f"key {number}": answer(number)})
        test.send("done")

    asyncio.run(main())
