"""Syncs in processes of their own, killed and side by side, against a catalog that lags behind."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from attrs import frozen

from fathom_async.testing import Dataset, Event, FathomServer, Site
from tests.conftest import until
from tests.support.secoda_pages import SecodaPages

DATA = Dataset(
    sites=[Site(id="ACME", name="Acme")],
    events=[Event(site_id="ACME", id=f"E{number}", name=f"event {number}") for number in range(4)],
)
EVERYTHING = 5


@frozen
class Machine:
    """Starts ``fathom sync`` with a memory of its own."""

    env: dict[str, str]

    async def start(self) -> asyncio.subprocess.Process:
        arguments = ("-m", "fathom_async", "sync", "secoda", "--integration", "any", "--apply")
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            env=self.env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )


@pytest.fixture
async def catalog() -> AsyncIterator[SecodaPages]:
    async with SecodaPages(lag=3.0, latency=0.2) as server:
        yield server


@pytest.fixture
async def machine(catalog: SecodaPages, tmp_path: Path) -> AsyncIterator[Machine]:
    async with FathomServer(data=DATA) as server:
        services = {"FATHOM_BASE_URL": server.url, "SECODA_BASE_URL": catalog.url}
        tokens = {"FATHOM_API_TOKEN": "any", "SECODA_API_TOKEN": "any"}
        yield Machine({**os.environ, **services, **tokens, "XDG_STATE_HOME": str(tmp_path)})


def titles(catalog: SecodaPages) -> Counter[str]:
    return Counter(str(entry["title"]) for entry in catalog.entries.values())


async def test_a_killed_sync_that_runs_again_creates_nothing_twice(
    machine: Machine, catalog: SecodaPages
) -> None:
    for most in (1, 3):
        process = await machine.start()
        await until(lambda most=most: len(catalog.entries) >= most)  # type: ignore[misc]
        # Its answer is on its way: what was created is not known to have been.
        process.kill()
        await process.communicate()
    process = await machine.start()
    out, err = await process.communicate()
    assert (process.returncode, err) == (0, b""), out
    assert titles(catalog) == {"Acme": 1, **{f"event {number}": 1 for number in range(4)}}


async def test_of_two_commands_at_once_one_works(machine: Machine, catalog: SecodaPages) -> None:
    processes = [await machine.start(), await machine.start()]
    ended = [await process.communicate() for process in processes]
    assert sorted(process.returncode or 0 for process in processes) in ([0, 0], [0, 1])
    for process, (_, err) in zip(processes, ended, strict=True):
        assert (b"another sync of this destination is at work" in err) is (process.returncode == 1)
    assert len(catalog.entries) == EVERYTHING
    assert set(titles(catalog).values()) == {1}
