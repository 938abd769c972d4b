"""Processes that share a store, killed at random moments."""

import asyncio
import random
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from fathom_async._cache.entry import CacheEntry
from fathom_async._cache.open import open_store
from tests.cache.once import ask_once
from tests.cache.processes import LEASE, answer, appear, ask, hold, put, run, shared_store
from tests.support.forked import Forked


async def test_identical_requests_of_several_processes_are_one(place: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    processes = [Forked(ask, place, log, 8) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert Counter(log.read_text().splitlines()) == {f"key {number}": 1 for number in range(8)}


@pytest.mark.slow
async def test_when_the_holder_of_a_claim_is_killed_the_next_one_asks(place: str) -> None:
    holder = Forked(hold, place, "a")
    try:
        assert holder.said(str) == "a"
        asked = 0

        async def answered() -> CacheEntry:
            nonlocal asked
            asked += 1
            return CacheEntry(b"x", 1.0)

        async with shared_store(place) as store:
            calls = [asyncio.create_task(ask_once(store, "a", answered, lambda _: True)) for _ in range(5)]
            await asyncio.sleep(1.5 * LEASE)
            assert asked == 0  # the holder is slow, but alive
            holder.kill()
            await asyncio.gather(*calls)
            assert asked == 1
    finally:
        holder.kill()


async def test_a_kill_while_answers_are_put_loses_none_that_was_there(place: str) -> None:
    rng = random.Random(7)
    for _ in range(4):
        process = Forked(put, place)
        assert process.said(str) == "0"
        time.sleep(rng.uniform(0.0, 0.15))  # noqa: ASYNC251 - nothing else goes on here
        last = int(["0", *process.kill()][-1])
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
        processes = [Forked(put, place) for _ in range(2)]
        appear(Path(place), -1)
        time.sleep(rng.uniform(0.0, 0.02))  # noqa: ASYNC251
        for process in processes:
            process.kill()
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
        process = Forked(run, place, log, 150)
        if kills < 20:
            appear(log, size)
            time.sleep(rng.uniform(0.0, 0.02))  # noqa: ASYNC251
            process.kill()
            kills += 1
            size = len(log.read_bytes())
        else:
            assert process.rest() == ["done"]
            break
    sent = log.read_text().split()
    assert set(sent) == {str(number) for number in range(150)}
    assert len(sent) <= 150 + kills
