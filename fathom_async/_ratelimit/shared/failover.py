"""What goes on while a shared window's store is out of reach: a share of the limit, from a window of one's own.

1. When the store is lost, the window of one's own begins with a probe, whose answer tells what all have spent.
2. What was sent meanwhile is held in the store as soon as that is back.
3. A mistake of somebody's, such as a wrong password, is no outage: nothing goes on.
"""

import logging
from collections import deque

from fathom_async._ratelimit.admission import Feedback
from fathom_async._ratelimit.plan import Priority, RateLimit
from fathom_async._ratelimit.protocol import Demand, Owner, Permit, WindowStatus
from fathom_async._ratelimit.shared.protocol import Store
from fathom_async._ratelimit.shared.window import SharedPermit, SharedWindow
from fathom_async._ratelimit.window import LocalWindow
from fathom_async._util.clock import Clock
from fathom_async.errors import ArgumentError, FathomError

_log = logging.getLogger("fathom_async")


class FailoverWindow:
    """A shared window that a local one stands in for; a window, as `fathom_async._ratelimit.protocol` has it.

    Args:
        shared: The window that many processes share.
        limit: What the server admits.
        share: How many requests of it go on while the store is out of reach.
        reserve: Permits never used by us, left to the account's other clients.
        store: The store of the shared one.
        clock: Where time comes from.
        count_delay: Seconds after which a request that left this machine was counted for certain.

    Attributes:
        span: Seconds from a request's count to its permit's return.
        failure: Why nothing can be admitted, if so.
        reply_time: Seconds that admission may take though permits are free.
    """

    is_shared = True

    def __init__(
        self,
        shared: SharedWindow,
        limit: RateLimit,
        share: int,
        *,
        store: Store,
        clock: Clock,
        reserve: int = 0,
        count_delay: float = 5.0,
    ) -> None:
        self.span = shared.span
        self.reply_time = shared.reply_time
        self.failure: FathomError | None = None
        self._shared = shared
        reserve = max(reserve, limit.requests - share)
        self._local = LocalWindow(limit, reserve=reserve, count_delay=count_delay)
        self._limit = limit
        self._share = share
        self._clock = clock
        self._count_delay = count_delay
        self._lane: Owner | None = None
        self._is_alone = False
        self._untold: deque[float] = deque()  # until when permits are held of which the store does not know
        store.listen(self)

    @property
    def in_flight(self) -> int:
        """Requests admitted and not settled."""
        return self._shared.in_flight + self._local.in_flight

    def bind(self, owner: Owner) -> None:
        """Name the lane."""
        self._lane = owner
        self._shared.bind(owner)

    def status(self, now: float) -> WindowStatus:
        """Return what the window looks like."""
        if self._is_alone:
            return WindowStatus(self._local.status(now).used, budget="share")
        return self._shared.status(now)

    def returns(self, position: int, priority: Priority, now: float) -> float:
        """See `Window.returns`."""
        return self._window.returns(position, priority, now)

    def is_cold(self, now: float) -> bool:
        """See `Window.is_cold`."""
        return self._window.is_cold(now)

    def has_room(self, demand: Demand, now: float) -> bool:
        """See `Window.has_room`."""
        return self._window.has_room(demand, now)

    @property
    def granted_from(self) -> Priority | None:
        """See `Window.granted_from`."""
        return self._window.granted_from

    def next_look(self, demand: Demand, now: float) -> float | None:
        """See `Window.next_look`."""
        return self._window.next_look(demand, now)

    def take(self) -> Permit:
        """Take a permit; there must be room."""
        return self._window.take()

    def sent(self, permit: Permit, now: float) -> None:
        """See `Window.sent`."""
        self._of(permit).sent(permit, now)

    def release(self, permit: Permit) -> None:
        """See `Window.release`."""
        self._of(permit).release(permit)

    def abandon(self, permit: Permit) -> None:
        """See `Window.abandon`."""
        self._of(permit).abandon(permit)
        self._hold(permit, self._count_delay + self.span)

    def settle(self, permit: Permit, now: float, feedback: Feedback | None) -> None:
        """See `Window.settle`."""
        self._of(permit).settle(permit, now, feedback)
        self._hold(permit, self.span)

    def release_idle(self) -> None:
        """See `Window.release_idle`."""
        self._shared.release_idle()

    async def refresh(self) -> None:
        """See `Window.refresh`."""
        await self._shared.refresh()

    def expect(self, priority: Priority, now: float, count: int = 1) -> None:
        """See `Window.expect`."""
        self._shared.expect(priority, now, count)
        self._local.expect(priority, now, count)

    def on_rate_limited(self, now: float) -> None:
        """See `Window.on_rate_limited`."""
        self._shared.on_rate_limited(now)
        self._local.on_rate_limited(now)

    def on_crowd(self, let_in: int) -> None:
        """See `Window.on_crowd`."""
        self._shared.on_crowd(let_in)

    def pause(self, until: float) -> None:
        """See `Window.pause`."""
        self._shared.pause(until)

    def resize(self, requests: int) -> None:
        """See `Window.resize`."""
        self._shared.resize(requests)
        self._local.resize(requests)

    def move(self, requests: int) -> None:
        """See `Window.move`."""
        self._shared.move(requests)

    async def aclose(self) -> None:
        """See `Window.aclose`."""
        await self._shared.aclose()

    def lost(self, error: FathomError) -> None:
        """The store cannot be reached; see `Listener.lost`."""
        if isinstance(error, ArgumentError):  # rule 3
            self.failure = error
            self._shared.lost(error)
            return
        self._shared.release_idle()
        self._local.on_rate_limited(self._clock.now())  # rule 1
        self._is_alone = True
        facts = self._share, self._limit.requests, self._limit.per, error
        _log.warning("carrying on with %d of %d requests in %g s without the shared budget: %s", *facts)
        if self._lane is not None:
            self._lane.on_change()

    def back(self) -> None:
        """The store can be reached again; see `Listener.back`."""
        now = self._clock.now()
        self._is_alone = False
        self.failure = None
        while self._untold:  # rule 2
            if (until := self._untold.popleft()) > now:
                self._shared.hold(until - now)
        self._shared.back()

    @property
    def _window(self) -> SharedWindow | LocalWindow:
        return self._local if self._is_alone else self._shared

    def _of(self, permit: Permit) -> SharedWindow | LocalWindow:
        return self._shared if isinstance(permit, SharedPermit) else self._local

    def _hold(self, permit: Permit, delay: float) -> None:
        """Let the store hold a permit for a request that it does not know of (rule 2)."""
        now = self._clock.now()
        if isinstance(permit, SharedPermit):
            return
        if not self._is_alone:
            self._shared.hold(delay)
            return
        while self._untold and self._untold[0] <= now:
            self._untold.popleft()
        self._untold.append(now + delay)
