"""``/metrics`` of the dashboard: for whom it is, and what it tells of several workers."""

import asyncio
import os
import signal
from base64 import b64encode
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics,  # pyright: ignore[reportUnknownVariableType]
)
from prometheus_client.parser import text_string_to_metric_families as plain

from examples.dashboard.app import create_app
from examples.dashboard.settings import Settings
from fathom_async.testing import Dataset, FathomServer
from tests.conftest import until
from tests.support.serving import serving

from .test_launcher import free_port, launched, until_it_answers

BASIC = "Basic " + b64encode(b"me:secret").decode()
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
async def server() -> AsyncGenerator[FathomServer]:
    """A server with little data."""
    async with FathomServer(data=Dataset.synthetic(days=40, visits_per_day=10)) as running:
        yield running


@asynccontextmanager
async def dashboard(server: FathomServer, **options: str) -> AsyncGenerator[aiohttp.ClientSession]:
    environ = {"FATHOM_API_TOKEN": "secret-token", "FATHOM_BASE_URL": server.url, "DASHBOARD_METRICS": "1"}
    async with serving(create_app(Settings.from_env(environ | options))) as visitor:
        yield visitor


async def status(visitor: aiohttp.ClientSession, **headers: str) -> int:
    async with visitor.get("/metrics", headers=headers) as response:
        return response.status


@pytest.mark.parametrize("value", ["", "0"])
async def test_there_are_none_unless_they_are_wished_for(server: FathomServer, value: str) -> None:
    async with dashboard(server, DASHBOARD_METRICS=value) as visitor:
        assert await status(visitor) == 404


@pytest.mark.parametrize("accept", ["*/*", OPENMETRICS])
async def test_prometheus_reads_them_and_they_name_no_site(server: FathomServer, accept: str) -> None:
    async with dashboard(server) as visitor, visitor.get("/metrics", headers={"Accept": accept}) as response:
        text = await response.text()
        assert response.headers["Content-Type"].startswith(
            accept.partition(";")[0].replace("*/*", "text/plain")
        )
    families = {each.name: each for each in (plain if accept == "*/*" else openmetrics)(text)}
    assert families["fathom_requests"].type == "counter"
    assert [sample.value for sample in families["fathom_lane_limit_requests"].samples] == [2000, 10]
    words = {
        value for each in families.values() for sample in each.samples for value in sample.labels.values()
    }
    assert words <= {"crud", "reports", "asked", "fused", "kept", "implied", "stale"}
    assert "secret-token" not in text


@pytest.mark.parametrize(
    "headers",
    [{"X-Forwarded-For": "203.0.113.9"}, {"Forwarded": "for=203.0.113.9"}, {"Host": "stats.example.com"}],
    ids=["forwarded-for", "forwarded", "host"],
)
async def test_without_a_login_they_are_for_this_machine(
    server: FathomServer, headers: dict[str, str]
) -> None:
    async with dashboard(server, DASHBOARD_HOSTS="stats.example.com,127.0.0.1") as visitor:
        assert await status(visitor) == 200
        assert await status(visitor, **headers) == 403


async def test_with_a_login_they_are_for_those_who_have_it(server: FathomServer) -> None:
    async with dashboard(server, DASHBOARD_LOGIN="me:secret") as visitor:
        assert await status(visitor) == 401
        assert await status(visitor, Authorization=BASIC) == 200
        assert await status(visitor, Authorization=BASIC, **{"X-Forwarded-For": "203.0.113.9"}) == 200


async def counted(port: int) -> float:
    """Return how many requests were sent, as whichever worker tells that accepts a connection."""
    address = f"http://127.0.0.1:{port}/metrics"
    async with aiohttp.ClientSession() as visitor, visitor.get(address) as response:
        families = {each.name: each for each in plain(await response.text())}
    samples = families["fathom_requests"].samples
    return sum(sample.value for sample in samples if sample.name == "fathom_requests_total")


async def test_any_worker_tells_the_counts_of_all_also_after_one_was_killed(
    server: FathomServer, tmp_path: Path
) -> None:
    shared, port = tmp_path / "metrics", free_port()
    shared.mkdir()
    settings = {
        "FATHOM_API_TOKEN": "any",
        "FATHOM_BASE_URL": server.url,
        "DASHBOARD_METRICS": "1",
        "PROMETHEUS_MULTIPROC_DIR": str(shared),
    }
    async with (
        launched(tmp_path, "--workers", "2", "--port", str(port), **settings),
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as visitor,
    ):
        _ = await until_it_answers(visitor)
        await until(lambda: len(list(shared.glob("counter_*.db"))) == 2)
        # The workers tell; the process above them asked for its account and sites.
        while (before := await counted(port)) != len(server.hits) - 2:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        first, second = (int(file.stem.rpartition("_")[2]) for file in shared.glob("counter_*.db"))
        os.kill(first, signal.SIGKILL)
        waiting = f"gauge_live*_{first}.db"
        while (now := await counted(port)) <= before or list(shared.glob(waiting)):  # noqa: ASYNC110
            await asyncio.sleep(0.2)  # until its death is known, and a worker in its place sends more
        assert now > before, "what it had sent still counts"
        assert list(shared.glob(f"gauge_live*_{second}.db"))
