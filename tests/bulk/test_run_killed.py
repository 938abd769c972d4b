"""Runs with a store whose process is killed."""

import asyncio
import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from fathom_async.testing import FathomServer
from tests.bulk.months import MONTHS
from tests.bulk.processes import run_months
from tests.support.forked import Forked


@pytest.mark.slow
async def test_a_process_that_is_killed_again_and_again_asks_only_for_the_rest(tmp_path: Path) -> None:
    """One request at a time, so that one is in flight when the process is killed."""
    chance = random.Random(7)
    async with FathomServer(reports_throttle=None, handler_time=0.02) as server:
        for _ in range(20):
            process = Forked(run_months, server.url, tmp_path / "reports.db")
            assert await asyncio.to_thread(process.said, str) == "ready"
            await asyncio.sleep(chance.uniform(0, 0.15))
            await asyncio.to_thread(process.kill)
        with closing(sqlite3.connect(tmp_path / "reports.db")) as store, store:
            store.execute("DELETE FROM claims")  # they lapse by themselves, but half a minute after the kill
        process = Forked(run_months, server.url, tmp_path / "reports.db")
        assert await asyncio.to_thread(process.rest) == ["ready", "done"]
        clean = len(MONTHS) // 2
        asked = sum(hit.lane == "reports" for hit in server.hits)
        assert clean <= asked <= clean + 20
