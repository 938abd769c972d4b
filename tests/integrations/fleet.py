"""Helpers for tests of job engines, which the workers import too."""

import asyncio
import math
import os
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from threading import Thread
from typing import Any, cast

import attrs
from redis import Redis

from fathom_async import FathomClient, NotFoundError, PageviewQuery, RateLimit, RatePlan, where
from fathom_async._bulk.results import Outcome
from fathom_async._cache.redis import RedisStore
from fathom_async._core.codec.rows import Row
from fathom_async._util.clock import LoopClock
from fathom_async.integrations.batches import Batch, batches, interleaved
from fathom_async.testing import FathomServer
from tests.ratelimit.shared.processes import TOKEN
from tests.support.fathom_process import FathomProcess, Options, Seen, fathom_process
from tests.support.redis_server import RedisServer

SPEED = 20.0
LEASE = 3.0
NOW = datetime(2026, 10, 31, 12, tzinfo=UTC)
SERVER = Options(requests=10, per=60, latency=(0.0, 0.15), speed=SPEED, now=NOW)
SLOW = attrs.evolve(SERVER, latency=(4.0, 8.0))
"""A server whose answers take 0.2 to 0.4 real seconds, so that there are always requests in flight."""

WORKERS = 4
BATCHES = 25
"""A window of ten takes three seconds, so that the best there is takes six."""

_FREE = RatePlan(reports=RateLimit(100_000, per=1))


def environment(url: str, redis_url: str) -> dict[str, str]:
    """The environment of a worker."""
    return {
        "FATHOM_API_TOKEN": TOKEN,
        "FATHOM_BASE_URL": url,
        "FATHOM_BUDGET": redis_url,
        "FATHOM_STORE": redis_url,
    }


def connect(account: str) -> FathomClient:
    """A worker's client, whose time passes as fast as the server's; an account's name is its limit and its server."""
    limit, _, url = account.partition(" ")
    return FathomClient(
        os.environ["FATHOM_API_TOKEN"] + url.replace("/", ""),
        base_url=url or os.environ["FATHOM_BASE_URL"],
        plan=RatePlan(reports=RateLimit(int(limit), per=SERVER.per)) if limit else None,
        budget=os.environ["FATHOM_BUDGET"],
        timeout=10.0,  # in real seconds, of a machine that may be busy
        clock=LoopClock(SPEED),
    )


def short_lived_claims() -> RedisStore:
    """The workers' store, whose claims do not outlive a killed worker for long."""
    return RedisStore(os.environ["FATHOM_STORE"], lease=LEASE)


def queries() -> list[PageviewQuery]:
    """Three queries for each batch, none of them beside another of its batch; the last site is unknown."""
    asked = [
        PageviewQuery(
            "CDBUGS",
            aggregates=[name],
            field_grouping=["browser"],
            sort_by="browser:asc",
            date_from="2026-08-01",
            date_to="2026-08-31",
            filters=[where.pathname.matching(f"^/.{{{number % 7},{number}}}$")],
        )
        for name in ("pageviews", "visits", "uniques")
        for number in range(BATCHES - 1)
    ]
    return [*asked, PageviewQuery("NOBODYS", aggregates=["visits"], date_to="2026-08-01")]


@contextmanager
def uneven_accounts() -> Generator[tuple[Sequence[Batch[Any]], Sequence[FathomProcess]]]:
    """Batches of two accounts that may send one request a window, and of three others; and their servers."""
    slow = attrs.evolve(SERVER, requests=1)
    with ExitStack() as servers:
        started = [
            servers.enter_context(fathom_process(each)) for each in (slow, slow, SERVER, SERVER, SERVER)
        ]
        asked = [queries()[: 5 if number < 2 else 20] for number in range(len(started))]
        names = [f"{1 if number < 2 else 10} {server.url}" for number, server in enumerate(started)]
        parts = [batches(each, account=name) for each, name in zip(asked, names, strict=True)]
        yield interleaved(parts), started


def check_uneven(outcomes: Iterable[Sequence[Outcome[Any]]], servers: Sequence[FathomProcess]) -> None:
    """Check that everything was answered, and that fast accounts ended long before slow ones."""
    assert [each.error for part in outcomes for each in part if each.error is not None] == []
    slow, fast = [each.seen() for each in servers[:2]], [each.seen() for each in servers[2:]]
    assert [(seen.refused, seen.requests) for seen in (*slow, *fast)] == [(0, 5)] * 2 + [(0, 20)] * 3
    for seen in fast:
        print(f"makespan {seen.makespan / seen.optimum:.3f} of the optimum: {seen.windows}")  # noqa: T201
        assert seen.makespan < 0.8 * min(each.makespan for each in slow)


def break_down(outage: str, redis_server: RedisServer, server: FathomProcess) -> None:
    """Make Redis fail for some seconds in the second window."""
    server.wait_for(SERVER.requests + 2)
    if outage == "down":
        redis_server.kill()
        time.sleep(5.0)
        redis_server.start()
        return
    with cast("Any", Redis).from_url(redis_server.url) as redis:
        if outage == "flushed":
            redis.flushall()
            return
        redis.config_set("maxmemory", "1")
        time.sleep(5.0)
        redis.config_set("maxmemory", "0")


@contextmanager
def broken_down(outage: str, redis_server: RedisServer, server: FathomProcess) -> Generator[None]:
    """Break Redis down meanwhile; see `break_down`."""
    breaker = Thread(target=break_down, args=(outage, redis_server, server))
    breaker.start()
    yield
    breaker.join()


async def _on_one_machine(asked: Sequence[PageviewQuery]) -> list[Outcome[Any]]:
    async with (
        FathomServer(data=SERVER.data(), reports_throttle=None, now=NOW) as server,
        FathomClient("any", base_url=server.url, plan=_FREE) as fathom,
    ):
        outcomes = [outcome async for outcome in fathom.reports.run(asked, fuse=False)]
    return sorted(outcomes, key=lambda outcome: outcome.position)


def check(outcomes: Sequence[Outcome[Any]], seen: Seen, *, under_way: int = 0) -> None:
    """Check that a fleet did the same as one machine, and used the limit as well.

    Args:
        outcomes: What came of `queries`.
        seen: What the server saw.
        under_way: How many tasks a killed worker had under way.
    """
    assert meaning(outcomes) == expected()
    assert isinstance(outcomes[-1].error, NotFoundError)
    assert seen.refused == 0
    assert BATCHES <= seen.requests <= BATCHES + under_way
    ratio = seen.makespan / seen.optimum
    print(f"{seen.requests} requests, makespan {ratio:.3f} of the optimum: {seen.windows}")  # noqa: T201
    assert max(seen.windows) == SERVER.requests
    assert len(seen.windows) <= 2 * math.ceil(BATCHES / SERVER.requests), seen


def meaning(outcomes: Sequence[Outcome[Row]]) -> list[object]:
    """What outcomes say, wherever they come from."""
    return [
        (each.query, each.report.to_dicts() if each.report is not None else type(each.error))
        for each in outcomes
    ]


def expected() -> list[object]:
    """The outcomes of one machine that sends each query by itself, without limits."""
    return meaning(asyncio.run(_on_one_machine(queries())))
