"""The shared window's arithmetic: N permits and a queue of processes, in one flat piece of memory.

Theory
======

The rule is the one of `fathom_async._ratelimit.window`: *no T seconds of the server's time hold more than N of
our requests*. There are N permits for all processes together, and each entry here says until when its permit is
**held**:

- granted to a process, and not heard of since: until the **lease** ends, the request's timeout and T (with the
  pad: the *span*) later. That is all a killed process can ever block;
- sent: ``count_delay`` and a span after its bytes left;
- answered: a span after the answer, if that is sooner;
- never sent, or refused: no longer.

*Proof sketch.* A request is counted after its grant and before its hold ends less T: it was counted when it was
answered; or ``count_delay`` after it was sent; and a process that reports nothing more is dead or cut off, so
its request left within the timeout, or not at all. A permit is granted again only when its hold is over, hence two
hits that share a permit are at least T apart, and N permits admit N hits in any T. Nothing in this depends on the
order of the steps, on who waits, or on any clock but the store's: a step is one atomic transition of the store,
at the store's own time, and a step that arrives late only makes a hold longer.

Permits are a pool and not a ring in which grant j waits for grant j - N: in a ring, the process behind a killed one
waits for that one's lease while the others pass.

Waiting
=======

A process that is not served gets one **ticket** in a queue, however many requests wait inside it, and is told
when to ask again: when the permit that its ticket is for comes back, which is known exactly once that permit's
request was answered. So an admission takes two questions in the normal case, and nobody polls. A permit is granted
to a ticket only if one is left for every ticket before it; whoever was served and wants more goes to the end, so
processes take turns, and priorities stay their own affair. A ticket that is not used when its time comes
lapses after ``ticket_ttl``: a dead process holds back one permit for that long.

Nothing was found that does this. Of the limiters with shared storage, ``limits`` and ``throttled-py`` stamp a
request when it is sent, which a server may see less than T apart, and poll; ``pyrate-limiter`` takes the
clients' clocks, and half a second of skew is enough for refusals; others let keys expire under waiting requests.

`SharedState` is the one implementation for files and for tests, and the model that the Redis script is tested
against.
"""

from typing import Literal, cast

from attrs import frozen

MAX_TICKETS = 512
"""Processes that can wait in a queue; further ones are served in no particular order."""

_HEAD = 8
_EPOCH, _LAST, _BLOCKED, _PAUSES, _TOTAL, _TICKETS, _FOREIGN = range(7)

CLOCK_STEP = 10.0
"""Seconds by which a store's clock may go back; beyond that it was reset, as by a boot, and all is forgotten."""

Action = Literal["ask", "hold", "answered", "freed", "leave", "pause", "look"]


@frozen
class QuotaConfig:
    """What all commands of one lane have in common, in seconds.

    Attributes:
        requests: N, the number of permits.
        per: T.
        span: Seconds from a request's count to its permit's return.
        settle: Seconds after which to ask again if a permit's return is not known yet.
        ticket_ttl: Seconds that a ticket stays valid after its time came.
    """

    requests: int
    per: float
    span: float
    settle: float
    ticket_ttl: float


@frozen
class Command:
    """One atomic command.

    Attributes:
        action: ``ask`` for permits; ``hold`` one until a delay from now; it was ``answered``; permits were ``freed``;
            ``leave`` the queue; ``pause`` everybody; ``look``.
        id: The permit, or the first of the permits asked for, which are numbered from there.
        count: How many permits.
        owner: The process; never 0.
        delay: Seconds: of the lease, the hold, the span or the pause.
        reserve: Permits that our own requests leave unused.
        foreign_usage: For an answer: the requests that the server had counted, less those that were ours; see
            `Result.base`. None when the answer did not tell.
        fewer: Permits that the server turned out not to have.
    """

    action: Action
    owner: int
    id: int = 0
    count: int = 1
    delay: float = 0.0
    reserve: int = 0
    foreign_usage: int | None = None
    fewer: int = 0


@frozen
class Result:
    """The store's reply to a command. Times are seconds from that moment.

    Attributes:
        granted: How many permits were granted.
        wait: When to ask again; 0 if everything was granted.
        held: Permits that are out.
        base: Of a permit granted now: our held requests less the grants so far. With the grants there are when
            it is answered, this tells how many of the server's counted hits could be ours.
        waiting: Tickets of others in the queue.
        blocked: For how long the server wants no requests.
        pauses: How often the server demanded a pause.
        epoch: Changes when the store has lost its data.
        first: When the next permit comes back, as far as is known.
        total: Permits granted so far. It never falls, unless the store went back to an older state.
    """

    granted: int
    wait: float
    held: int
    base: int
    waiting: int
    blocked: float
    pauses: int
    epoch: int
    first: float
    total: int


def size_of(requests: int) -> int:
    """Return how many numbers a pool of this many permits takes."""
    return _HEAD + 2 * requests + 2 * MAX_TICKETS


class SharedState:
    """A view of memory that holds the permits and the queue; all zeros is a new pool.

    Args:
        memory: `size_of` numbers.
        terms: Settings of the lane.
    """

    __slots__ = ("_ids", "_memory", "_owners", "_terms", "_until", "_untils")

    def __init__(self, memory: "memoryview[float]", terms: QuotaConfig) -> None:
        n = terms.requests
        self._memory = memory
        self._until = memory[_HEAD : _HEAD + n]
        self._ids = memory[_HEAD + n : _HEAD + 2 * n]
        self._owners = memory[_HEAD + 2 * n : _HEAD + 2 * n + MAX_TICKETS]
        self._untils = memory[_HEAD + 2 * n + MAX_TICKETS : _HEAD + 2 * n + 2 * MAX_TICKETS]
        self._terms = terms

    def is_idle(self, now: float) -> bool:
        """Whether no permit is held and no process waits, so that this memory may be discarded."""
        if self._memory[_LAST] - now > CLOCK_STEP:
            return True
        return max(*self._until.tolist(), self._memory[_BLOCKED]) <= now and not self._live_tickets(now)

    def step(self, step: Command, now: float, known: int = 0, total: int = 0, *, full: bool = True) -> Result:
        """Carry out a command.

        Args:
            step: The command.
            now: The time.
            known: The epoch that the caller knows, 0 for none. Another one proves that permits were forgotten, and
                then nothing is granted for a span.
            total: The largest `Result.total` that came with this epoch. A smaller one here proves the same.
            full: Whether the reply's `held`, `base` and `first` are wanted: with thousands of permits, counting
                them takes longer than all the rest.
        """
        memory = self._memory
        now = self._open(step, now, known, total)
        tickets = self._live_tickets(now)
        granted, wait = 0, 0.0
        match step.action:
            case "ask":
                granted, wait = self._ask(step, now, tickets)
            case "hold":
                self._hold(step, now)
            case "answered":
                self._answered(step, now)
            case "freed":
                self._free(step, now)
            case "leave":
                tickets.pop(step.owner, None)
            case "pause":
                memory[_BLOCKED] = max(memory[_BLOCKED], now + step.delay)
                memory[_PAUSES] += 1
            case "look":
                pass
        self._keep(tickets)
        own, others = self._held(now) if full else ([], [])
        return Result(
            granted=granted,
            wait=wait,
            held=len(own) + len(others),
            base=len(own) - int(memory[_TOTAL]),
            waiting=len(tickets) - (step.owner in tickets),
            blocked=max(0.0, memory[_BLOCKED] - now),
            pauses=int(memory[_PAUSES]),
            epoch=int(memory[_EPOCH]),
            first=min(own + others) - now if own or others else 0.0,
            total=int(memory[_TOTAL]),
        )

    def _open(self, step: Command, now: float, known: int, total: int) -> float:
        """Detect a reset or restored store; return a non-decreasing `now`."""
        memory, span = self._memory, self._terms.span
        if memory[_LAST] - now > CLOCK_STEP:
            memory[: len(memory)] = memoryview(bytes(8 * len(memory))).cast("d")
        memory[_LAST] = now = max(now, memory[_LAST])
        if memory[_EPOCH] == 0:
            memory[_EPOCH] = step.owner
            if known:
                memory[_BLOCKED] = now + span
        elif known not in (0, memory[_EPOCH]):
            memory[_BLOCKED] = max(memory[_BLOCKED], now + span)
        elif known and total > memory[_TOTAL]:  # an older state was restored
            memory[_BLOCKED] = max(memory[_BLOCKED], now + span)
            memory[_TOTAL] = total
        return now

    def _ask(self, step: Command, now: float, tickets: dict[int, float]) -> tuple[int, float]:
        requests = self._terms.requests - step.fewer
        own, others = self._held(now)
        room = min(requests - len(own) - len(others), requests - step.reserve - len(own))
        if self._memory[_BLOCKED] > now:
            room = 0
        ahead = list(tickets).index(step.owner) if step.owner in tickets else len(tickets)
        rest = len(tickets) - (step.owner in tickets)
        granted = min(step.count, max(1, room - rest)) if room > ahead else 0
        if granted:
            tickets.pop(step.owner, None)
            self._grant(step.id, granted, now, now + step.delay)
            if granted == step.count:
                return granted, 0.0
            own, others = self._held(now)
            ahead = rest
        wait = self._wait(sorted(own), sorted(own + others), step, ahead, now)
        if step.owner in tickets or len(tickets) < MAX_TICKETS:
            tickets[step.owner] = now + wait + self._terms.ticket_ttl
        return granted, wait

    def _wait(self, own: list[float], held: list[float], step: Command, ahead: int, now: float) -> float:
        """Return the seconds until the permit of a ticket is free, as far as is known."""
        requests, reserve = self._terms.requests - step.fewer, step.reserve
        when = max(
            self._nth_return(held, len(held) - requests + ahead, now),
            self._nth_return(own, len(own) - requests + reserve + ahead, now),
        )
        if when > now + self._terms.span:
            # Not settled, or further ahead than one turn of all permits: those before may yet go away, and a dead
            # process must not keep its ticket for longer than a permit.
            turns = min((when - now) / 2, step.delay) if ahead >= requests - reserve else 0.0
            when = now + max(self._terms.settle, turns)
        return max(when, self._memory[_BLOCKED]) - now

    def _nth_return(self, held: list[float], index: int, now: float) -> float:
        if index < 0:
            return now
        if not held:
            return now + self._terms.span
        turns, index = divmod(index, len(held))
        return held[index] + turns * self._terms.span

    def _grant(self, first: int, count: int, now: float, until: float) -> None:
        free = [index for index, held in enumerate(self._until.tolist()) if held <= now][:count]
        for number, index in enumerate(free):
            self._until[index] = until
            self._ids[index] = first + number if first else 0
        if first:
            self._memory[_TOTAL] += len(free)
        else:
            self._memory[_FOREIGN] = max(self._memory[_FOREIGN], until)

    def _hold(self, step: Command, now: float) -> None:
        index = self._find(step.id, now)
        if index is None:
            self._grant(step.id, 1, now, now + step.delay)
        else:
            self._until[index] = now + step.delay

    def _answered(self, step: Command, now: float) -> None:
        index = self._find(step.id, now)
        if index is not None:
            self._until[index] = min(self._until[index], now + step.delay)
        if step.foreign_usage is not None:
            _, others = self._held(now)
            foreign = step.foreign_usage - int(self._memory[_TOTAL]) - len(others)
            if foreign > 0:
                self._grant(0, foreign, now, now + step.delay)

    def _free(self, step: Command, now: float) -> None:
        for number in range(step.count):
            index = self._find(step.id + number, now)
            if index is not None:
                self._until[index] = 0.0

    def _find(self, permit: int, now: float) -> int | None:
        ids, index = self._ids.tolist(), -1
        for _ in range(ids.count(permit)):
            index = ids.index(permit, index + 1)
            if self._until[index] > now:
                return index
        return None

    def _held(self, now: float) -> tuple[list[float], list[float]]:
        """Return when our held permits return, and when those held for other clients do."""
        held = cast("list[float]", self._until.tolist())
        if self._memory[_FOREIGN] <= now:
            return [until for until in held if until > now], []
        pairs = list(zip(held, self._ids.tolist(), strict=True))
        own = [until for until, permit in pairs if until > now and permit]
        return own, [until for until, permit in pairs if until > now and not permit]

    def _live_tickets(self, now: float) -> dict[int, float]:
        count = int(self._memory[_TICKETS])
        if not count:
            return {}
        untils = self._untils[:count].tolist()
        owners = map(int, self._owners[:count].tolist())
        return {owner: until for owner, until in zip(owners, untils, strict=True) if until > now}

    def _keep(self, tickets: dict[int, float]) -> None:
        for index, (owner, until) in enumerate(tickets.items()):
            self._owners[index] = owner
            self._untils[index] = until
        self._memory[_TICKETS] = len(tickets)
