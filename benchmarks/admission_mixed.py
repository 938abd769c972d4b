"""One budget and many kinds of work: pages beside a bulk job, runs beside runs, outages, silence, many processes.

``python -m benchmarks.admission_mixed CLIENT`` plays the scenes on its standard input.
"""

import asyncio
import json
import logging
import math
import random
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from random import Random
from statistics import mean

import cattrs
from attrs import asdict, field, frozen, mutable

from benchmarks import admission_clock
from benchmarks.admission_contenders import OURS, Wire, peers
from benchmarks.admission_worker import in_a_process
from benchmarks.admission_world import OK, REFUSED, Attempt
from fathom_async._core.request import Options, Request, Response
from fathom_async._core.retry import RetryPolicy
from fathom_async._core.session import Session
from fathom_async._ratelimit.budget import Budget
from fathom_async._ratelimit.lane import Lane
from fathom_async._ratelimit.plan import Priority, RateLimit
from fathom_async._util.clock import LoopClock
from fathom_async.errors import FathomError, RateLimitError
from fathom_async.testing import (
    AlignedWindow,
    ConcurrencyCap,
    LaravelWindow,
    SlidingLog,
    Throttle,
    TokenBucket,
)

KINDS: Mapping[str, Callable[..., Throttle]] = {
    "Laravel": LaravelWindow,
    "clock-aligned": AlignedWindow,
    "sliding log": SlidingLog,
    "token bucket": TokenBucket,
}
AWAY = 503
JITTER = 0.05

_PATIENCE = 8
_UNIX = 1_700_000_000.0
_PAGES_IN = 3600.0
"""Seconds of page traffic before the job starts."""


@frozen
class Want:
    """The demands of a request, which limiters without such options ignore.

    Attributes:
        priority: Its priority.
        flow: Its flow.
        max_wait: Longest wait in seconds.
    """

    priority: Priority = Priority.BULK
    flow: str = ""
    max_wait: float | None = None


Client = Callable[[Attempt, Want], Awaitable[Response]]


@frozen
class Scene:
    """The conditions of one run; the seed determines everything random.

    Attributes:
        throttle: Which of `KINDS`.
        seed: Seed of the delays, the arrivals and the phase of the server's clock.
        bulk: Requests of the job, made at once.
        short: Requests of a run that starts a minute after the job, in the same client.
        limit: Requests that the server admits in `per` seconds.
        per: Seconds of the server's window.
        plan: The limit that the clients assume.
        processes: Number of processes that do the job on one budget, beside one for pages; 0 for one client for all.
        pages: Mean seconds between pages; 0 for none.
        max_wait: Longest wait of a page in seconds.
        away: Seconds for which the server answers 503, from the start.
        silent: Whether the server sends no ``X-RateLimit`` headers.
        cap: Requests in flight that the server allows.
        handler: Range of seconds that the server takes for a request.
        best: Seconds that a perfect client takes, if the throttle cannot compute them.
    """

    throttle: str
    seed: int
    bulk: int = 300
    short: int = 0
    limit: int = 10
    per: float = 60.0
    plan: int = 10
    processes: int = 0
    pages: float = 0.0
    max_wait: float | None = None
    away: float = 0.0
    silent: bool = False
    cap: int | None = None
    handler: tuple[float, float] = (0.1, 0.5)
    best: float | None = None

    @property
    def plan_limit(self) -> RateLimit:
        """The limit that the clients assume."""
        return RateLimit(self.plan, per=self.per)


@mutable
class Outcome:
    """The outcome of one run; times are in seconds.

    Attributes:
        refused: Answers 429.
        hits: Requests during the outage.
        lost: Requests of the job that never succeeded.
        makespan: Until the job's last answer.
        optimum: Until the last answer of a perfect client that serves as many pages meanwhile.
        waits: For each page, from its arrival to sending the request that the server admitted.
        unserved: Pages that were not served.
        short: From the start of the short run to its last answer.
    """

    refused: int = 0
    hits: int = 0
    lost: int = 0
    makespan: float = 0.0
    optimum: float = 0.0
    waits: list[float] = field(factory=list[float])
    unserved: int = 0
    short: float = 0.0


class Service:
    """The server and its network, and their counts."""

    def __init__(self, scene: Scene) -> None:
        chance = Random(f"{scene.throttle}:{scene.seed}")
        self.scene = scene
        self.unix = _UNIX + chance.uniform(0.0, 3600.0)
        self.arrivals = Random(chance.random())
        self.outcome = Outcome()
        self.is_away = scene.away > 0
        self._network = Random(chance.random())
        self._throttle = KINDS[scene.throttle](scene.limit, per=scene.per)
        self._cap = ConcurrencyCap(scene.cap if scene.cap is not None else sys.maxsize)

    async def serve(self) -> Response:
        """Answer one attempt."""
        await self._travel()
        answer = await self._answer()
        await self._travel()
        return answer

    async def _answer(self) -> Response:
        if self.is_away:
            self.outcome.hits += 1
            return Response(AWAY, {}, b"")
        if not self._cap.enter():
            return self._refuse(1)
        try:
            verdict = self._throttle.hit(self._now())
            if not verdict.allowed:
                return self._refuse(verdict.retry_after)
            await asyncio.sleep(self._network.uniform(*self.scene.handler))
            return Response(OK, self._headers(), b"{}")
        finally:
            self._cap.leave()

    def _refuse(self, retry_after: float) -> Response:
        self.outcome.refused += 1
        return Response(REFUSED, {**self._headers(), "Retry-After": str(retry_after)}, b"")

    def _headers(self) -> dict[str, str]:
        if self.scene.silent:
            return {}
        remaining = self._throttle.remaining(self._now())
        return {"X-RateLimit-Limit": str(self.scene.limit), "X-RateLimit-Remaining": str(remaining)}

    async def _travel(self) -> None:
        await asyncio.sleep(self._network.uniform(0.0, JITTER))

    def _now(self) -> float:
        return self.unix + asyncio.get_running_loop().time()


@mutable
class Run:
    """One run of a scene: the requests of the job, and the pages before and beside it."""

    scene: Scene
    service: Service
    job: Sequence[Client]
    visited: Client
    start: float = math.inf
    pages: list["asyncio.Task[None]"] = field(factory=list["asyncio.Task[None]"])

    async def play(self) -> Outcome:
        """Run the clients to the end of their work."""
        scene, loop, outcome = self.scene, asyncio.get_running_loop(), self.service.outcome
        visiting = asyncio.create_task(self._visits())
        if scene.pages:
            await asyncio.sleep(_PAGES_IN)
        self.start = loop.time()
        back = loop.call_later(scene.away, setattr, self.service, "is_away", False)
        work = [
            asyncio.create_task(self._want(self.job[number % len(self.job)], "long"))
            for number in range(scene.bulk)
        ]
        work.append(asyncio.create_task(self._run_a_short_one()))
        _, late = await asyncio.wait(work, timeout=_PATIENCE * max(self._best(scene.bulk), scene.per))
        outcome.makespan = loop.time() - self.start
        outcome.optimum = self._best(scene.bulk + scene.short + len(outcome.waits))
        outcome.lost += len(late)
        back.cancel()
        visiting.cancel()
        _, unseen = await asyncio.wait([visiting, *self.pages], timeout=_PATIENCE * scene.per)
        outcome.unserved += len(unseen)
        for task in late | unseen:
            task.cancel()
        return outcome

    def _best(self, requests: int) -> float:
        if self.scene.best is not None:
            return self.scene.best
        throttle = KINDS[self.scene.throttle](self.scene.limit, per=self.scene.per)
        return throttle.optimum(requests, self.service.unix + self.start) + mean(self.scene.handler)

    async def _want(self, client: Client, flow: str) -> None:
        answer = await client(self._attempt, Want(flow=flow))
        self.service.outcome.lost += answer.status != OK

    async def _attempt(self, sent: Callable[[], None]) -> Response:
        sent()
        return await self.service.serve()

    async def _run_a_short_one(self) -> None:
        if self.scene.short:
            await asyncio.sleep(60.0)
            await asyncio.gather(*(self._want(self.visited, "short") for _ in range(self.scene.short)))
            self.service.outcome.short = asyncio.get_running_loop().time() - self.start - 60.0

    async def _visits(self) -> None:
        while self.scene.pages:
            await asyncio.sleep(self.service.arrivals.expovariate(1 / self.scene.pages))
            self.pages.append(asyncio.create_task(self._page()))

    async def _page(self) -> None:
        loop, scene = asyncio.get_running_loop(), self.scene
        wanted = sent_at = loop.time()

        async def attempt(sent: Callable[[], None]) -> Response:
            nonlocal sent_at
            sent_at = loop.time()
            return await self._attempt(sent)

        # Interrupt a client without `max_wait` once even an answer in time would have arrived.
        longest = None if scene.max_wait is None else scene.max_wait + scene.handler[1] + 2 * JITTER
        is_served = False
        with suppress(TimeoutError):
            async with asyncio.timeout(longest):
                answer = await self.visited(attempt, Want(Priority.INTERACTIVE, max_wait=scene.max_wait))
                is_served = answer.status == OK
        if wanted >= self.start and is_served:
            self.service.outcome.waits.append(sent_at - wanted)
        elif wanted >= self.start:
            self.service.outcome.unserved += 1


def _ours(scene: Scene, stack: AsyncExitStack) -> list[Client]:
    directory = stack.enter_context(tempfile.TemporaryDirectory())
    budget = Budget(f"file://{directory}/budget", "account") if scene.processes else None
    return [_one_of_ours(scene, budget, stack) for _ in range(scene.processes + 1)]


def _one_of_ours(scene: Scene, budget: Budget | None, stack: AsyncExitStack) -> Client:
    clock, wire = LoopClock(), Wire()
    share = None if budget is None else budget.window("reports", scene.plan_limit, clock=clock, timeout=30.0)
    lane = Lane("reports", scene.plan_limit, clock=clock, share=share)
    stack.push_async_callback(lane.aclose)
    session = Session(wire, {"reports": lane}, clock=clock, retry=RetryPolicy())

    async def get(attempt: Attempt, want: Want) -> Response:
        number = str(len(wire.attempts))
        wire.attempts[number] = attempt
        request = Request("GET", "/aggregations", bytes, params={"number": number}, lane="reports")
        options = Options(priority=want.priority, max_wait=want.max_wait, flow=want.flow)
        try:
            return Response(OK, {}, await session.send(request, options))
        except RateLimitError:
            return Response(REFUSED, {}, b"")
        except FathomError:
            return Response(AWAY, {}, b"")

    return get


def _clients(name: str, scene: Scene, stack: AsyncExitStack) -> list[Client]:
    if name == OURS:
        return _ours(scene, stack)
    _, make = peers(scene.plan, scene.per)[name]

    def one() -> Client:
        get = make()

        async def client(attempt: Attempt, want: Want) -> Response:
            del want
            return await get(attempt)

        return client

    return [one() for _ in range(scene.processes + 1)]


async def perform(name: str, scene: Scene) -> Outcome:
    """Play a scene with one client, on the running loop."""
    random.seed(scene.seed)  # for the back-offs of ours and of tenacity
    async with AsyncExitStack() as stack:
        clients = _clients(name, scene, stack)
        return await Run(scene, Service(scene), clients[: scene.processes or 1], clients[-1]).play()


async def perform_in_a_process(name: str, scenes: Sequence[Scene]) -> list[Outcome] | None:
    """Play scenes in a fresh process; None if that takes too long."""
    orders = [asdict(scene) for scene in scenes]
    outcomes = await in_a_process("benchmarks.admission_mixed", name, orders=orders)
    return None if outcomes is None else [Outcome(**outcome) for outcome in outcomes]


def main() -> None:
    logging.disable(logging.CRITICAL)  # the tables show the refusals that the lane logs
    admission_clock.install()
    scenes = cattrs.structure(json.load(sys.stdin), list[Scene])
    outcomes = [admission_clock.run(perform(sys.argv[1], scene)) for scene in scenes]
    json.dump([asdict(outcome) for outcome in outcomes], sys.stdout)


if __name__ == "__main__":
    main()
