"""A process that runs many reports, for the tests that kill it."""

import asyncio
from multiprocessing.connection import Connection
from pathlib import Path

from fathom_async import FathomClient, RatePlan
from tests.bulk.months import MONTHS


def run_months(test: Connection, url: str, store: Path) -> None:
    """Run all months, one request at a time."""
    asyncio.run(_run_months(test, url, store))


async def _run_months(test: Connection, url: str, store: Path) -> None:
    plan = RatePlan.hourly(1_000_000, concurrency=1)
    async with FathomClient("any", base_url=url, plan=plan) as fathom:
        test.send("ready")
        reports = await fathom.reports.gather(MONTHS, store=store)
        assert [report.query for report in reports] == MONTHS
        test.send("done")
