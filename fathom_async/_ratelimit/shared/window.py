"""A window that many processes share; to a lane it looks like its own (`fathom_async._ratelimit.protocol`).

The rule and its proof are in `fathom_async._ratelimit.shared.state`. This is one process's side of it: it asks the
store for permits when requests wait in its lane, keeps what was granted until the lane takes it (which it does at
once), and reports what became of each. Permits are not bound to requests, so the lane's own queue decides who gets
one, and a request that is cancelled while it waits has nothing to give back.

Each process still probes: its first request goes alone, and so does the first one after anybody was refused.
"""

import asyncio
import logging
import os
import secrets
from collections import deque
from collections.abc import Callable
from typing import Literal

from attrs import define, field

from fathom_async._ratelimit.plan import BudgetState, RateLimit
from fathom_async._ratelimit.shared.commands import Command, Result
from fathom_async._ratelimit.shared.protocol import Store
from fathom_async._ratelimit.window import LocalWindow
from fathom_async._util.clock import Clock
from fathom_async.errors import ArgumentError, FathomError

OnLost = Literal["fail"] | float

PREFETCHED_LIFE = 5.0
"""Seconds for which a granted permit may lie unused before it is given back."""

_SERIALS = 20
_BASE_BITS = 32

_log = logging.getLogger("fathom_async")


@define(eq=False)
class SharedPermit(Permit):
    """A permit of the store; see `Result.base`."""

    base: int = field(kw_only=True)
    granted_at: float = field(kw_only=True)


class SharedWindow:
    """One process's side of a shared window; the methods are those of `fathom_async._ratelimit.protocol.Window`.

    Args:
        limit: What the server admits.
        store: Where the window lives; closed with it.
        clock: Where time comes from.
        lease: Seconds for which a permit is held of which nothing more is heard.
        reserve: Permits never used by us, left to the account's other clients.
        count_delay: Seconds after which a request that left this machine was counted for certain.
        on_lost: When the store is lost, ``"fail"``, or carry on with this share of the limit (at least one
            request a window), beginning with a probe, whose answer tells what all have spent.

    Attributes:
        span: Seconds from a request's count to its permit's return.
        failure: Why nothing can be admitted, if so.
        reply_time: Seconds that admission may take though permits are free.
    """

    is_shared = True

    def __init__(
        self,
        limit: RateLimit,
        store: Store,
        *,
        clock: Clock,
        lease: float,
        reserve: int = 0,
        count_delay: float = 5.0,
        on_lost: OnLost = "fail",
    ) -> None:
        self.span = limit.per + limit.pad
        self.failure: FathomError | None = None
        self.reply_time = store.reply_time * clock.speed
        self._limit = limit
        self._store = store
        self._clock = clock
        self._lease = lease
        self._reserve = reserve
        self._fewer = 0
        self._count_delay = count_delay
        self._share = limit.requests if on_lost == "fail" else max(1, int(limit.requests * on_lost))
        self._fails = on_lost == "fail"
        self._alone = LocalWindow(
            limit, reserve=max(reserve, limit.requests - self._share), count_delay=count_delay
        )
        self._is_alone = False
        self._untold: deque[float] = deque()  # until when permits are held of which the store does not know
        self._on_change: Callable[[], None] = _nothing
        self._demand: Callable[[], int] = _one
        self._pid = self._owner = self._serial = self._base = 0
        self._prefetched: deque[SharedPermit] = deque()
        self._unsent: set[SharedPermit] = set()
        self._looks: set[asyncio.Future[Result | None]] = set()
        self._in_flight = 0
        self._is_asking = self._has_ticket = self._is_closed = False
        self._ask_at = 0.0
        self._last_word: float | None = None
        self._last_reply: Result | None = None
        self._replied_at = 0.0
        store.listen(self)

    def bind(self, on_change: Callable[[], None], demand: Callable[[], int]) -> None:
        """Name the lane's ways to be told of news, and to tell how many permits it could use now."""
        self._on_change = on_change
        self._demand = demand

    async def aclose(self) -> None:
        """Give back what was never used, and close the store."""
        if not self._is_closed:
            self._is_closed = True
            self.release_idle()
            for permit in tuple(self._unsent):
                self._submit(Command("freed", self._owner, permit.number))
            try:
                await self._store.aclose()
            finally:
                for told in self._looks:
                    told.cancel()

    @property
    def in_flight(self) -> int:
        """Requests admitted and not settled."""
        return self._in_flight + self._alone.in_flight

    def used(self, now: float) -> int:
        """Return how many permits are out, those of other processes too, as far as is known."""
        if self._is_alone:
            return self._alone.used(now)
        reply = self._known(now)
        return 0 if reply is None else reply.held

    def waiting(self, now: float) -> int:
        """Return how many other processes stood in the queue when the store was heard of last."""
        reply = self._known(now)
        return 0 if reply is None else reply.waiting

    def blocked_for(self, now: float) -> float:
        """Return the seconds for which the server wants nobody to come, as any of the processes was told."""
        reply = self._known(now)
        return 0.0 if reply is None else max(0.0, reply.blocked - (now - self._replied_at))

    async def refresh(self) -> None:
        """Ask the store what the window looks like; returns without an answer if it is lost or closed."""
        told: asyncio.Future[Result | None] = asyncio.get_running_loop().create_future()

        def tell(reply: Result | None) -> None:
            if not told.done():
                told.set_result(reply)

        self._looks.add(told)
        try:
            self._store.submit(Command("look", self._me()), tell)
            await asyncio.wait([told])
        finally:
            self._looks.discard(told)
        if not told.cancelled():
            self._note(told.result(), self._clock.now())

    def resize(self, requests: int) -> None:
        """Use so many permits of those that all processes agreed on; see `Window.resize`."""
        self._fewer += self._limit.requests - requests
        self._reserve = min(self._reserve, requests - 1)
        self._limit = RateLimit(requests, self._limit.per)
        self._alone.resize(requests)

    def is_cold(self, now: float) -> bool:
        """Whether the server's last answer to us is too old to know what others have spent."""
        if self._is_alone:
            return self._alone.is_cold(now)
        return self._last_word is None or now - self._last_word >= self.span

    def on_rate_limited(self, now: float) -> None:
        """The server admits nothing more: ask alone the next time, and let others have what is not used yet."""
        self._last_word = None
        self._alone.on_rate_limited(now)
        self.release_idle()

    def pause(self, until: float) -> None:
        """Keep all processes away until then, because the server said so."""
        self._submit(Command("pause", self._me(), delay=max(0.0, until - self._clock.now())))

    def release_idle(self) -> None:
        """Nobody waits here: leave the queue, and give back what lies unused."""
        while self._prefetched:
            self._submit(Command("freed", self._owner, self._prefetched.popleft().number))
        if self._has_ticket:
            self._has_ticket = False
            self._ask_at = 0.0
            self._submit(Command("leave", self._owner))

    def has_room(self, now: float) -> bool:
        """Whether a permit is granted to us and not taken; if none is, this asks for some."""
        if self._is_alone:
            return self._alone.has_room(now)
        while self._prefetched and now - self._prefetched[0].granted_at > PREFETCHED_LIFE:
            self._submit(Command("freed", self._owner, self._prefetched.popleft().number))
        if not self._prefetched and not self._is_asking and self.failure is None and now >= self._ask_at:
            self._ask(now)
        return bool(self._prefetched)

    def take(self) -> Permit:
        """Take a permit; there must be room."""
        if self._is_alone:
            return self._alone.take()
        permit = self._prefetched.popleft()
        self._unsent.add(permit)
        self._in_flight += 1
        return permit

    def sent(self, permit: Permit, now: float) -> None:
        """The request's bytes have left."""
        if not isinstance(permit, SharedPermit):
            self._alone.sent(permit, now)
            return
        permit.sent_at = now
        self._unsent.discard(permit)
        self._submit(Command("hold", self._owner, permit.number, delay=self._count_delay + self.span))

    def release(self, permit: Permit) -> None:
        """The request was never sent, or refused without being counted: the permit is free at once."""
        if not isinstance(permit, SharedPermit):
            self._alone.release(permit)
            return
        self._in_flight -= 1
        self._unsent.discard(permit)
        self._submit(Command("freed", self._owner, permit.number))

    def abandon(self, permit: Permit) -> None:
        """The request was sent and will not be answered; the store holds its permit as it is."""
        if isinstance(permit, SharedPermit):
            self._in_flight -= 1
        else:
            self._alone.abandon(permit)
            self._make_up(self._count_delay + self.span)

    def settle(
        self, permit: Permit, now: float, *, limit: int | None = None, remaining: int | None = None
    ) -> None:
        """The answer arrived: the request was counted by now, and the headers say what is left."""
        if not isinstance(permit, SharedPermit):
            self._alone.settle(permit, now, limit=limit, remaining=remaining)
            self._make_up(self.span)
            return
        if permit.sent_at is None:
            self.sent(permit, now)
        self._in_flight -= 1
        self._last_word = now
        foreign_usage = None
        if remaining is not None and limit == self._limit.requests:
            foreign_usage = self._limit.requests - remaining - permit.base
        self._submit(
            Command("answered", self._owner, permit.number, delay=self.span, foreign_usage=foreign_usage)
        )

    def next_return(self, now: float) -> float | None:
        """When to ask again; None when an answer is under way."""
        if self._is_alone:
            return self._alone.next_return(now)
        return None if self._is_asking or self.failure is not None else self._ask_at

    def returns(self, now: float) -> list[float]:
        """When this process's next permits are free, if all who wait take turns: an estimate."""
        if self._is_alone:
            return self._alone.returns(now)
        reply = self._look(now)
        permits = self._limit.requests - self._reserve
        if reply is None:
            return [now] * permits
        turns = max(1, permits // (reply.waiting + 1))
        first = max(now, self._replied_at + max(reply.first, reply.blocked))
        if reply.blocked or reply.waiting:
            free = 0
        elif now >= first:
            free = permits
        else:
            free = min(permits - min(reply.held, permits), turns)
        if self._has_ticket:
            first = max(now, self._ask_at)
        return [now] * min(free, turns) + [first] * (turns - free)

    @property
    def budget(self) -> BudgetState:
        """Whether the store is in reach; see `LaneStatus.budget`."""
        if self.failure is not None:
            return "lost"
        return "share" if self._is_alone else "ok"

    def lost(self, error: FathomError) -> None:
        """The store cannot be reached; see `Listener.lost`."""
        self.release_idle()
        if self._fails or isinstance(error, ArgumentError):
            self.failure = error
            _log.error("no requests until the shared budget can be used: %s", error)
        else:
            self._alone.on_rate_limited(self._clock.now())
            self._is_alone = True
            _log.warning(
                "carrying on with %d of %d requests in %g s without the shared budget: %s",
                self._share,
                self._limit.requests,
                self._limit.per,
                error,
            )
        self._on_change()

    def back(self) -> None:
        """The store can be reached again; see `Listener.back`."""
        now = self._clock.now()
        self._is_alone = False
        while self._untold:
            if (when := self._untold.popleft()) > now:
                self._make_up(when - now)
        self.failure = None
        self._last_word = None
        self._ask_at = 0.0
        _log.warning("the shared budget can be used again")
        self._on_change()

    def _make_up(self, delay: float) -> None:
        """Let the store hold a permit for a request that it does not know of, as soon as it can be told."""
        now = self._clock.now()
        if not self._is_alone:
            self._submit(Command("hold", self._me(), self._next_numbers(1), delay=delay))
            return
        while self._untold and self._untold[0] <= now:
            self._untold.popleft()
        self._untold.append(now + delay)

    def _ask(self, now: float) -> None:
        wanted = 1 if self.is_cold(now) else max(1, min(self._demand(), self._limit.requests))
        first = self._next_numbers(wanted)
        step = Command("ask", self._me(), first, wanted, self._lease, self._reserve, fewer=self._fewer)
        self._is_asking = True
        is_inline = True

        def told(reply: Result | None) -> None:
            self._is_asking = False
            if reply is None:
                return
            moment = self._clock.now()
            self._note(reply, moment)
            self._prefetched.extend(
                SharedPermit(first + number, base=reply.base, granted_at=moment)
                for number in range(reply.granted)
            )
            self._has_ticket = reply.granted < wanted
            self._ask_at = moment + reply.wait
            if not is_inline:
                self._on_change()
            if self._is_closed or not (is_inline or self._demand()):
                self.release_idle()

        self._store.submit(step, told)
        is_inline = False

    def _known(self, now: float) -> Result | None:
        """Return what the store said last; None where that is too long ago, or nobody listens to it."""
        if self._is_alone:
            return None
        reply = self._look(now)
        return None if now - self._replied_at >= self._lease else reply

    def _look(self, now: float) -> Result | None:
        if self.reply_time == 0 and self.failure is None:
            self._store.submit(Command("look", self._me()), lambda reply: self._note(reply, now))
        return self._last_reply

    def _note(self, reply: Result | None, now: float) -> None:
        if reply is None:
            return
        if self._last_reply is not None and reply.pauses != self._last_reply.pauses:
            self._last_word = None
        self._last_reply = reply
        self._replied_at = now

    def _submit(self, step: Command) -> None:
        self._store.submit(step)

    def _me(self) -> int:
        """Return this process's number in the queue; a fork is another process."""
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._owner = self._draw()
            self._base = self._draw() << _SERIALS
        return self._owner

    def _next_numbers(self, count: int) -> int:
        self._me()
        if self._serial + count >= 1 << _SERIALS:
            self._serial = 0
        first = self._base + self._serial
        self._serial += count
        return first

    @staticmethod
    def _draw() -> int:
        return secrets.randbelow((1 << _BASE_BITS) - 1) + 1


def _nothing() -> None:
    """Nobody listens yet."""


def _one() -> int:
    return 1
