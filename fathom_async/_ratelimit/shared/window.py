"""A window that many processes share; to a lane it looks like its own (`fathom_async._ratelimit.protocol`).

The rule and its proof are in `fathom_async._ratelimit.shared.state`. This is one process's side of it: it asks the
store for permits when requests wait in its lane, keeps what was granted until the lane takes it (which it does at
once), and reports what became of each. Permits are not bound to requests, so the lane's own queue decides who gets
one, and a request that is cancelled while it waits has nothing to give back.

1. One question at a time: for all classes that wait in the lane, with the arrivals since the last question.
2. Until the moment that the store named, nothing is asked again, unless somebody waits of a class that has no ticket.
3. A request goes alone if no process heard the server for a span. Each process probes after anybody was refused, and
   after the store lost its memory.
4. `Result.base` of a permit is of use only with the memory that granted it.
5. Questions of the lane change nothing: they are answered from the store's last reply, or from a peek.
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Sequence
from contextlib import AsyncExitStack

from attrs import define, evolve, field

from fathom_async._ratelimit.admission import Feedback
from fathom_async._ratelimit.plan import Priority, RateLimit
from fathom_async._ratelimit.protocol import Demand, Owner, Permit, Window, WindowStatus
from fathom_async._ratelimit.shared.commands import NOBODY, Command, Result, Sharing
from fathom_async._ratelimit.shared.identity import Identity
from fathom_async._ratelimit.shared.plans import PlanTeller
from fathom_async._ratelimit.shared.protocol import Store
from fathom_async._util.clock import Clock
from fathom_async.errors import FathomError

PREFETCHED_LIFE = 5.0
"""Seconds for which a granted permit may lie unused before it is given back."""

_ONE = {Priority.INTERACTIVE: (1, 0, 0), Priority.NORMAL: (0, 1, 0), Priority.BULK: (0, 0, 1)}

_log = logging.getLogger("fathom_async")
_SAME = 1.0  # seconds by which one moment may differ from itself, told twice


@define(eq=False)
class SharedPermit(Permit):
    """A permit of the store, for the classes from `start` on; see `Result.base` and `Result.epoch`."""

    start: Priority = field(kw_only=True)
    base: int = field(kw_only=True)
    epoch: int = field(kw_only=True)
    granted_at: float = field(kw_only=True)


class SharedWindow(Window):
    """One process's side of a shared window, and of the store where it lives, which is closed with it.

    `tell` are the stores of the windows of the classic plan, closed with it too; see `PlanTeller`.
    """

    is_shared = True

    def __init__(self, sharing: Sharing, store: Store, *, clock: Clock, tell: Sequence[Store] = ()) -> None:
        self.failure: FathomError | None = None
        self.reply_time = store.reply_time * clock.speed
        self._sharing = sharing
        self._limit = sharing.limit
        self.span = sharing.limit.per + sharing.limit.pad
        self._store = store
        self._clock = clock
        self._reserve = sharing.reserve
        self._fewer = 0
        self._lane: Owner
        self._me = Identity()
        self._prefetched: deque[SharedPermit] = deque()
        self._unsent: set[Permit] = set()
        self._looks: set[asyncio.Future[Result | None]] = set()
        self._arrived = [0, 0]
        self._in_flight = 0
        self._is_asking = self._is_closed = False
        self._asked = NOBODY  # how many of each class had a ticket when it was asked last
        self._ask_at = 0.0
        self._last_word: float | None = -math.inf
        self._last_reply: Result | None = None
        self._replied_at = 0.0
        self._told_until = 0.0
        self._told_cap = 0, -math.inf
        self._expected: set[Priority] = set()
        self._moved: int | None = None
        self._plan = PlanTeller(sharing, store, tell, self, clock)
        store.listen(self)

    def bind(self, owner: Owner) -> None:
        self._lane = owner

    async def aclose(self) -> None:
        """Give back what was never used, and close the store."""
        if not self._is_closed:
            self._is_closed = True
            self._plan.close()
            self.release_idle()
            for permit in tuple(self._unsent):
                self._store.submit(Command("freed", self._me.owner, permit.number))
            try:
                async with AsyncExitStack() as stack:
                    for store in (self._store, *self._plan.stores):
                        stack.push_async_callback(store.aclose)
            finally:
                for told in self._looks:
                    told.cancel()

    # Questions (rule 5).

    @property
    def in_flight(self) -> int:
        return self._in_flight

    def status(self, now: float) -> WindowStatus:
        reply, at = self._known(now)
        status = WindowStatus(0)
        if reply is not None and now - at < self._sharing.lease:
            status = WindowStatus(reply.held, reply.waiting, max(0.0, reply.blocked - (now - at)))
        return status if self.failure is None else evolve(status, budget="lost")

    def returns(
        self, position: int, priority: Priority, now: float, passes: int = 0, urgent: int = 0
    ) -> float:
        """Return when so many permits after the next one can be used by a class, if nobody else comes."""
        del passes  # the reply counts those who wait elsewhere
        reply, at = self._known(now)
        usable = self._limit.requests - self._reserve
        if reply is None:
            return now + position // usable * self.span
        due = at + reply.returns_in(position, urgent, priority, usable=usable, span=self.span, age=now - at)
        return max(now, due, self._ask_at if self._asked[priority] else now)

    def cap(self, now: float) -> int:
        cap, at = self._told_cap
        return cap if now - at < self._sharing.lease else 0

    def is_outdated(self, demand: Demand, now: float) -> bool:
        look = self.next_look(demand, now)
        return 0 < self.reply_time < now - self._replied_at and (look is None or look <= now)

    def is_cold(self, now: float) -> bool:
        """Whether the server's last answer is too old to know what others have spent (rule 3)."""
        if self._last_word is None:
            return True
        others = -math.inf if self._last_reply is None else self._replied_at - self._last_reply.heard
        return now - max(self._last_word, others) >= self.span

    def next_look(self, demand: Demand, now: float) -> float | None:
        """Return when to ask again; None when an answer is under way."""
        if self._is_asking or self._plan.telling or self.failure is not None:
            return None
        return now if self._is_new(demand.priority) else self._ask_at

    async def refresh(self) -> None:
        """Ask the store what the window looks like; returns without an answer if it is lost or closed."""
        told: asyncio.Future[Result | None] = asyncio.get_running_loop().create_future()
        self._looks.add(told)
        try:
            self._store.submit(self._look(), lambda reply: None if told.done() else told.set_result(reply))
            await asyncio.wait([told])
        finally:
            self._looks.discard(told)
        if not told.cancelled():
            self._note(told.result(), self._clock.now())

    # Permits.

    def has_room(self, demand: Demand, now: float) -> bool:
        """Whether a permit is granted to us and not taken; if none is, this asks for some (rules 1 and 2)."""
        while self._prefetched and now - self._prefetched[0].granted_at > PREFETCHED_LIFE:
            self._store.submit(Command("freed", self._me.owner, self._prefetched.popleft().number))
        if not (self._prefetched or self._is_asking or self.failure) and (
            (now >= self._ask_at or self._is_new(demand.priority)) and self._plan.is_told(self._me.owner, now)
        ):
            self._ask(demand, now)
        return bool(self._prefetched)

    @property
    def granted_from(self) -> Priority | None:
        return self._prefetched[0].start if self._prefetched else None

    def take(self, priority: Priority) -> Permit:
        del priority  # the store knows for which class it is
        permit = self._prefetched.popleft()
        self._unsent.add(permit)
        self._in_flight += 1
        return permit

    def sent(self, permit: Permit, now: float) -> None:
        permit.sent_at = now
        self._unsent.discard(permit)
        self._store.submit(
            Command("hold", self._me.owner, permit.number, delay=self._sharing.count_delay + self.span)
        )

    def release(self, permit: Permit) -> None:
        self._in_flight -= 1
        self._unsent.discard(permit)
        if self._last_reply is not None:  # it counts this permit, and nothing newer may come for a while
            self._last_reply = evolve(self._last_reply, held=max(0, self._last_reply.held - 1))
        self._store.submit(Command("freed", self._me.owner, permit.number))

    def abandon(self, permit: Permit) -> None:
        """The request was sent and will not be answered; the store holds its permit as it is."""
        self._in_flight -= 1
        self._store.submit(Command("abandoned", self._me.owner, permit.number))

    def settle(self, permit: Permit, now: float, feedback: Feedback | None) -> bool:
        if (sent_at := permit.sent_at) is None:
            self.sent(permit, sent_at := now)
        self._in_flight -= 1
        command = Command("abandoned", self._me.owner, permit.number, delay=self.span)
        if feedback is not None:
            self._last_word = now
            usage = self._foreign_usage(permit, feedback)
            command = evolve(command, action="answered", foreign_usage=usage, took=now - sent_at)
        self._store.submit(command, self._heard_back if self.reply_time else None)
        return True

    def hold(self, delay: float | None = None) -> None:
        """Let the store hold a permit for a request that it does not know, by default for one sent now."""
        delay = self._sharing.count_delay + self.span if delay is None else delay
        self._store.submit(Command("hold", *self._me.numbers(1), delay=delay))

    def release_idle(self) -> None:
        """Nobody waits here: leave the queue, and give back what lies unused."""
        while self._prefetched:
            self._store.submit(Command("freed", self._me.owner, self._prefetched.popleft().number))
        if any(self._asked):
            self._asked = NOBODY
            self._store.submit(Command("leave", self._me.owner))
        self._ask_at = 0.0

    # What others should know.

    def expect(self, priority: Priority, now: float, count: int = 1) -> None:  # noqa: ARG002 - the store has its own
        """Requests of a class came; the next question tells the others."""
        if priority < len(self._arrived):
            self._arrived[priority] += count
            if not count:
                self._expected.add(priority)
                self._store.submit(Command("expect", self._me.owner, priority=priority))
        if count and self._is_new(priority):
            self._ask_at = 0.0

    def on_rate_limited(self, now: float) -> None:  # noqa: ARG002 - it is no answer
        """The server admits nothing more: ask alone the next time, and let others have what is not used yet."""
        self._last_word = None
        self.release_idle()

    def on_crowd(self, let_in: int) -> None:
        self._store.submit(Command("crowd", self._me.owner, count=let_in))

    def pause(self, until: float) -> None:
        self._store.submit(Command("pause", self._me.owner, delay=max(0.0, until - self._clock.now())))

    def resize(self, requests: int) -> None:
        """Use so many permits of those that all processes agreed on; see `Window.resize`."""
        self._fewer += self._limit.requests - requests
        self._reserve = min(self._sharing.reserve, requests - 1)
        self._limit = RateLimit(requests, self._limit.per)

    def move(self, requests: int) -> None:
        self._moved = requests
        self._store.submit(Command("move", self._me.owner, count=requests))

    def rekey(self, keys: Sequence[str]) -> None:
        """Belong to another budget from now on, which has a key for each store; it holds what is in flight."""
        self.release_idle()
        for store, key in zip((self._store, *self._plan.stores), keys, strict=False):
            store.rekey(key)
        self._last_reply = self._last_word = None
        self._told_cap = 0, -math.inf
        for _ in range(self._in_flight):
            self.hold()
        for priority in self._expected:
            self._store.submit(Command("expect", self._me.owner, priority=priority))
        if self._moved is not None:
            self.move(self._moved)
        self._plan.go_on(0.0)

    # Said by the store; see `Listener`.

    def lost(self, error: FathomError) -> None:
        self.release_idle()
        self.failure = error
        _log.error("no requests until the shared budget can be used: %s", error)
        self.change_soon()

    def back(self) -> None:
        self.failure = None
        self._last_word = None
        self._ask_at = 0.0
        _log.warning("the shared budget can be used again")
        self.change_soon()

    def change_soon(self) -> None:
        """Tell the lane that permits may be there, but not in the middle of a dispatch."""
        asyncio.get_running_loop().call_soon(self._lane.on_change)

    def _ask(self, demand: Demand, now: float) -> None:
        wanted = self._lane.wanted()
        # Where the lane itself holds back all others, one permit is all that it could use.
        waiting = _ONE[demand.priority] if wanted is None else wanted.waiting
        count = 1 if wanted is None or self.is_cold(now) else min(wanted.count, self._limit.requests)
        command = Command(
            "ask",
            *self._me.numbers(count),
            count,
            self._sharing.lease,
            self._reserve,
            fewer=self._fewer,
            waiting=waiting,
            arrived=(self._arrived[0], self._arrived[1]),
            cap=self._sharing.concurrency or 0,
            plan=self._sharing.plan,
        )
        self._arrived = [0, 0]
        self._is_asking = is_inline = True

        def told(reply: Result | None) -> None:
            self._is_asking = False
            if reply is None:
                self._arrived = [sum(pair) for pair in zip(self._arrived, command.arrived, strict=True)]
                return
            self._granted(command, reply)
            if not is_inline:
                self._lane.on_change()
            if self._is_closed or not (is_inline or self._lane.wanted()):
                self.release_idle()

        self._store.submit(command, told)
        is_inline = False

    def _granted(self, command: Command, reply: Result) -> None:
        now = self._clock.now()
        self._note(reply, now)
        due = [priority for priority in Priority for _ in range(reply.due[priority])]
        starts = [*due, *[Priority.INTERACTIVE] * (reply.granted - len(due))]
        for number, start in enumerate(starts, command.id):
            permit = SharedPermit(number, start=start, base=reply.base, epoch=reply.epoch, granted_at=now)
            self._prefetched.append(permit)
        self._asked = command.waiting if reply.granted < sum(command.waiting) else NOBODY
        self._ask_at = now + reply.wait

    def _is_new(self, priority: Priority) -> bool:
        """Whether somebody of a class need not wait for the time of the last question (rule 2)."""
        return not self._asked[priority] and any(self._asked)

    def _foreign_usage(self, permit: Permit, feedback: Feedback) -> int | None:
        """Return what `Command.foreign_usage` is for; None where the headers do not tell (rule 4)."""
        assert isinstance(permit, SharedPermit)  # noqa: S101 - for the type checker: all permits taken here are
        requests, remaining = self._limit.requests, feedback.remaining
        is_known = self._last_reply is None or self._last_reply.epoch == permit.epoch
        if remaining is None or feedback.limit != requests or not 0 <= remaining <= requests or not is_known:
            return None
        return requests - remaining - permit.base

    def _known(self, now: float) -> tuple[Result | None, float]:
        """Return what is known of the store, and since when."""
        peeked = None
        if self.reply_time == 0 and self.failure is None:
            peeked = self._store.peek(self._look())
        if peeked is None:
            return self._last_reply, self._replied_at
        self._told_cap = peeked.cap, now
        return peeked, now

    def _heard_back(self, reply: Result | None) -> None:
        self._note(reply, self._clock.now())

    def _note(self, reply: Result | None, now: float) -> None:
        """Take note of a reply, and tell the lane soon what is new: it may be in the middle of a dispatch."""
        if reply is None:
            return
        soon = asyncio.get_running_loop().call_soon
        before = self._last_reply
        self._last_reply = reply
        self._replied_at = now
        self._told_cap = reply.cap, now
        if before is not None and (reply.pauses, reply.epoch) != (before.pauses, before.epoch):
            self._last_word = None
        if reply.unsure and reply.blocked and now + reply.blocked > self._told_until + _SAME:
            self._told_until = now + reply.blocked
            self._last_word = None
            soon(self._lane.on_forgotten, reply.blocked)
        if reply.cap and (before is None or not before.cap or reply.cap < before.cap):
            soon(self._lane.on_cap, reply.cap)
        if reply.moved and (before is None or reply.moved != before.moved):
            soon(self._lane.on_moved, reply.moved)

    def _look(self) -> Command:
        return Command("look", self._me.owner, reserve=self._reserve, fewer=self._fewer)
