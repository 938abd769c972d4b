"""Ten thousand requests with every kind of trouble, on a virtual clock: nothing is lost, nothing is left."""

import asyncio
import builtins
import gc
import logging
import random
import sys
from collections import Counter
from collections.abc import Callable

import pytest
from attrs import define, field

from fathom_async import (
    ConnectError,
    FathomClient,
    FathomError,
    Priority,
    RateLimit,
    RatePlan,
    TimeoutError,  # noqa: A004 - ours is one
)
from fathom_async._core.request import Request, Response
from fathom_async.testing import LaravelWindow, Throttle
from tests.support.soak import tries

SITE = (
    b'{"id":"CDBUGS","object":"site","name":"Bugs","sharing":"none","created_at":"2020-07-27 12:01:01",'
    b'"timezone":"America/New_York"}'
)

PATIENCE = 600.0
"""Virtual seconds after which no task waits any more."""


@define
class TroubledTransport:
    """Stands for a server and a network at their worst; counts what the server's limiter saw."""

    throttle: Throttle
    chance: random.Random
    refused: int = 0
    counted: int = 0
    seen: Counter[str] = field(factory=Counter[str])

    def url(self, request: Request[object]) -> str:
        return "https://api.usefathom.com/v1" + request.target

    async def close(self) -> None:
        pass

    async def send(self, request: Request[object], within: float, sent: Callable[[], None]) -> Response:
        loop, chance = asyncio.get_running_loop(), self.chance
        await asyncio.sleep(chance.uniform(0, 0.2))
        if chance.random() < 0.02:
            raise ConnectError("no connection", sent=False)
        sent()
        await asyncio.sleep(chance.uniform(0, 0.5))
        if chance.random() < 0.02:
            raise ConnectError("the connection broke")
        verdict = self.throttle.hit(loop.time())
        if not verdict.allowed:
            self.refused += 1
            headers = {"Retry-After": str(verdict.retry_after), "X-RateLimit-Remaining": "0"}
            return Response(429, {"X-RateLimit-Limit": str(verdict.limit), **headers}, b"{}")
        self.counted += 1
        self.seen[request.method] += 1
        if chance.random() < 0.02:
            await asyncio.sleep(within)
            raise TimeoutError("no answer")
        await asyncio.sleep(chance.expovariate(2))
        remaining = self.throttle.remaining(loop.time())
        headers = {"X-RateLimit-Limit": str(verdict.limit), "X-RateLimit-Remaining": str(remaining)}
        status = chance.choice([500, 503, 404, 422]) if chance.random() < 0.04 else 200
        return Response(status, headers if chance.random() < 0.9 else {}, SITE if status == 200 else b"{}")


async def soak(requests: int, transport: TroubledTransport, plan: RatePlan) -> tuple[Counter[str], list[int]]:
    chance = random.Random(3)
    outcomes: Counter[str] = Counter()
    memory: list[int] = []
    async with FathomClient("any", plan=plan, transport=transport) as fathom:

        async def one() -> None:
            view = fathom.with_options(
                priority=chance.choice(list(Priority)), max_wait=chance.choice([None, None, 300.0])
            )
            call = view.sites.get("CDBUGS") if chance.random() < 0.9 else view.sites.create(name="Acme")
            try:
                async with asyncio.timeout(chance.choice([None, None, None, chance.uniform(0, 400)])):
                    await call
            except (FathomError, TimeoutError) as error:
                outcomes[type(error).__name__] += 1
            except builtins.TimeoutError:
                outcomes["given up"] += 1
            else:
                outcomes["answered"] += 1

        for _ in range(20):
            async with asyncio.TaskGroup() as group:
                for _ in range(requests // 20):
                    group.create_task(one())
            await asyncio.sleep(PATIENCE)  # what was called off leaves the event loop when its time has come
            gc.collect()
            memory.append(sys.getallocatedblocks())
        status = fathom.limits["crud"]
        assert (status.in_flight, status.queued) == (0, 0)
        await asyncio.sleep(2 * plan.crud.per)
        assert fathom.limits["crud"].used == 0
        assert fathom.stats.sent["crud"] >= transport.counted + transport.refused
    assert asyncio.all_tasks() == {asyncio.current_task()}
    return outcomes, memory


REQUESTS = tries(5_000, soak=10_000)


@pytest.mark.slow
@pytest.mark.virtual_time
async def test_a_long_run_with_every_kind_of_trouble_leaves_nothing_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR, "fathom_async")  # pytest keeps every record, which is not ours to count
    transport = TroubledTransport(LaravelWindow(100, per=60), random.Random(1))
    outcomes, memory = await soak(REQUESTS, transport, RatePlan(crud=RateLimit(100, per=60)))
    assert sum(outcomes.values()) == REQUESTS
    assert outcomes["answered"] > REQUESTS / 2
    assert transport.refused == 0
    assert transport.seen["POST"] > 0
    # Flat: a single object left by every request would be 4,750.
    assert max(memory) - min(memory) < 2_000
