"""``docs/metrics.md`` and the metrics agree."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry

from fathom_async import FathomClient
from fathom_async.integrations.prometheus import METRICS, ClientMetrics

TEXT = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text("utf-8")


def test_the_table_is_that_of_the_code() -> None:
    rows = [
        f"| `{each.name}{'' if each.mode else '_total'}` | {'gauge' if each.mode else 'counter'} "
        f"| {f'`{each.label}` ' if each.label else ''}| {each.help} |"
        for each in METRICS
    ]
    head = "| metric | type | labels | |\n|---|---|---|---|\n"
    assert TEXT.partition(head)[2].partition("\n\n")[0].splitlines() == rows


async def test_the_queries_name_metrics_that_are_there(fathom: FathomClient) -> None:
    ClientMetrics(fathom, registry := CollectorRegistry())
    there = {each.name + "_total" * (each.type == "counter") for each in registry.collect()}
    [block] = re.findall(r"```promql\n(.*?)```", TEXT, re.DOTALL)
    assert {*re.findall(r"fathom_\w+", block)} <= there
