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

Plans
=====

13. All processes of a budget that were given a plan must have been given the same one. The state knows the plan for
    `PLAN_FOR` after it was named last; who names another one meanwhile gets an error, and changes nothing. A look
    names no new plan, and renews the one that is there.

Lost memory
===========

12. A process that knew another epoch, or a larger total, proves that permits were forgotten. A short window is then
    waited out. In a long one, what is on its way is waited for, and then one request alone goes to ask: what its
    answer names is held for others, and the window is open again; where it names nothing, the window is waited out.
    Answers to requests that were admitted before tell nothing.

`SharedState` is the one implementation for files and for tests, and the model that the Redis script is tested
against.
"""

from collections.abc import Callable
from itertools import accumulate, pairwise
from typing import ClassVar

from fathom_async._ratelimit.concurrency import CAP_SIZE, LearnedCap
from fathom_async._ratelimit.plan import Priority
from fathom_async._ratelimit.promise import HAIR, patience, promised, promised_at
from fathom_async._ratelimit.queue import PASSES
from fathom_async._ratelimit.shared.commands import (
    NOBODY,
    PLAN_FOR,
    Action,
    Command,
    Counts,
    QuotaConfig,
    Result,
    other_plan,
)
from fathom_async._ratelimit.shared.held import HeldPermits, held_size
from fathom_async._ratelimit.shared.tickets import TICKETS_SIZE, Tickets
from fathom_async._ratelimit.window import FORECAST_SIZE, Forecast

CLOCK_STEP = 10.0
"""Seconds by which a store's clock may go back before everything measured by it is forgotten, as after a boot."""

LONGEST_WAITED_OUT = 90.0
"""Seconds of the longest span that is waited out whenever permits were forgotten."""

MOST_PASSES = 8 * PASSES
"""How often a class was passed over at the most, for what it is due to add up."""

NEVER = 1e9
"""Seconds since the server was heard, if it never was."""

LOOK_AGAIN = 4
"""Looks for a free place under the cap while a request takes what it usually does."""

SHORTEST_LOOK = 0.01
"""Seconds between two such looks at the least."""

_HEAD = 17
_EPOCH, _LAST, _BLOCKED, _PAUSES, _TOTAL, _SUSPECT, _UNSURE = range(7)
_PROBE, _USUAL, _MOVED, _HEARD, _PASSED_NORMAL, _PASSED_BULK, _PLAN, _PLAN_UNTIL = range(7, 15)
_HELD_NORMAL, _HELD_BULK = range(15, _HEAD)
_PASSED = {Priority.NORMAL: _PASSED_NORMAL, Priority.BULK: _PASSED_BULK}
_HELD_SINCE = {Priority.NORMAL: _HELD_NORMAL, Priority.BULK: _HELD_BULK}
_ANY_NUMBER = 1 << 30


def size_of(requests: int) -> int:
    return _HEAD + CAP_SIZE + FORECAST_SIZE + TICKETS_SIZE + held_size(requests)


class SharedState:
    """A view of the `size_of` numbers that hold the permits and the queue; all zeros is a new pool."""

    __slots__ = ("_cap", "_forecast", "_held", "_memory", "_terms", "_tickets")

    def __init__(self, memory: "memoryview[float]", terms: QuotaConfig) -> None:
        sizes = CAP_SIZE, FORECAST_SIZE, TICKETS_SIZE, held_size(terms.requests)
        ends = [*accumulate(sizes, initial=_HEAD)]
        cap, forecast, tickets, held = (memory[begin:end] for begin, end in pairwise(ends))
        self._tickets = Tickets(tickets)
        self._held = HeldPermits(held, terms.span)
        self._memory = memory
        self._terms = terms
        self._cap = LearnedCap(cap)
        self._forecast = Forecast(terms.span, forecast)

    def is_idle(self, now: float) -> bool:
        """Whether no permit is held and nobody waits, so that nothing is lost with this memory."""
        if self._memory[_LAST] - now > CLOCK_STEP:
            return True
        self._held.begin(now)
        self._tickets.begin(now)
        others = max(self._memory[_BLOCKED], self._memory[_PLAN_UNTIL])
        return others <= now and not self._held.all and not self._tickets

    def step(self, step: Command, now: float, known: int = 0, total: int = 0, *, full: bool = True) -> Result:
        """Carry out a step; raise `ConfigurationError` if the asker was given another plan than others.

        The asker knows an epoch, 0 for none, and the largest `Result.total` that came with it. A full reply counts
        the permits, which takes longer than all the rest.
        """
        memory = self._memory
        now = self._open(step, now, known, total)
        tickets, owner = self._tickets, step.owner
        tickets.begin(now)
        self._held.begin(now)
        granted, due, wait = 0, NOBODY, 0.0
        if step.action == "ask":
            granted, due, wait = self._ask(step, now)
        elif step.action != "look":
            self._ACTIONS[step.action](self, step, now)
        tickets.write()
        ours, held = (self._held.ours, self._held.all) if full else ([], [])
        left, usable = self._forecast.wanted, self._usable(step)
        return Result(
            granted=granted,
            due=due,
            wait=wait,
            held=len(held),
            base=len(ours) - int(memory[_TOTAL]),
            waiting=tickets.processes(owner),
            blocked=max(0.0, memory[_BLOCKED] - now),
            pauses=int(memory[_PAUSES]),
            epoch=int(memory[_EPOCH]),
            first=held[0] - now if held else 0.0,
            last=held[-1] - now if held else 0.0,
            total=int(memory[_TOTAL]),
            heard=now - memory[_HEARD] if memory[_HEARD] else NEVER,
            unsure=max(0.0, memory[_UNSURE] - now),
            cap=self._cap.now(now),
            moved=int(memory[_MOVED]),
            queues=(tickets.behind(0, owner), tickets.behind(1, owner), tickets.behind(2, owner)),
            left=(0, left(Priority.NORMAL, usable, now), left(Priority.BULK, usable, now))
            if full
            else NOBODY,
            places=(tickets.place(owner, 0)[1], tickets.place(owner, 1)[1], tickets.place(owner, 2)[1]),
        )

    def _open(self, step: Command, now: float, known: int, total: int) -> float:
        """Detect a reset or restored store (rule 12); return a time that never goes back."""
        memory = self._memory
        if memory[_LAST] - now > CLOCK_STEP:
            memory[: len(memory)] = memoryview(bytes(8 * len(memory))).cast("d")
        now = max(now, memory[_LAST])
        if step.plan:  # rule 13
            if memory[_PLAN] != step.plan and memory[_PLAN_UNTIL] > now:
                raise other_plan(int(memory[_PLAN]), step.plan)
            if step.action != "look" or memory[_PLAN] == step.plan:
                memory[_PLAN], memory[_PLAN_UNTIL] = step.plan, now + PLAN_FOR
        memory[_LAST] = now
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
        memory[_UNSURE], memory[_PROBE] = now + terms.span, 0  # a probe from before tells nothing
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
            self._tickets.drop(step.owner, priority)
        granted, due, waits = 0, [*NOBODY], list[float]()
        for priority in sorted(waiting, key=lambda each: not self._order(step, each, now)[2]):  # rule 9
            wanted = min(step.waiting[priority], step.count - granted)
            served, due[priority] = self._serve(step, priority, wanted, granted, now) if wanted else (0, 0)
            granted += served
            if served < step.waiting[priority]:
                waits.append(self._queue_up(step, priority, served, now))
        return granted, (due[0], due[1], due[2]), min(waits) if granted < step.count and waits else 0.0

    def _serve(
        self, step: Command, priority: Priority, most: int, before: int, now: float
    ) -> tuple[int, int]:
        """Return how many permits a class is granted, and how many of them as due."""
        ahead, behind, due = self._order(step, priority, now)
        room = self._room(step, now)
        if room <= ahead:
            return 0, 0
        granted = could = min(most, room, due or max(1, room - ahead - behind))  # rules 6 and 9
        usable = self._usable(step)
        left = 0 if due else self._forecast.wanted(priority, usable, now)
        if left:  # rule 8
            granted = promised(self._held.usable(usable), could, left, self._terms.span, now)
            granted = granted or int(self._held_for(priority, left, now) <= HAIR)
        if granted:
            self._admit(step, priority, before, granted, now)
        if granted < could:
            self._memory[_HELD_SINCE[priority]] = self._memory[_HELD_SINCE[priority]] or now
        return granted, granted if due else 0

    def _queue_up(self, step: Command, priority: Priority, served: int, now: float) -> float:
        """Give a ticket to a class that was not served, and return the seconds until its time comes."""
        span, usable = self._terms.span, self._usable(step)
        ahead, _, due = self._order(step, priority, now)
        left = 0 if due else self._forecast.wanted(priority, usable, now)
        wait, apart = self._wait(step, ahead, now), span / usable
        if left:
            promised_in = promised_at(self._held.usable(usable), left, span, usable, ahead) - now
            held_for = self._held_for(priority, left, now)
            wait = max(wait, min(promised_in, held_for, PASSES * apart))  # rules 8 and 9
        passed = self._memory[_PASSED[priority]] if priority in _PASSED else 0
        if passed and not due:
            wait = min(wait, max((PASSES - passed) * apart, self._memory[_BLOCKED] - now, apart))  # rule 9
        excess = ahead + 1 - self._crowd(step, now)
        if excess > 0:
            wait = max(wait, self._look_again(excess, self._cap_now(step, now)))
        until = now + wait + self._terms.ticket_ttl
        self._tickets.put(step.owner, priority, until, step.waiting[priority] - served)
        return wait

    def _held_for(self, priority: Priority, left: int, now: float) -> float:
        """Return for how long the promise may still hold a class back (rule 5 of the promise)."""
        since = self._memory[_HELD_SINCE[priority]] or now
        return since + patience(left, self._terms.span) - now

    def _order(self, step: Command, priority: Priority, now: float) -> tuple[int, int, int]:
        """Return how many permits go before a class, how many of its tickets are behind ours, and what it is due."""
        urgent, position, behind = self._tickets.place(step.owner, priority)
        due = 0 if position else self._due(priority)
        if due:
            return 0, 0, due
        others = sum(self._due_now(each, now) for each in _PASSED if each > priority)
        return urgent + position + others, behind, 0

    def _usable(self, step: Command) -> int:
        return self._terms.requests - step.fewer - step.reserve

    def _room(self, step: Command, now: float) -> int:
        """Return how many permits could be granted now, if nobody else wanted any."""
        if self._memory[_BLOCKED] > now:
            return 0
        usable, ours = self._usable(step), len(self._held.ours)
        return min(usable + step.reserve - len(self._held.all), usable - ours, self._crowd(step, now))

    def _due(self, priority: Priority) -> int:
        return int(self._memory[_PASSED[priority]]) // PASSES if priority in _PASSED else 0

    def _due_now(self, priority: Priority, now: float) -> int:
        """Return how many permits a class is due whose first ticket's time has come."""
        until = self._tickets.first(priority)
        is_time = until is not None and until <= now + self._terms.ticket_ttl
        return self._due(priority) if is_time else 0

    def _admit(self, step: Command, priority: Priority, before: int, granted: int, now: float) -> None:
        memory = self._memory
        self._tickets.drop(step.owner, priority)
        memory[_TOTAL] += self._held.grant(step.id + before, granted, now + step.delay)
        if memory[_UNSURE] > now:
            memory[_PROBE] = step.id + before  # rule 12
        if priority in _HELD_SINCE:
            memory[_HELD_SINCE[priority]] = 0
        for each, at in _PASSED.items():  # rule 9
            if each == priority:
                memory[at] = max(0, memory[at] - PASSES * granted)
            elif each > priority:
                most = MOST_PASSES if step.waiting[each] or self._tickets.first(each) else PASSES
                memory[at] = min(memory[at] + granted * (most == MOST_PASSES), most)

    def _crowd(self, step: Command, now: float) -> int:
        cap = self._cap_now(step, now)
        return cap - self._held.in_flight() if cap else _ANY_NUMBER

    def _cap_now(self, step: Command, now: float) -> int:
        """Return how many requests may be in flight; 0 for any number."""
        probing = int(self._memory[_UNSURE] > now)  # rule 12
        return min((cap for cap in (step.cap, self._cap.now(now), probing) if cap), default=0)

    def _look_again(self, excess: int, cap: int) -> float:
        """Return the seconds after which a request in flight may have become one fewer (rule 11)."""
        usual = self._memory[_USUAL] or self._terms.settle / LOOK_AGAIN
        return min(max(usual * excess / cap / LOOK_AGAIN, SHORTEST_LOOK), self._terms.settle)

    # Rules 1 to 5.

    def _wait(self, step: Command, ahead: int, now: float) -> float:
        """Return the seconds until the permit of a ticket is free, as far as is known."""
        requests, reserve, span = self._terms.requests - step.fewer, step.reserve, self._terms.span
        when = self._held.turn(ahead, requests, reserve)
        if when > now + span:
            # Not settled, or further ahead than one turn of all permits: those before may yet go away, and a dead
            # process must not keep its ticket for longer than a permit. An answer ends a hold within a span.
            turns = ahead // (requests - reserve)
            half = min((when - now) / 2, (turns + 1) * span / 2, step.delay) if turns else 0.0
            when = now + max(self._terms.settle, half)
        return max(when, self._memory[_BLOCKED]) - now

    def _hold(self, step: Command, now: float) -> None:
        if not self._held.hold(step.id, now + step.delay):
            self._memory[_TOTAL] += self._held.grant(step.id, 1, now + step.delay)
            self._held.land(step.id)

    def _answered(self, step: Command, now: float) -> None:
        memory = self._memory
        memory[_HEARD] = now
        if step.took:
            memory[_USUAL] += (step.took - memory[_USUAL]) / 8 if memory[_USUAL] else step.took
        in_flight = self._held.in_flight() if self._cap.now(now) else 0
        if self._held.land(step.id, now + step.delay):
            self._cap.proved(in_flight, now)  # rule 10
        if step.foreign_usage is not None:
            foreign = step.foreign_usage - int(memory[_TOTAL]) - self._held.foreign
            if foreign > 0:
                self._held.grant(0, foreign, now + step.delay)
        if memory[_UNSURE] > now and step.id == memory[_PROBE]:  # rule 12
            if step.foreign_usage is None:
                memory[_BLOCKED] = max(memory[_BLOCKED], memory[_UNSURE])
            else:
                memory[_UNSURE] = now

    def _pause(self, step: Command, now: float) -> None:
        self._memory[_BLOCKED] = max(self._memory[_BLOCKED], now + step.delay)
        self._memory[_PAUSES] += 1
        self._memory[_HEARD] = 0.0

    _ACTIONS: ClassVar[dict[Action, Callable[["SharedState", Command, float], object]]] = {
        "hold": _hold,
        "answered": _answered,
        "abandoned": lambda self, step, now: self._held.land(
            step.id, now + step.delay if step.delay else None
        ),
        "freed": lambda self, step, _: self._held.free(step.id, step.count),
        "leave": lambda self, step, _: self._tickets.leave(step.owner),
        "pause": _pause,
        "crowd": lambda self, step, now: self._cap.lower(
            max(step.count, self._held.in_flight()), now
        ),  # rule 10
        "expect": lambda self, step, now: self._forecast.note(step.priority, now, 0),
        "move": lambda self, step, _: self._memory.__setitem__(_MOVED, step.count),
    }
