"""Simulate a fleet on a virtual clock: thousands of accounts, workers of a job engine, and their Redis servers.

The lanes, each process's side of the shared window, the rule of the budget (`SharedState`, the model of the Redis
script) and the server's limiters are the real code. The network, the duration of a request and Redis are models.
Redis runs one command at a time, each for the measured duration, so that commands queue under overload.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from random import Random
from typing import TYPE_CHECKING, cast

from attrs import define, field, frozen

from fathom_async._cache.store import LEASE
from fathom_async._ratelimit.admission import Feedback
from fathom_async._ratelimit.budget import COUNT_DELAY
from fathom_async._ratelimit.lane import Lane
from fathom_async._ratelimit.plan import Priority, RateLimit
from fathom_async._ratelimit.shared.commands import Command, QuotaConfig, Sharing
from fathom_async._ratelimit.shared.protocol import Done, Health, Listener
from fathom_async._ratelimit.shared.state import SharedState, size_of
from fathom_async._ratelimit.shared.window import SharedWindow
from fathom_async._util.clock import LoopClock
from fathom_async._util.tasks import first_of
from fathom_async.errors import BudgetError, StoreError, WaitTooLongError
from fathom_async.integrations._dispatch import HOLD, Dispatch
from fathom_async.integrations.batches import Batch
from fathom_async.testing import LaravelWindow

if TYPE_CHECKING:
    from fathom_async._core.codec.rows import Row

LIMIT = RateLimit(10, per=60)
SLOW = RateLimit(1, per=60)
SPAN = LIMIT.per + LIMIT.pad
TIMEOUT = 30.0

HALF_WAY = 0.0005
"""Seconds of the network between a worker and Redis, one way."""

TO_FATHOM = (0.02, 0.05)
HANDLER = (0.05, 0.3)
"""Seconds of the network, one way, and range of seconds of the handler."""

RETRY = 1.0
"""Seconds after which a client tries again to reach Redis."""

LOOK_UP_STEPS = 3
"""Steps of the budget of the other lane for the request that brings an account's time zones."""

TICK, FOREVER = 0.001, 1e9

HAND_OUT = 0.005
"""Seconds that the engine takes to give a worker its next task."""

MISSED_AFTER = 10.0
"""Seconds after which the engine reassigns the tasks of a killed worker."""

Task = tuple[int, Sequence[int]]
"""An account, and the numbers of its requests."""


@frozen
class Plan:
    """The parameters of a simulation.

    Attributes:
        accounts: Number of accounts.
        workers: Number of worker processes.
        tasks_at_once: Number of tasks that a worker runs at once.
        requests: Requests of each account.
        at_once: Most unfinished tasks of an account; 0 gives the engine all tasks at once.
        slow: Every how manieth account may send one request a minute only; 0 for none.
        shards: Number of Redis servers, each with the budgets and answers of some accounts.
        killed: Number of workers to kill.
        killed_at: Second at which to kill them.
        step: CPU seconds of Redis per step of the budget.
        store: CPU seconds of Redis per request for the commands of the store.
        zones: Whether the time zones of the accounts' sites are unknown at first.
        away_at: Second at which the first Redis server goes away, with its memory kept.
        away_for: Seconds until it is back; 0 for no outage.
    """

    accounts: int
    workers: int
    tasks_at_once: int
    requests: int
    at_once: int
    slow: int
    shards: int
    killed: int
    killed_at: float
    step: float
    store: float
    zones: bool = False
    away_at: float = 0.0
    away_for: float = 0.0

    def tasks(self) -> Sequence[Task]:
        """Return all tasks, each of one request; accounts take turns."""
        parts = [range(number, number + 1) for number in range(self.requests)]
        return [(account, part) for part in parts for account in range(self.accounts)]

    def is_slow(self, account: int) -> bool:
        return bool(self.slow) and account % self.slow == 0


@frozen
class Result:
    """The results of a simulation.

    Attributes:
        requests: Requests that reached the servers.
        refused: Requests that the servers refused.
        again: Requests that workers repeated.
        lost: Requests that never got an answer.
        makespan: Seconds from the first request to the last, of accounts that are not slow.
        optimum: Seconds that one machine per account would take at best, for those.
        steps: Steps of the budget.
        steps_a_second: Steps per second of all Redis servers together: mean, and busiest second.
        busy: Utilization of the busiest Redis server.
        queued: Longest wait of a command in the queue of a Redis server, in seconds.
        clients: Largest number of open clients in all workers together.
        looked_up: Time zones that were requested.
        put_back: Tasks that were sent again because Redis was away.
    """

    requests: int
    refused: int
    again: int
    lost: int
    makespan: float
    optimum: float
    steps: int
    steps_a_second: tuple[float, float]
    busy: float
    queued: float
    clients: int
    looked_up: int
    put_back: int


@define
class Redis:
    """A server that runs one command at a time."""

    busy_until: float = 0.0
    worked: float = 0.0
    longest: float = 0.0
    steps: int = 0
    by_second: Counter[int] = field(factory=Counter[int])
    away: tuple[float, float] = (0.0, 0.0)

    @property
    def is_away(self) -> bool:
        return self.away[0] <= asyncio.get_running_loop().time() < self.away[1]

    def work(self, seconds: float) -> float:
        """Enqueue work now; return the time at which it is done."""
        now = asyncio.get_running_loop().time()
        self.longest = max(self.longest, self.busy_until - now)
        self.busy_until = max(self.busy_until, now) + seconds
        self.worked += seconds
        return self.busy_until

    async def commands(self, seconds: float) -> None:
        """Run commands of the store, and wait for the reply."""
        loop = asyncio.get_running_loop()
        await asyncio.sleep(HALF_WAY)
        if self.is_away:
            raise StoreError("away")
        await asyncio.sleep(self.work(seconds) - loop.time() + HALF_WAY)


@define(eq=False)
class Account:
    """One account: its limit, its budget in Redis, its limiter at the server, and its stored answers."""

    limit: RateLimit
    redis: Redis
    pool: SharedState
    throttle: LaravelWindow
    shift: float
    hits: list[float] = field(factory=list[float])
    seen: Counter[int] = field(factory=Counter[int])
    refused: int = 0
    kept: set[int] = field(factory=set[int])
    claims: dict[int, "Worker"] = field(factory=dict[int, "Worker"])
    has_zone: bool = True
    looked_up: int = 0

    def hit(self, number: int) -> tuple[bool, int]:
        """Count or refuse a request."""
        now = asyncio.get_running_loop().time()
        verdict = self.throttle.hit(now + self.shift)
        self.seen[number] += 1
        if verdict.allowed:
            self.hits.append(now)
        else:
            self.refused += 1
        return verdict.allowed, verdict.remaining


@define
class Link:
    """The connection of one process to a budget: a `Store` of `fathom_async._ratelimit.shared.protocol`."""

    account: Account
    worker: "Worker"
    seconds: float
    reply_time: float = 1.0
    health: Health = field(factory=Health)
    unsent: list[tuple[Command, Done | None]] = field(factory=list[tuple[Command, "Done | None"]])

    def listen(self, listener: Listener) -> None:
        """Name the window, which fails its requests in an outage."""
        self.health.listen(listener)

    def submit(self, step: Command, done: Done | None = None) -> None:
        """Send a step, unless the process is dead."""
        if self.worker.is_alive:
            asyncio.get_running_loop().call_later(HALF_WAY, self._carry_out, step, done)

    def peek(self, step: Command) -> None:
        """Return None, as Redis does."""

    def rekey(self, key: str) -> None:
        """Do nothing: its budget is that of an account already."""

    def _carry_out(self, step: Command, done: Done | None) -> None:
        loop, redis = asyncio.get_running_loop(), self.account.redis
        if self.unsent or redis.is_away:
            self.unsent.append((step, done))
            if len(self.unsent) == 1:
                self._try_again()
            return
        redis.steps += 1
        redis.by_second[int(loop.time())] += 1
        ready = redis.work(self.seconds)
        reply = self.account.pool.step(step, loop.time() + 1.0)
        if done is not None:
            loop.call_at(ready + HALF_WAY, self._tell, done, reply)

    def _try_again(self) -> None:
        loop = asyncio.get_running_loop()
        if not self.account.redis.is_away:
            unsent, self.unsent = self.unsent, []
            self.health.worked()
            for step, done in unsent:
                self._carry_out(step, done)
            return
        if self.health.failed(BudgetError("away"), loop.time()):
            dropped = [done for step, done in self.unsent if step.action in {"ask", "look"} and done]
            self.unsent = [each for each in self.unsent if each[0].action not in {"ask", "look"}]
            for done in dropped:
                done(None)
        loop.call_later(RETRY, self._try_again)

    def _tell(self, done: Done, reply: object) -> None:
        if self.worker.is_alive:
            done(reply)  # type: ignore[arg-type]

    async def aclose(self) -> None:
        """Do nothing."""


@define(eq=False)
class Worker:
    """A process, its open clients and its running tasks."""

    is_alive: bool = True
    lanes: dict[int, tuple[Lane, int]] = field(factory=dict[int, tuple[Lane, int]])
    under_way: dict[int, int] = field(factory=dict[int, int])
    runners: list["asyncio.Task[None]"] = field(factory=list["asyncio.Task[None]"])


class World:
    """The state of one simulation."""

    def __init__(self, plan: Plan, seed: int = 1) -> None:
        self._plan = plan
        self._random = Random(seed)
        self._tasks = plan.tasks()
        self._dispatch: Dispatch[Row] = Dispatch(
            [Batch((), (), str(account)) for account, _ in self._tasks],
            at_once=plan.at_once or len(self._tasks),
        )
        self._queue: asyncio.Queue[int] = asyncio.Queue()
        self._open = 0
        self._most_open = 0
        self._changed = asyncio.Event()
        self._redis = [Redis() for _ in range(plan.shards)]
        size = size_of(LIMIT.requests)
        memory = memoryview(bytearray(8 * size * plan.accounts)).cast("d")
        self._accounts: list[Account] = []
        for number in range(plan.accounts):
            limit = SLOW if plan.is_slow(number) else LIMIT
            terms = QuotaConfig(limit.requests, limit.per, SPAN, settle=COUNT_DELAY, ticket_ttl=1.0)
            self._accounts.append(
                Account(
                    limit,
                    self._redis[number % plan.shards],
                    SharedState(memory[number * size : number * size + size_of(limit.requests)], terms),
                    LaravelWindow(limit.requests, per=limit.per),
                    self._random.uniform(0, 60),
                    has_zone=not plan.zones,
                )
            )
        self._redis[0].away = plan.away_at, plan.away_at + plan.away_for
        self._put_back = 0
        self._workers = [Worker() for _ in range(plan.workers)]

    async def run(self) -> Result:
        """Run all tasks to their end."""
        loop = asyncio.get_running_loop()
        for worker in self._workers:
            self._start(worker, self._plan.tasks_at_once)
        loop.call_at(self._plan.killed_at, self._kill)
        while not self._dispatch.is_over:
            self._changed.clear()
            for place in self._dispatch.due(loop.time()):
                self._queue.put_nowait(place)
            with suppress(TimeoutError):
                pause = min(max(self._dispatch.next_due() - loop.time(), TICK), FOREVER)
                await asyncio.wait_for(self._changed.wait(), pause)
        return self._result()

    def _start(self, worker: Worker, number: int) -> None:
        first = len(worker.runners)
        worker.runners += [asyncio.ensure_future(self._work(worker, first + n)) for n in range(number)]

    async def _work(self, worker: Worker, runner: int) -> None:
        while True:
            place = worker.under_way[runner] = await self._queue.get()
            await asyncio.sleep(self._random.uniform(0.5, 1.5) * HAND_OUT)
            now = asyncio.get_running_loop().time
            try:
                await self._carry_out(worker, self._tasks[place])
            except* (WaitTooLongError, BudgetError, StoreError) as errors:
                error = first_of(errors)
                self._put_back += not isinstance(error, WaitTooLongError)
                self._dispatch.put_back(place, cast("Exception", error), now())
            else:
                self._dispatch.settle(place, (), now())
            del worker.under_way[runner]
            self._changed.set()

    async def _carry_out(self, worker: Worker, task: Task) -> None:
        number, requests = task
        lane = self._lane(worker, number)
        try:
            if len(requests) == 1:
                await self._request(worker, lane, self._accounts[number], requests[0])
                return
            async with asyncio.TaskGroup() as group:
                for request in requests:
                    group.create_task(self._request(worker, lane, self._accounts[number], request))
        finally:
            self._let_go(worker, number)

    def _lane(self, worker: Worker, number: int) -> Lane:
        if number in worker.lanes:
            lane, users = worker.lanes[number]
        else:
            account, users = self._accounts[number], 0
            link = Link(account, worker, self._plan.step)
            sharing = Sharing(account.limit, TIMEOUT + SPAN, count_delay=COUNT_DELAY)
            window = SharedWindow(sharing, link, clock=LoopClock())
            lane = Lane("reports", account.limit, clock=LoopClock(), share=window)
            self._open += 1
            self._most_open = max(self._most_open, self._open)
        worker.lanes[number] = lane, users + 1
        return lane

    def _let_go(self, worker: Worker, number: int) -> None:
        lane, users = worker.lanes[number]
        worker.lanes[number] = lane, users - 1
        if users == 1:
            del worker.lanes[number]
            lane.close()
            self._open -= 1

    async def _request(self, worker: Worker, lane: Lane, account: Account, number: int) -> None:
        redis, store = account.redis, self._plan.store
        if not account.has_zone:
            await self._look_up(account)
        await redis.commands(store / 2)  # looked for, claimed, looked for again
        claim = account.claims.get(number)
        if claim is not None and claim is not worker and number not in account.kept:
            await asyncio.sleep(max(0.0, self._plan.killed_at + LEASE - asyncio.get_running_loop().time()))
        while number not in account.kept:
            account.claims[number] = worker
            try:
                async with lane.permit(
                    Priority.BULK, max_wait=HOLD if self._plan.at_once else None
                ) as admission:
                    admission.sent()
                    allowed, remaining = await self._ask(account, number)
                    said = Feedback(account.limit.requests, remaining, None if allowed else 1.0)
                    if not allowed:
                        admission.refused(said)
                        continue
                    admission.answered(said)
            except WaitTooLongError:
                del account.claims[number]
                raise
            account.kept.add(number)
            with suppress(StoreError):  # it is logged
                await redis.commands(store / 2)  # kept, and the claim ended

    async def _look_up(self, account: Account) -> None:
        """Request time zones, in a lane that is not full."""
        account.looked_up += 1
        await account.redis.commands(LOOK_UP_STEPS * self._plan.step + self._plan.store / 2)
        await asyncio.sleep(2 * self._random.uniform(*TO_FATHOM) + self._random.uniform(*HANDLER))
        account.has_zone = True

    async def _ask(self, account: Account, number: int) -> tuple[bool, int]:
        loop, there = asyncio.get_running_loop(), self._random.uniform(*TO_FATHOM)
        verdict: asyncio.Future[tuple[bool, int]] = loop.create_future()

        def arrive() -> None:  # whether or not the worker is still there
            said = account.hit(number)
            if not verdict.done():
                verdict.set_result(said)

        loop.call_later(there, arrive)
        said = await verdict
        await asyncio.sleep(self._random.uniform(*HANDLER) + self._random.uniform(*TO_FATHOM))
        return said

    def _kill(self) -> None:
        """Kill workers in the middle of their tasks, which the engine reassigns later."""
        dead = self._workers[: self._plan.killed]
        lost: list[int] = []
        for worker in dead:
            worker.is_alive = False
            lost += worker.under_way.values()
            for runner in worker.runners:
                runner.cancel()
        for place in lost:
            asyncio.get_running_loop().call_later(MISSED_AFTER, self._queue.put_nowait, place)

    def _result(self) -> Result:
        healthy = [account for account in self._accounts if account.limit is LIMIT]
        times = [at for account in self._accounts for at in account.hits]
        begin, end = min(times), max(times)
        makespan = max(at for account in healthy for at in account.hits) - begin
        seconds = Counter(second for redis in self._redis for second in redis.by_second.elements())
        steps = sum(redis.steps for redis in self._redis)
        again = sum(times - 1 for account in self._accounts for times in account.seen.values())
        refused = sum(account.refused for account in self._accounts)
        wanted = self._plan.accounts * self._plan.requests
        return Result(
            requests=len(times) + refused,
            refused=refused,
            again=again - refused,
            lost=wanted - sum(len(account.kept) for account in self._accounts),
            makespan=makespan,
            optimum=healthy[0].throttle.optimum(self._plan.requests),
            steps=steps,
            steps_a_second=(steps / (end - begin), float(max(seconds.values()))),
            busy=max(redis.worked for redis in self._redis) / end,
            queued=max(redis.longest for redis in self._redis),
            clients=self._most_open,
            looked_up=sum(account.looked_up for account in self._accounts),
            put_back=self._put_back,
        )
