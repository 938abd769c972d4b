"""docs/many-machines.md: the keys on a Redis server."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownLambdaType=false

import asyncio
import math
import re
from itertools import starmap
from pathlib import Path
from typing import Final

import redis

from fathom_async import CachePolicy, FathomClient, PageviewQuery, Priority, RateLimit, RatePlan
from fathom_async._util.clock import LoopClock
from fathom_async.testing import FathomServer

LISTED: Final = re.findall(
    r"`(fathom:[^`]+)`", Path(__file__).parents[2].joinpath("docs", "many-machines.md").read_text("utf-8")
)
QUERY: Final = PageviewQuery("CDBUGS", aggregates=["visits"], field_grouping=["pathname"])
QUERIES: Final = [QUERY.replace(date_from="2026-01-01", date_to=f"2026-01-{day:02}") for day in range(2, 9)]
SPACE: Final = "__keyspace@0__:"
SPEED: Final = 60.0


async def test_all_keys_of_a_budget_and_a_store_are_listed_and_expire(empty_redis: str) -> None:
    with redis.Redis.from_url(empty_redis, decode_responses=True) as server:
        server.config_set("notify-keyspace-events", "KA")
        with server.pubsub(ignore_subscribe_messages=True) as written:
            written.psubscribe(f"{SPACE}*")
            assert written.get_message(timeout=60.0) is None, "the confirmation is ignored"
            await use(empty_redis)
            said = iter(lambda: written.get_message(timeout=1.0), None)
            keys = {str(message["channel"]).removeprefix(SPACE) for message in said}
        server.config_set("notify-keyspace-events", "")
        lasting = {key for key in server.scan_iter("*") if server.ttl(key) == -1}
    patterns = {re.escape(listed).replace("…", ".+") for listed in LISTED}
    assert {key for key in keys if not any(re.fullmatch(each, key) for each in patterns)} == set()
    assert {each for each in patterns if not any(re.fullmatch(each, key) for key in keys)} == set()
    assert lasting == set()


async def use(url: str) -> None:
    """Write keys: wait in the lane and for each other's answers, beside others; keep answers, and forget them."""

    async def run(fathom: FathomClient, priority: Priority, keeping: CachePolicy) -> None:
        await fathom.reports.gather([*QUERIES, QUERY], store=url, priority=priority, keeping=keeping)

    async def ask_beside(stranger: FathomClient) -> None:
        while True:
            await stranger.reports.aggregate(QUERY)

    clock, few = LoopClock(SPEED), RatePlan(reports=RateLimit(2, per=60))
    async with FathomServer(speed=SPEED) as server:
        one, other = (FathomClient("any", base_url=server.url, budget=url, clock=clock) for _ in range(2))
        async with one, other, FathomClient("any", base_url=server.url, plan=few, clock=clock) as stranger:
            asking = asyncio.create_task(ask_beside(stranger))
            runs = (
                (one, Priority.BULK, CachePolicy()),
                (other, Priority.NORMAL, CachePolicy(max_age=math.inf, keep_for=math.inf)),
            )
            await asyncio.gather(*starmap(run, runs))
            await asyncio.gather(*map(one.reports.aggregate, QUERIES))
            await one.sites.list()
            await one.reports.forget("CDBUGS", store=url)
            asking.cancel()
