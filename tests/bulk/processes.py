"""Processes that run many reports, for the tests that kill them."""

import asyncio
import random
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from fathom_async import CachePolicy, FathomClient, PageviewQuery, RateLimit, RatePlan, RetryPolicy
from fathom_async.telemetry import Sent
from tests.bulk.months import MONTHS
from tests.cache.processes import shared_store

QUEUEING = RatePlan(
    crud=RateLimit(10_000, per=3600), reports=RateLimit(10_000, per=3600), concurrency=2
)  # so that requests queue


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


def ask_and_say_so(test: Connection, url: str, place: str, queries: Sequence[PageviewQuery]) -> None:
    """Run queries, and tell the test of each report that is requested."""
    asyncio.run(_ask_and_say_so(test, url, place, queries))


async def _ask_and_say_so(test: Connection, url: str, place: str, queries: Sequence[PageviewQuery]) -> None:
    def say(event: object) -> None:
        if isinstance(event, Sent) and event.lane == "reports":
            test.send("sent")

    async with (
        FathomClient("any", base_url=url, plan=QUEUEING, on_event=say) as fathom,
        shared_store(place) as store,
    ):
        await fathom.reports.gather(queries, store=store)


def run_for_ever(test: Connection, url: str, place: str, seed: int, queries: Sequence[PageviewQuery]) -> None:
    """Run random queries repeatedly; tell the test when the first of them are answered."""
    asyncio.run(_run_for_ever(test, url, place, random.Random(seed), queries))


async def _run_for_ever(
    test: Connection, url: str, place: str, chance: random.Random, queries: Sequence[PageviewQuery]
) -> None:
    retry = RetryPolicy(base=0.001, cap=0.01)
    async with (
        FathomClient("any", base_url=url, plan=QUEUEING, retry=retry) as fathom,
        shared_store(place) as store,
    ):
        has_told = False
        while True:
            some = chance.sample(queries, chance.randint(1, 8))
            await fathom.reports.gather(some, store=store, keeping=CachePolicy(max_age=0))
            if not has_told:
                test.send("ran")
                has_told = True
