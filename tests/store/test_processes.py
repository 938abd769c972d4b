"""Processes share a store, and are killed at any moment."""

import asyncio
import random
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from fathom_async.store.kept import Kept
from fathom_async.store.once import ask_once
from fathom_async.store.open import open_store
from tests.store.processes import LEASE, answer, appear, kill, said, shared_store, start


async def test_identical_requests_of_several_processes_are_one(place: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    processes = [start("ask", place, str(log), "8") for _ in range(3)]
    codes = await asyncio.gather(*(asyncio.to_thread(process.wait, 60) for process in processes))
    for process in processes:
        process.communicate()
    assert codes == [0, 0, 0]
    assert Counter(log.read_text().splitlines()) == {f"key {number}": 1 for number in range(8)}


@pytest.mark.slow
async def test_when_the_holder_of_a_claim_is_killed_the_next_one_asks(place: str) -> None:
    holder = start("hold", place, "a")
    try:
        assert await asyncio.to_thread(said, holder) == "a"
        asked = 0

        async def ask() -> Kept:
            nonlocal asked
            asked += 1
            return Kept(b"x", 1.0)

        async with shared_store(place) as store:
            calls = [asyncio.create_task(ask_once(store, "a", ask, lambda _: True)) for _ in range(5)]
            await asyncio.sleep(1.5 * LEASE)
            assert asked == 0  # the holder is slow, but alive
            kill(holder)
            await asyncio.gather(*calls)
            assert asked == 1
    finally:
        kill(holder)


async def test_a_kill_while_answers_are_put_loses_none_that_was_there(place: str) -> None:
    rng = random.Random(7)
    for _ in range(4):
        process = start("put", place)
        assert await asyncio.to_thread(said, process) == "0"
        await asyncio.sleep(rng.uniform(0.0, 0.15))
        last = int(["0", *(await asyncio.to_thread(kill, process)).split()][-1])
        async with open_store(place) as store:
            kept = await store.get_many(f"key {number}" for number in range(50))
            for key, found in kept.items():
                assert found.body == answer(int(found.asked_at) - 1_000).body, key
            for number in range(max(0, last - 49), last + 1):
                assert kept[f"key {number % 50}"].asked_at >= 1_000.0 + number
            await store.prune(asked_before=1e9)
        if not place.startswith("redis"):
            with closing(sqlite3.connect(place)) as connection:
                assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_a_file_is_whole_when_those_who_make_it_are_killed(tmp_path: Path) -> None:
    rng = random.Random(11)
    for number in range(6):
        place = str(tmp_path / f"{number}.db")
        processes = [start("put", place) for _ in range(2)]
        await asyncio.to_thread(appear, Path(place), -1)
        await asyncio.sleep(rng.uniform(0.0, 0.02))
        for process in processes:
            kill(process)
        async with open_store(place) as store:
            await store.put_many({"a": answer(1)})
            assert await store.get_many(["a"]) == {"a": answer(1)}


@pytest.mark.slow
async def test_a_run_that_is_killed_twenty_times_sends_again_only_what_was_in_flight(
    place: str, tmp_path: Path
) -> None:
    rng = random.Random(3)
    log = tmp_path / "log"
    kills = size = 0
    while True:
        process = start("run", place, str(log), "150")
        if kills < 20:
            await asyncio.to_thread(appear, log, size)
            await asyncio.sleep(rng.uniform(0.0, 0.02))
            kill(process)
            kills += 1
            size = len(log.read_bytes())
        else:
            output, _ = await asyncio.to_thread(process.communicate, timeout=60)
            assert output == "done\n"
            break
    sent = log.read_text().split()
    assert set(sent) == {str(number) for number in range(150)}
    assert len(sent) <= 150 + kills
