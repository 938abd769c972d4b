"""Real processes that share a store, for the tests that kill them."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

from fathom_async.store import claims
from fathom_async.store.kept import Kept
from fathom_async.store.once import ask_once
from fathom_async.store.open import open_store
from fathom_async.store.protocol import ReportStore
from fathom_async.store.redis import RedisStore
from fathom_async.store.sqlite import SqliteStore

ROOT = Path(__file__).parents[2]
LEASE = 2.0


def shared_store(where: str) -> ReportStore:
    """A store whose claims lapse sooner than usual."""
    if where.startswith("redis"):
        return RedisStore(where, lease=LEASE)
    return SqliteStore(Path(where), lease=LEASE, poll_seconds=0.02)


def start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.store.processes", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def kill(process: "subprocess.Popen[str]") -> str:
    """Kill a process with SIGKILL; return what it had said by then."""
    process.kill()
    return process.communicate(timeout=20)[0]


def appear(file: Path, size: int = 0) -> None:
    """Wait until a file is there, and longer than it was."""
    give_up = time.monotonic() + 20
    while not file.exists() or file.stat().st_size < size + 1:
        assert time.monotonic() < give_up
        time.sleep(0.0005)


def answer(number: int) -> Kept:
    """An answer that fills some pages of a file, and shows whether it is whole."""
    return Kept(f"{number:05}".encode() * 4_000, 1_000.0 + number)


def note(log: Path, line: str) -> None:
    """Write a line that a kill cannot tear."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, f"{line}\n".encode())
    os.close(file)


async def _hold(where: str, key: str) -> None:
    """Claim a key, and never answer."""
    async with shared_store(where) as store, store.claim([key]) as mine:
        print(*mine, flush=True)  # noqa: T201 - to the test
        await asyncio.Event().wait()


async def _ask(where: str, log: Path, keys: int) -> None:
    """Ask for all keys at once, as often as five times each."""

    async def ask(key: str) -> Kept:
        note(log, key)
        await asyncio.sleep(0.2)
        return Kept(key.encode(), 1.0)

    async with shared_store(where) as store, asyncio.TaskGroup() as group:
        for number in [*range(keys)] * 5:
            key = f"key {number}"
            group.create_task(ask_once(store, key, lambda key=key: ask(key), lambda _: True))  # type: ignore[misc]


async def _put(where: str) -> None:
    """Put one answer after the other, and say so."""
    async with open_store(where) as store:
        for number in range(100_000):
            await store.put_many({f"key {number % 50}": answer(number)})
            print(number, flush=True)  # noqa: T201


async def _run(where: str, log: Path, requests: int) -> None:
    """Send what is missing, one request after the other, as a bulk run does."""
    async with shared_store(where) as store:
        for number in range(requests):
            if not await store.get_many([f"key {number}"]):
                note(log, str(number))
                await asyncio.sleep(0.002)
                await store.put_many({f"key {number}": answer(number)})
    print("done", flush=True)  # noqa: T201


if __name__ == "__main__":
    claims._RENEWALS = 20  # pyright: ignore[reportPrivateUsage] - on a busy machine, the living stay alive
    match sys.argv[1:]:
        case ["hold", its_place, its_key]:
            asyncio.run(_hold(its_place, its_key))
        case ["ask", its_place, its_log, its_keys]:
            asyncio.run(_ask(its_place, Path(its_log), int(its_keys)))
        case ["put", its_place]:
            asyncio.run(_put(its_place))
        case ["run", its_place, its_log, its_requests]:
            asyncio.run(_run(its_place, Path(its_log), int(its_requests)))
        case _:
            raise SystemExit("hold, ask, put or run")
