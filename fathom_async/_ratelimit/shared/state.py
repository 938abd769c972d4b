"""The shared window's arithmetic: N permits, a queue of processes and what they learned, in one flat piece of memory.

Theory
======

The rule is the one of `fathom_async._ratelimit.window`: *no T seconds of the server's time hold more than N of
our requests*. There are N permits for all processes together, and each entry here says until when its permit is
**held**:

1. Granted to a process, and not heard of since: until the **lease** ends, the request's timeout and T (with the
   pad: the *span*) later. That is all a killed process can ever block.
2. Sent: ``count_delay`` and a span after its bytes left.
3. Answered: a span after the answer, if that is sooner.
4. Never sent, or refused: no longer.

*Proof sketch.* A request is counted after its grant and before its hold ends less T: it was counted when it was
answered; or ``count_delay`` after it was sent; and a process that reports nothing more is dead or cut off, so
its request left within the timeout, or not at all. A permit is granted again only when its hold is over, hence two
hits that share a permit are at least T apart, and N permits admit N hits in any T. Nothing in this depends on the
order of the steps, on who waits, or on any clock but the store's: a step is one atomic transition of the store,
at the store's own time, and a step that arrives late only makes a hold longer.

Permits are a pool and not a ring in which ticket j waits for ticket j - N: in a ring, whoever drew the ticket
behind a killed process waits for that one's lease while the others walk past.

Waiting
=======

5. A question names how many requests of each class wait in the process. Each class that is not served gets one
   **ticket**, however many wait behind it, and the process is told when to ask again: when the first permit that one
   of its tickets is for comes back, which is known exactly once that permit's request was answered. So an admission
   takes two questions in the normal case, and nobody polls. A class in which nobody waits any more loses its ticket.
6. Tickets are ordered by class, then by arrival. A permit is granted to a ticket only if one is left for every ticket
   before it; whoever was served and wants more goes to the end, so that processes take turns.
7. A ticket that is not used when its time comes lapses after ``ticket_ttl``: a dead process holds back one permit
   for that long.
8. What is granted to a class keeps the promise to the classes above it (`fathom_async._ratelimit.promise`); the
   forecast counts the arrivals that all processes report.
9. A class is due one permit for every `PASSES` times that it was passed over while it waited, to `MOST_PASSES`: its
   first ticket goes before all others, and no promise holds it back. So it looks again before others can have passed
   it that often, and what it is due is left for it when its time has come. Such a permit is for that class alone, all
   others for whoever is the most urgent in the process by then.

Requests in flight
==================

10. Where the server allows only so many requests at once, that many permits are granted and not settled at most. A
    request ends with its timeout, which is the lease less a span, so that a dead process fills no place for longer. A
    refusal for a crowd lowers the cap for all, to what is in flight beside the refused one; one more at once is tried
    after `CALM`, and after twice as long each time that this was too early.
11. When a permit of the cap comes back is not known, so the first ticket asks again after a part of the time that a
    request usually takes, and those behind it later.

Lost memory
===========

12. A process that knew another epoch, or a larger total, proves that permits were forgotten. A short window is then
    waited out. In a long one, what is on its way is waited for, and then one request alone goes to ask: what its
    answer names is held for others, and the window is open again; where it names nothing, the window is waited out.
    Answers to requests that were admitted before tell nothing.

Nothing was found that does this. Of the limiters with shared storage, ``limits`` and ``throttled-py`` stamp a
request when it is sent, which a server may see less than T apart, and poll; ``pyrate-limiter`` takes the
clients' clocks, and half a second of skew is enough for refusals; others let keys expire under waiting requests.

`SharedState` is the one implementation for files and for tests, and the model that the Redis script is tested
against.
"""

from collections.abc import Callable
from itertools import accumulate, pairwise
from typing import ClassVar, cast

from fathom_async._ratelimit.concurrency import CAP_SIZE, LearnedCap
from fathom_async._ratelimit.plan import Priority
from fathom_async._ratelimit.promise import promised, promised_at
from fathom_async._ratelimit.queue import PASSES
from fathom_async._ratelimit.shared.commands import NOBODY, Action, Command, Counts, QuotaConfig, Result
from fathom_async._ratelimit.window import FORECAST_SIZE, Forecast

FORMAT = 2
"""The layout of what is stored; processes with another one cannot share it."""

MAX_TICKETS = 512
"""Tickets in the queue; further processes are served too, in no order."""

CLOCK_STEP = 10.0
"""Seconds by which a store's clock may go back before everything measured by it is forgotten, as after a boot."""

LONGEST_WAITED_OUT = 90.0
"""Seconds of the longest span that is waited out whenever permits were forgotten."""

MOST_PASSES = 8 * PASSES
"""How often a class was passed over at the most, for what it is due to add up."""

LOOK_AGAIN = 4
"""Looks for a free place under the cap while a request takes what it usually does."""

SHORTEST_LOOK = 0.01
"""Seconds between two such looks at the least."""

_HEAD = 15
_EPOCH, _LAST, _BLOCKED, _PAUSES, _TOTAL, _TICKETS, _FOREIGN = range(7)
_SUSPECT, _UNSURE, _PROBE, _USUAL, _MOVED, _HEARD, _PASSED_NORMAL, _PASSED_BULK = range(7, _HEAD)
_PASSED = {Priority.NORMAL: _PASSED_NORMAL, Priority.BULK: _PASSED_BULK}
_CLASSES = 4  # a ticket's number is its owner's times this, and the class
_ANY_NUMBER = 1 << 30

NEVER = 1e9
"""Seconds since the server was heard, if it never was."""


def size_of(requests: int) -> int:
    """Return how many numbers a pool of so many permits needs."""
    return _HEAD + CAP_SIZE + FORECAST_SIZE + 3 * requests + 3 * MAX_TICKETS


class SharedState:
    """A view of memory that holds the permits and the queue; all zeros is a new pool.

    Args:
        memory: `size_of` numbers.
        terms: What the lane's steps have in common.
    """

    __slots__ = (
        *("_cap", "_counts", "_flying", "_forecast", "_ids", "_keys"),
        *("_memory", "_terms", "_tickets", "_until", "_untils"),
    )

    def __init__(self, memory: "memoryview[float]", terms: QuotaConfig) -> None:
        sizes = CAP_SIZE, FORECAST_SIZE, *[terms.requests] * 3, *[MAX_TICKETS] * 3
        ends = [*accumulate(sizes, initial=_HEAD)]
        cap, forecast, *parts = (memory[begin:end] for begin, end in pairwise(ends))
        self._until, self._ids, self._flying, self._keys, self._untils, self._counts = parts
        self._memory = memory
        self._terms = terms
        self._cap = LearnedCap(cap)
        self._forecast = Forecast(terms.span, forecast)
        self._tickets: dict[int, tuple[float, int]] = {}

    def is_idle(self, now: float) -> bool:
        """Whether no permit is held and nobody waits, so that nothing is lost with this memory."""
        if self._memory[_LAST] - now > CLOCK_STEP:
            return True
        return max(*self._until.tolist(), self._memory[_BLOCKED]) <= now and not self._live_tickets(now)

    def step(self, step: Command, now: float, known: int = 0, total: int = 0, *, full: bool = True) -> Result:
        """Carry out a step.

        Args:
            step: The step.
            now: The time.
            known: The epoch as the asker knows it, 0 for none.
            total: The largest `Result.total` that came with this epoch.
            full: Whether the reply's `held`, `base` and `first` are wanted: with thousands of permits, counting
                them takes longer than all the rest.
        """
        memory = self._memory
        now = self._open(step, now, known, total)
        self._tickets = self._live_tickets(now)
        granted, due, wait = 0, NOBODY, 0.0
        if step.action == "ask":
            granted, due, wait = self._ask(step, now)
        elif step.action != "look":
            self._ACTIONS[step.action](self, step, now)
        self._keep()
        own, others = self._held(now) if full else ([], [])
        held = own + others or [now]
        return Result(
            granted=granted,
            due=due,
            wait=wait,
            held=len(own) + len(others),
            base=len(own) - int(memory[_TOTAL]),
            waiting=len({key // _CLASSES for key in self._tickets} - {step.owner}),
            blocked=max(0.0, memory[_BLOCKED] - now),
            pauses=int(memory[_PAUSES]),
            epoch=int(memory[_EPOCH]),
            first=min(held) - now,
            last=max(held) - now,
            total=int(memory[_TOTAL]),
            heard=now - memory[_HEARD] if memory[_HEARD] else NEVER,
            unsure=max(0.0, memory[_UNSURE] - now),
            cap=self._cap.now(now),
            moved=int(memory[_MOVED]),
            queues=(self._queue(0, step), self._queue(1, step), self._queue(2, step)),
            left=self._left(self._usable(step), now) if full else NOBODY,
        )

    def _queue(self, priority: int, step: Command) -> list[int]:
        of_others = (key for key in self._tickets if key // _CLASSES != step.owner)
        return [self._tickets[key][1] for key in of_others if key % _CLASSES == priority]

    def _left(self, usable: int, now: float) -> Counts:
        wanted = self._forecast.wanted
        return 0, wanted(Priority.NORMAL, usable, now), wanted(Priority.BULK, usable, now)

    def _open(self, step: Command, now: float, known: int, total: int) -> float:
        """Detect a reset or restored store (rule 12); return a time that never goes back."""
        memory = self._memory
        if memory[_LAST] - now > CLOCK_STEP:
            memory[: len(memory)] = memoryview(bytes(8 * len(memory))).cast("d")
        memory[_LAST] = now = max(now, memory[_LAST])
        if memory[_EPOCH] == 0:
            memory[_EPOCH] = step.owner + (step.owner == known)
        if known not in (0, memory[_EPOCH]) and not memory[_SUSPECT]:
            memory[_SUSPECT] = 1
            self._distrust(now)
        elif known == memory[_EPOCH] and total > memory[_TOTAL]:
            memory[_TOTAL] = total
            self._distrust(now)
        return now

    def _distrust(self, now: float) -> None:
        memory, terms = self._memory, self._terms
        memory[_UNSURE] = now + terms.span
        pause = terms.span if terms.span <= LONGEST_WAITED_OUT else 2 * terms.settle
        memory[_BLOCKED] = max(memory[_BLOCKED], now + pause)

    # Rules 5 to 11.

    def _ask(self, step: Command, now: float) -> tuple[int, Counts, float]:
        """Serve the classes of a process; return how many were granted, how many as due, and when to ask again."""
        for priority, arrived in zip(Priority, step.arrived, strict=False):
            if arrived:
                self._forecast.note(priority, now, arrived)
        waiting = [each for each in Priority if step.waiting[each]]
        for priority in set(Priority).difference(waiting):
            self._tickets.pop(_key(step.owner, priority), None)
        granted, due, waits = 0, [*NOBODY], list[float]()
        for priority in sorted(waiting, key=lambda each: not self._order(step, each, now)[2]):  # rule 9
            wanted = min(step.waiting[priority], step.count - granted)
            served, is_due = self._serve(step, priority, wanted, granted, now) if wanted else (0, False)
            granted += served
            due[priority] = served * is_due
            if served < step.waiting[priority]:
                waits.append(self._queue_up(step, priority, served, now))
        return granted, (due[0], due[1], due[2]), min(waits) if granted < step.count and waits else 0.0

    def _serve(
        self, step: Command, priority: Priority, wanted: int, before: int, now: float
    ) -> tuple[int, bool]:
        """Return how many of the wanted permits a class is granted, and whether as due."""
        ahead, behind, due = self._order(step, priority, now)
        room = self._room(step, now)
        if room <= ahead:
            return 0, False
        granted = min(wanted, room, due or max(1, room - ahead - behind))  # rules 6 and 9
        left = 0 if due else self._forecast.wanted(priority, self._usable(step), now)
        if left:
            granted = promised(self._returns(step, now), granted, left, self._terms.span, now)  # rule 8
        if granted:
            self._admit(step, priority, before, granted, now)
        return granted, due > 0

    def _queue_up(self, step: Command, priority: Priority, served: int, now: float) -> float:
        """Give a ticket to a class that was not served, and return the seconds until its time comes."""
        tickets, span, key = self._tickets, self._terms.span, _key(step.owner, priority)
        ahead, _, due = self._order(step, priority, now)
        usable = self._usable(step)
        left = 0 if due else self._forecast.wanted(priority, usable, now)
        wait, apart = self._wait(step, ahead, now), span / usable
        if left:
            promised_in = promised_at(self._returns(step, now), left, span, usable, ahead) - now
            wait = max(wait, min(promised_in, PASSES * apart))  # rules 8 and 9
        passed = self._memory[_PASSED[priority]] if priority in _PASSED else 0
        if passed and not due:
            wait = min(wait, max((PASSES - passed) * apart, self._memory[_BLOCKED] - now, apart))  # rule 9
        excess = ahead + 1 - self._crowd(step, now)
        if excess > 0:
            wait = max(wait, self._look_again(excess, self._cap_now(step, now)))
        if key in tickets or len(tickets) < MAX_TICKETS:
            tickets[key] = now + wait + self._terms.ticket_ttl, step.waiting[priority] - served
        return wait

    def _order(self, step: Command, priority: Priority, now: float) -> tuple[int, int, int]:
        """Return how many permits go before a class, how many of its tickets are behind ours, and what it is due."""
        tickets, key = self._tickets, _key(step.owner, priority)
        equals = [each for each in tickets if each % _CLASSES == priority]
        position = equals.index(key) if key in tickets else len(equals)
        due = 0 if position else self._due(priority)
        if due:
            return 0, 0, due
        urgent = sum(each % _CLASSES < priority for each in tickets)
        others = sum(self._due_now(each, now) for each in _PASSED if each > priority)
        return urgent + position + others, len(equals) - position - (key in tickets), 0

    def _usable(self, step: Command) -> int:
        return self._terms.requests - step.fewer - step.reserve

    def _room(self, step: Command, now: float) -> int:
        """Return how many permits could be granted now, if nobody else wanted any."""
        if self._memory[_BLOCKED] > now:
            return 0
        own, others = self._held(now)
        usable = self._usable(step)
        return min(usable + step.reserve - len(own) - len(others), usable - len(own), self._crowd(step, now))

    def _due(self, priority: Priority) -> int:
        return int(self._memory[_PASSED[priority]]) // PASSES if priority in _PASSED else 0

    def _due_now(self, priority: Priority, now: float) -> int:
        """Return how many permits a class is due whose first ticket's time has come."""
        untils = (until for each, (until, _) in self._tickets.items() if each % _CLASSES == priority)
        is_time = next(untils, now + self._terms.span) <= now + self._terms.ticket_ttl
        return self._due(priority) if is_time else 0

    def _admit(self, step: Command, priority: Priority, before: int, granted: int, now: float) -> None:
        memory = self._memory
        self._tickets.pop(_key(step.owner, priority), None)
        self._grant(step.id + before, granted, now, now + step.delay)
        if memory[_UNSURE] > now:
            memory[_PROBE] = step.id + before  # rule 12
        waiting = {key % _CLASSES for key in self._tickets}
        for each, at in _PASSED.items():  # rule 9
            if each == priority:
                memory[at] = max(0, memory[at] - PASSES * granted)
            elif each > priority:
                most = MOST_PASSES if each in waiting or step.waiting[each] else PASSES
                memory[at] = min(memory[at] + granted * (most == MOST_PASSES), most)

    def _returns(self, step: Command, now: float) -> list[float]:
        """Return when each permit can be used, in order; those of unanswered requests a span from now."""
        own, others = self._held(now)
        usable, latest = self._usable(step), now + self._terms.span
        back = sorted(min(until, latest) for until in own + others)[max(0, len(own) + len(others) - usable) :]
        return [now] * (usable - len(back)) + back

    def _crowd(self, step: Command, now: float) -> int:
        """Return how many more requests may be in flight (rule 10)."""
        cap = self._cap_now(step, now)
        return cap - self._in_flight(now) if cap else _ANY_NUMBER

    def _cap_now(self, step: Command, now: float) -> int:
        """Return how many requests may be in flight; 0 for any number."""
        probing = int(self._memory[_UNSURE] > now)  # rule 12
        return min((cap for cap in (step.cap, self._cap.now(now), probing) if cap), default=0)

    def _in_flight(self, now: float) -> int:
        return sum(ends > now and until > now for until, ends in zip(self._until, self._flying, strict=True))

    def _look_again(self, excess: int, cap: int) -> float:
        """Return the seconds after which a request in flight may have become one fewer (rule 11)."""
        usual = self._memory[_USUAL] or self._terms.settle / LOOK_AGAIN
        return min(max(usual * excess / cap / LOOK_AGAIN, SHORTEST_LOOK), self._terms.settle)

    # Rules 1 to 5.

    def _wait(self, step: Command, ahead: int, now: float) -> float:
        """Return the seconds until the permit of a ticket is free, as far as is known."""
        own, others = self._held(now)
        requests, reserve = self._terms.requests - step.fewer, step.reserve
        held = sorted(own + others)
        when = max(
            self._nth_return(held, len(held) - requests + ahead, now),
            self._nth_return(sorted(own), len(own) - requests + reserve + ahead, now),
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
            self._flying[index] = until - self._terms.span if first else 0.0  # rule 10
        if first:
            self._memory[_TOTAL] += len(free)
        else:
            self._memory[_FOREIGN] = max(self._memory[_FOREIGN], until)

    def _hold(self, step: Command, now: float) -> None:
        index = self._find(step.id, now)
        if index is None:
            self._grant(step.id, 1, now, now + step.delay)
            self._land(self._find(step.id, now))
        else:
            self._until[index] = now + step.delay

    def _answered(self, step: Command, now: float) -> None:
        memory = self._memory
        memory[_HEARD] = now
        if step.took:
            memory[_USUAL] += (step.took - memory[_USUAL]) / 8 if memory[_USUAL] else step.took
        index = self._find(step.id, now)
        if index is not None:
            self._cap.proved(self._in_flight(now), now)  # rule 10
            self._until[index] = min(self._until[index], now + step.delay)
            self._land(index)
        if step.foreign_usage is not None:
            _, others = self._held(now)
            foreign = step.foreign_usage - int(memory[_TOTAL]) - len(others)
            if foreign > 0:
                self._grant(0, foreign, now, now + step.delay)
        if memory[_UNSURE] > now and step.id == memory[_PROBE]:  # rule 12
            if step.foreign_usage is None:
                memory[_BLOCKED] = max(memory[_BLOCKED], memory[_UNSURE])
            else:
                memory[_UNSURE] = now

    def _freed(self, step: Command, now: float) -> None:
        for number in range(step.count):
            index = self._find(step.id + number, now)
            if index is not None:
                self._until[index] = self._flying[index] = 0.0

    def _abandoned(self, step: Command, now: float) -> None:
        index = self._find(step.id, now)
        if index is not None and step.delay:
            self._until[index] = min(self._until[index], now + step.delay)
        self._land(index)

    def _leave(self, step: Command, now: float) -> None:  # noqa: ARG002 - one signature for all actions
        for priority in Priority:
            self._tickets.pop(_key(step.owner, priority), None)

    def _pause(self, step: Command, now: float) -> None:
        self._memory[_BLOCKED] = max(self._memory[_BLOCKED], now + step.delay)
        self._memory[_PAUSES] += 1

    def _lower_cap(self, step: Command, now: float) -> None:
        self._cap.lower(max(step.count, self._in_flight(now)), now)  # rule 10

    def _expect(self, step: Command, now: float) -> None:
        self._forecast.note(step.priority, now, 0)

    def _move(self, step: Command, now: float) -> None:  # noqa: ARG002 - one signature for all actions
        self._memory[_MOVED] = step.count

    def _land(self, index: int | None) -> None:
        """The request of a permit is in flight no longer."""
        if index is not None:
            self._flying[index] = 0.0

    def _find(self, permit: int, now: float) -> int | None:
        ids, index = self._ids.tolist(), -1
        for _ in range(ids.count(permit)):
            index = ids.index(permit, index + 1)
            if self._until[index] > now:
                return index
        return None

    def _held(self, now: float) -> tuple[list[float], list[float]]:
        """When our held permits come back, and those that are held for other clients."""
        held = cast("list[float]", self._until.tolist())
        if self._memory[_FOREIGN] <= now:
            return [until for until in held if until > now], []
        pairs = list(zip(held, self._ids.tolist(), strict=True))
        own = [until for until, permit in pairs if until > now and permit]
        return own, [until for until, permit in pairs if until > now and not permit]

    def _live_tickets(self, now: float) -> dict[int, tuple[float, int]]:
        """Return until when a ticket is kept and how many wait behind it, in the order of arrival."""
        end = int(self._memory[_TICKETS])
        keys, *rest = (part[:end].tolist() for part in (self._keys, self._untils, self._counts))
        tickets = zip(map(int, keys), *rest, strict=True)
        return {key: (until, int(count)) for key, until, count in tickets if until > now}

    def _keep(self) -> None:
        for index, (key, (until, count)) in enumerate(self._tickets.items()):
            self._keys[index], self._untils[index], self._counts[index] = key, until, count
        self._memory[_TICKETS] = len(self._tickets)

    _ACTIONS: ClassVar[dict[Action, Callable[["SharedState", Command, float], None]]] = {
        "hold": _hold,
        "answered": _answered,
        "abandoned": _abandoned,
        "freed": _freed,
        "leave": _leave,
        "pause": _pause,
        "crowd": _lower_cap,
        "expect": _expect,
        "move": _move,
    }


def _key(owner: int, priority: Priority) -> int:
    return owner * _CLASSES + priority
