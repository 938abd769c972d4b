"""One budget and many kinds of work: pages beside a bulk job, runs beside runs, outages, silence, many processes.

``python -m benchmarks.admission_mixed`` plays these scenes alone; ``python -m benchmarks admission`` plays them last.
"""

import argparse
import asyncio
import json
import logging
import math
import os
import random
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from random import Random
from statistics import mean, median

import cattrs
from attrs import asdict, evolve, field, frozen, mutable

from benchmarks import admission_clock
from benchmarks.admission_contenders import OURS, Wire, peers
from benchmarks.admission_worker import in_a_process
from benchmarks.admission_world import OK, REFUSED, Attempt
from benchmarks.machine import installed
from benchmarks.report import table
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


@frozen
class Chapter:
    """Scenes of one kind, and the columns of their table.

    Attributes:
        title: Title of the table.
        columns: Heads of the columns.
        cells: Returns the cells for the outcomes of one scene.
        scenes: The scenes by name.
        peers: Runs of each other client; some make a hundred thousand attempts in one.
    """

    title: str
    columns: Sequence[str]
    cells: Callable[[Sequence[Outcome]], Sequence[str]]
    scenes: Mapping[str, Scene]
    peers: int = 5


def _middle(values: Iterable[float], digits: int = 0) -> str:
    return f"{median(values):,.{digits}f}"


def _paged(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    waits = sorted(wait for outcome in outcomes for wait in outcome.waits)
    wanted = len(waits) + sum(outcome.unserved for outcome in outcomes)
    return (
        f"{mean(waits):.1f}" if waits else "-",
        f"{waits[min(len(waits) - 1, int(0.99 * len(waits)))]:.0f}" if waits else "-",
        f"{len(waits) / wanted:.0%}" if wanted else "-",
        _middle(outcome.refused for outcome in outcomes),
        f"{mean(outcome.makespan / outcome.optimum for outcome in outcomes):.2f}",
    )


_PAGED = ("mean wait", "p99", "served", "refused", "makespan")


def _short(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    return (_middle(each.short for each in outcomes), _middle(each.refused for each in outcomes))


def _away(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    return (
        _middle(each.hits for each in outcomes),
        _middle(each.lost for each in outcomes),
        _middle(each.refused for each in outcomes),
        _middle(each.makespan for each in outcomes),
    )


def _silent(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    return (
        _middle(each.refused for each in outcomes),
        _middle(each.lost for each in outcomes),
        _middle((each.makespan / each.optimum for each in outcomes), 2),
    )


_HEADS = """
mean wait   seconds from the arrival of a page until its admitted request is sent, over all runs; p99: 99th percentile
served      share of the pages that arrive while the job runs
hits        requests during the outage
seconds     from the start to the last answer
makespan    time of the job over that of a perfect client that serves the same number of pages; a mean beside pages
All other figures are medians."""

_PAGE = Scene("Laravel", 0, pages=60.0)
_OUTAGE = Scene("Laravel", 0, bulk=1500, limit=2000, plan=2000, per=3600.0, handler=(0.02, 0.05))
_CROWD = Scene(
    "Laravel",
    0,
    bulk=200,
    limit=2000,
    plan=2000,
    per=3600.0,
    handler=(1.0, 3.0),
    cap=5,
    silent=True,
    best=80.0,
)

CHAPTERS: Sequence[Chapter] = (
    Chapter(
        "one page a minute beside 300 BULK reports, 10 a minute allowed",
        _PAGED,
        _paged,
        {kind: evolve(_PAGE, throttle=kind) for kind in KINDS},
    ),
    Chapter(
        "the same pages, none of which waits for more than 5 s",
        _PAGED,
        _paged,
        {kind: evolve(_PAGE, throttle=kind, max_wait=5.0) for kind in KINDS},
    ),
    Chapter(
        "the job in several processes, the pages in another; ours on one file budget, peers with a limiter each",
        _PAGED,
        _paged,
        {f"{count} on Laravel": evolve(_PAGE, processes=count) for count in (1, 4, 20)},
    ),
    Chapter(
        "a run of 10 that starts a minute after a run of 1,000",
        ("seconds of the short run", "refused"),
        _short,
        {kind: Scene(kind, 0, bulk=1000, short=10) for kind in ("Laravel", "sliding log")},
        peers=1,
    ),
    Chapter(
        "1,500 requests at 2,000 an hour; 503 from the start",
        ("hits during the outage", "lost", "refused", "seconds"),
        _away,
        {f"{seconds:.0f} s": evolve(_OUTAGE, away=seconds) for seconds in (5.0, 30.0)},
        peers=1,
    ),
    Chapter(
        "no headers but Retry-After",
        ("refused", "lost", "makespan"),
        _silent,
        {
            "5 in flight": _CROWD,
            "5 a minute, plan says 10": Scene("Laravel", 0, bulk=60, limit=5, silent=True, best=660.0),
        },
    ),
)
"""The chapters, in order."""


async def perform_in_a_process(name: str, scenes: Sequence[Scene]) -> list[Outcome] | None:
    """Play scenes in a fresh process; None if that takes too long."""
    orders = [asdict(scene) for scene in scenes]
    outcomes = await in_a_process("benchmarks.admission_mixed", "--worker", name, orders=orders)
    return None if outcomes is None else [Outcome(**outcome) for outcome in outcomes]


Played = Mapping[str, Mapping[str, Sequence[Outcome]]]
"""Outcomes by client and scene."""


async def show(seeds: int, names: Sequence[str] = ()) -> Mapping[str, Played]:
    """Play all chapters, each client in its own processes; print their tables and return them by title."""
    print(_HEADS)
    taking_part = names or [
        OURS,
        *(name for name, (package, _) in peers(1, 1.0).items() if installed(package)),
    ]
    at_once = asyncio.Semaphore(os.cpu_count() or 1)

    async def one(name: str, scene: Scene, peers: int) -> list[Outcome] | None:
        async with at_once:
            runs = seeds if name == OURS else min(seeds, peers)
            return await perform_in_a_process(name, [evolve(scene, seed=seed) for seed in range(runs)])

    chapters: dict[str, Played] = {}
    for chapter in CHAPTERS:
        parts = [(name, what) for name in taking_part for what in chapter.scenes]
        results = await asyncio.gather(
            *(one(name, chapter.scenes[what], chapter.peers) for name, what in parts)
        )
        rows: list[tuple[str, ...]] = [("", "", *chapter.columns)]
        played: dict[str, dict[str, Sequence[Outcome]]] = {}
        for (name, what), outcomes in zip(parts, results, strict=True):
            played.setdefault(name, {})[what] = outcomes or []
            rows.append(
                (name, what, *(chapter.cells(outcomes) if outcomes else ["-"] * len(chapter.columns)))
            )
        chapters[chapter.title] = played
        print(f"\n{chapter.title}\n{table(rows)}", flush=True)
    return chapters


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.admission_mixed", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="runs of each scene")
    parser.add_argument("--only", action="append", default=[], metavar="CLIENT", help="repeatable")
    parser.add_argument("--worker", metavar="CLIENT", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker is None:
        asyncio.run(show(arguments.rounds, arguments.only))
        return
    logging.disable(logging.CRITICAL)  # the tables show the refusals that the lane logs
    admission_clock.install()
    scenes = cattrs.structure(json.load(sys.stdin), list[Scene])
    outcomes = [admission_clock.run(perform(arguments.worker, scene)) for scene in scenes]
    json.dump([asdict(outcome) for outcome in outcomes], sys.stdout)


if __name__ == "__main__":
    main()
