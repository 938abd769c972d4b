"""What goes on while a shared window's store is out of reach: a share of the limit, from a window of one's own.

1. When the store is lost, the window of one's own begins with a probe, whose answer tells what all have spent.
2. What was sent meanwhile is held in the store as soon as that is back.
3. A mistake of somebody's, such as a wrong password, is no outage: nothing goes on.
"""

import logging
from collections import deque
from collections.abc import Sequence

from fathom_async._ratelimit.admission import Feedback
from fathom_async._ratelimit.plan import Priority
from fathom_async._ratelimit.protocol import Demand, Permit, WindowStatus
from fathom_async._ratelimit.shared.commands import Sharing
from fathom_async._ratelimit.shared.protocol import Store
from fathom_async._ratelimit.shared.window import SharedPermit, SharedWindow
from fathom_async._ratelimit.window import LocalWindow
from fathom_async._util.clock import Clock
from fathom_async.errors import ArgumentError, FathomError

_log = logging.getLogger("fathom_async")


class FailoverWindow(SharedWindow):
    """A `SharedWindow` that a local one stands in for, with a share of the limit, while its store is out of reach."""

    def __init__(
        self, sharing: Sharing, store: Store, share: int, *, clock: Clock, tell: Sequence[Store] = ()
    ) -> None:
        super().__init__(sharing, store, clock=clock, tell=tell)
        reserve = max(sharing.reserve, sharing.limit.requests - share)
        self._local = LocalWindow(sharing.limit, reserve=reserve, count_delay=sharing.count_delay)
        self._share = share
        self._is_alone = False
        self._untold: deque[float] = deque()  # until when permits are held of which the store does not know

    @property
    def in_flight(self) -> int:
        return super().in_flight + self._local.in_flight

    @property
    def granted_from(self) -> Priority | None:
        return None if self._is_alone else super().granted_from

    def status(self, now: float) -> WindowStatus:
        if self._is_alone:
            return WindowStatus(self._local.status(now).used, budget="share")
        return super().status(now)

    def returns(
        self, position: int, priority: Priority, now: float, passes: int = 0, urgent: int = 0
    ) -> float:
        if self._is_alone:
            return self._local.returns(position, priority, now, passes, urgent)
        return super().returns(position, priority, now, passes, urgent)

    def cap(self, now: float) -> int:
        return 0 if self._is_alone else super().cap(now)

    def is_outdated(self, demand: Demand, now: float) -> bool:
        return not self._is_alone and super().is_outdated(demand, now)

    def is_cold(self, now: float) -> bool:
        return self._local.is_cold(now) if self._is_alone else super().is_cold(now)

    def has_room(self, demand: Demand, now: float) -> bool:
        return self._local.has_room(demand, now) if self._is_alone else super().has_room(demand, now)

    def next_look(self, demand: Demand, now: float) -> float | None:
        return self._local.next_look(demand, now) if self._is_alone else super().next_look(demand, now)

    def take(self, priority: Priority) -> Permit:
        return self._local.take(priority) if self._is_alone else super().take(priority)

    def sent(self, permit: Permit, now: float) -> None:
        if isinstance(permit, SharedPermit):
            super().sent(permit, now)
        else:
            self._local.sent(permit, now)

    def release(self, permit: Permit) -> None:
        if isinstance(permit, SharedPermit):
            super().release(permit)
        else:
            self._local.release(permit)

    def abandon(self, permit: Permit) -> None:
        if isinstance(permit, SharedPermit):
            super().abandon(permit)
        else:
            self._local.abandon(permit)
            self._hold_later(self._sharing.count_delay + self.span)

    def settle(self, permit: Permit, now: float, feedback: Feedback | None) -> bool:
        if isinstance(permit, SharedPermit):
            return super().settle(permit, now, feedback)
        self._hold_later(self.span)
        return self._local.settle(permit, now, feedback)

    def expect(self, priority: Priority, now: float, count: int = 1) -> None:
        super().expect(priority, now, count)
        self._local.expect(priority, now, count)

    def on_rate_limited(self, now: float) -> None:
        super().on_rate_limited(now)
        self._local.on_rate_limited(now)

    def resize(self, requests: int) -> None:
        super().resize(requests)
        self._local.resize(requests)

    def lost(self, error: FathomError) -> None:
        if isinstance(error, ArgumentError):  # rule 3
            super().lost(error)
            return
        self.release_idle()
        self._local.on_rate_limited(self._clock.now())  # rule 1
        self._is_alone = True
        facts = self._share, self._limit.requests, self._limit.per, error
        _log.warning("carrying on with %d of %d requests in %g s without the shared budget: %s", *facts)
        self.change_soon()

    def back(self) -> None:
        now = self._clock.now()
        self._is_alone = False
        while self._untold:  # rule 2
            if (until := self._untold.popleft()) > now:
                self.hold(until - now)
        super().back()

    def _hold_later(self, delay: float) -> None:
        """Let the store hold a permit for a request that it does not know of (rule 2)."""
        if not self._is_alone:
            self.hold(delay)
            return
        now = self._clock.now()
        while self._untold and self._untold[0] <= now:
            self._untold.popleft()
        self._untold.append(now + delay)
