"""Metrics of clients, as the official parsers read them."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import cast

import pytest
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics,  # pyright: ignore[reportUnknownVariableType]
)
from prometheus_client.parser import text_string_to_metric_families as plain

from fathom_async import FathomClient, PageviewQuery
from fathom_async.integrations.prometheus import METRICS, ClientMetrics
from fathom_async.testing import FathomServer, Status

pytestmark = pytest.mark.virtual_time

Values = Mapping[tuple[str, ...], float]
Read = Callable[[str], Iterable[Metric]]

JANUARY = PageviewQuery(
    "CDBUGS",
    aggregates=["pageviews"],
    field_grouping=["pathname"],
    date_from="2026-01-01",
    date_to="2026-01-31",
)


def collected(registry: CollectorRegistry) -> Values:
    """Return the values by name and labels, without the times at which counters began."""
    families = plain(generate_latest(registry).decode())
    return {
        (sample.name, *sample.labels.values()): sample.value
        for sample in chain.from_iterable(family.samples for family in families)
        if not sample.name.endswith("_created")
    }


@pytest.fixture
async def registry(fathom: FathomClient) -> CollectorRegistry:
    """A registry with the metrics of `fathom`."""
    registry = CollectorRegistry()
    ClientMetrics(fathom, registry)
    return registry


async def test_requests_queries_and_lanes_are_told(
    server: FathomServer, fathom: FathomClient, registry: CollectorRegistry
) -> None:
    server.inject(Status(503), Status(429))
    await fathom.sites.get("CDBUGS")
    total = JANUARY.replace(field_grouping=[])
    for query in (JANUARY, JANUARY, total):
        _ = await fathom.reports.gather([query], store="memory://")
    await asyncio.gather(fathom.reports.current_visitors("CDBUGS"), fathom.sites.get("CDBUGS"))
    values = collected(registry)
    assert values["fathom_requests_total", "crud"] == 4
    assert values["fathom_requests_total", "reports"] == 2
    assert values["fathom_requests_refused_total",] == 1
    assert values["fathom_requests_retried_total",] == 2
    assert values["fathom_wait_seconds_total",] == fathom.stats.waited > 0
    origins = {origin: values["fathom_queries_total", origin] for origin in ("asked", "kept", "implied")}
    assert origins == {"asked": 1, "kept": 1, "implied": 1}
    assert values["fathom_lane_limit_requests", "reports"] == 10
    assert values["fathom_lane_window_seconds", "reports"] == 60
    assert values["fathom_lane_used_requests", "reports"] == 2
    assert values["fathom_lane_away_seconds", "reports"] == 0
    assert values["fathom_lane_budget_lost", "reports"] == 0


async def test_what_waits_and_for_how_long_is_told(fathom: FathomClient, registry: CollectorRegistry) -> None:
    queries = [JANUARY.replace(date_to=f"2026-01-{day}") for day in range(10, 22)]
    calls = [asyncio.create_task(fathom.reports.aggregate(query)) for query in queries]
    _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(1)
    values = collected(registry)
    assert values["fathom_lane_queued_requests", "reports"] == 2
    assert values["fathom_lane_next_permit_seconds", "reports"] > 50
    fathom.pause(30)
    assert 0 < collected(registry)["fathom_lane_paused_seconds", "reports"] <= 30
    _ = await asyncio.gather(*calls)
    values = collected(registry)
    assert values["fathom_lane_queued_requests", "reports"] == 0
    assert values["fathom_wait_seconds_total",] == fathom.stats.waited > 60


@pytest.mark.fathom_server(plan="hourly:600:5")
async def test_the_limits_are_those_of_the_plan_as_it_is_learned(fathom_server: FathomServer) -> None:
    async with FathomClient("any", base_url=fathom_server.url) as fathom:
        ClientMetrics(fathom, registry := CollectorRegistry())
        assert collected(registry)["fathom_lane_limit_requests", "reports"] == 10
        _ = await fathom.reports.aggregate(JANUARY)
        _ = await fathom.reports.aggregate(JANUARY)
        values = collected(registry)
    assert (
        values["fathom_lane_limit_requests", "reports"] == values["fathom_lane_limit_requests", "crud"] == 600
    )
    assert values["fathom_lane_window_seconds", "reports"] == 3600
    assert values["fathom_requests_total", "reports"] + values["fathom_requests_total", "account"] == 2


async def test_several_clients_are_told_apart_by_their_account(server: FathomServer) -> None:
    async with (
        FathomClient("secret-one", base_url=server.url) as one,
        FathomClient("secret-two", base_url=server.url) as two,
    ):
        ClientMetrics({"acme": one, "other": two}, registry := CollectorRegistry())
        await one.sites.get("CDBUGS")
        await two.sites.get("CDBUGS")
        assert collected(registry)["fathom_requests_total", "other", "crud"] == 1
        await two.sites.get("CDBUGS")
        values = collected(registry)
    assert values["fathom_requests_total", "acme", "crud"] == 1
    assert values["fathom_requests_total", "other", "crud"] == 2
    assert values["fathom_requests_refused_total", "acme"] == 0
    assert "secret" not in repr(values)


async def test_another_thread_reads_what_is_there_now(
    fathom: FathomClient, registry: CollectorRegistry
) -> None:
    for sent in (1, 2):
        await fathom.sites.get("CDBUGS")
        values = await asyncio.to_thread(collected, registry)
        assert values["fathom_requests_total", "crud"] == sent


def test_what_was_counted_is_there_when_the_event_loop_is_not() -> None:
    registry = CollectorRegistry()

    async def main() -> None:
        async with FathomServer() as server, FathomClient("any", base_url=server.url) as fathom:
            metrics = ClientMetrics(fathom, registry)
            await fathom.sites.get("CDBUGS")
            metrics.update()

    asyncio.run(main())
    assert collected(registry)["fathom_requests_total", "crud"] == 1


async def test_names_and_types_follow_the_conventions(
    fathom: FathomClient, registry: CollectorRegistry
) -> None:
    await fathom.sites.get("CDBUGS")
    encode, content_type = choose_encoder("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    read = cast("Read", openmetrics)
    families = {family.name: family for family in read(encode(registry).decode())}
    assert list(families) == [metric.name for metric in METRICS]
    for metric in METRICS:
        family = families[metric.name]
        assert family.type == ("gauge" if metric.mode else "counter")
        assert family.documentation == metric.help
        assert re.fullmatch(r"fathom_[a-z_]+(?<!_total)", metric.name)
        assert all(set(sample.labels) == {metric.label} - {""} for sample in family.samples)


PROCESS = """
import asyncio, sys
from prometheus_client import CollectorRegistry
from fathom_async import FathomClient
from fathom_async.integrations.prometheus import ClientMetrics
from fathom_async.testing import Delay, FathomServer

async def main():
    async with FathomServer() as server, FathomClient("any", base_url=server.url) as fathom:
        metrics = ClientMetrics(fathom, CollectorRegistry())
        for _ in range(int(sys.argv[1])):
            await fathom.sites.get("CDBUGS")
        server.inject(Delay(1000))
        flying = asyncio.create_task(fathom.sites.get("CDBUGS"))
        while server.pending_faults:
            await asyncio.sleep(0.01)
        metrics.update()
        flying.cancel()

asyncio.run(main())
"""
ALL = """
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
MultiProcessCollector(registry := CollectorRegistry())
print(generate_latest(registry).decode())
"""


def test_processes_are_put_together_as_each_metric_says(tmp_path: Path) -> None:
    environ = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for code, *words in ((PROCESS, "2"), (PROCESS, "3"), (ALL,)):
        ended = subprocess.run(
            [sys.executable, "-c", code, *words], env=environ, capture_output=True, text=True, check=True
        )
    values = {
        (sample.name, *sample.labels.values()): sample.value
        for family in plain(ended.stdout)
        for sample in family.samples
    }
    assert values["fathom_requests_total", "crud"] == 5
    assert values["fathom_lane_in_flight_requests", "crud"] == 2
    assert values["fathom_lane_limit_requests", "crud"] == 2000
    assert values["fathom_lane_window_seconds", "crud"] == 3600
