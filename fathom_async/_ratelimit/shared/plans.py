"""The plan that a process was given, told to the other processes of its budget.

1. An hourly plan is told to the windows of the classic plan before the first question, and again while it is used.
   Processes that have to learn the plan hear of it there, and so do those that were given another one.
2. Nothing is told where somebody objects, and nothing asked before all had time to.
3. A window that is out of reach cannot object, and holds nobody up; it is told later.
4. The plan of a process is known for as long as its client is open, however little that asks.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fathom_async._ratelimit.shared.commands import PLAN_FOR, Action, Command, Result, Sharing
from fathom_async._ratelimit.shared.protocol import LOST_AFTER, Store
from fathom_async._util.clock import Clock, Timer
from fathom_async.errors import ArgumentError, FathomError

if TYPE_CHECKING:
    from fathom_async._ratelimit.shared.window import SharedWindow


class PlanTeller:
    """Tells a plan to the windows of the classic one, and listens to what these say.

    `telling` counts those that have not answered yet.
    """

    def __init__(
        self, sharing: Sharing, own: Store, stores: Sequence[Store], window: "SharedWindow", clock: Clock
    ) -> None:
        self.stores = stores
        self._plan = sharing.plan
        self._requests = sharing.limit.requests
        self._own = own
        self._window = window
        self._clock = clock
        self.telling: int = 0
        self._round = 0
        self._tell_at = -math.inf if stores else math.inf
        self._owner = 0
        self._timer: Timer | None = None
        for store in stores:
            store.listen(self)

    def is_told(self, owner: int, now: float) -> bool:
        """Whether nobody objects to the plan; else this tells it."""
        self._owner = owner
        if self._plan and self._timer is None:
            self._timer = self._clock.call_at(now + PLAN_FOR / 2, self._renew)
        if now >= self._tell_at and not self.telling:
            self._tell("look")
        return not (self.telling or self._window.failure)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _tell(self, action: Action) -> None:
        self.telling = len(self.stores)
        self._round = number = self._round + 1

        def told(reply: Result | None) -> None:
            if number != self._round:
                return
            self.telling -= 1
            if reply is None:
                self._go_on(LOST_AFTER)  # rule 3
            elif not self.telling and not self._window.failure:
                if action == "look":
                    self._tell("move")
                else:
                    self._go_on(PLAN_FOR / 2)

        for store in self.stores:
            store.submit(Command(action, self._owner, count=self._requests, plan=self._plan), told)

    def _go_on(self, seconds: float) -> None:
        """Let the window ask, and tell again after so many seconds."""
        self.telling = 0
        self._round += 1
        self._tell_at = self._clock.now() + seconds
        self._window.change_soon()

    def _renew(self) -> None:
        """Name the plan again (rule 4): a look renews the plan that is there."""
        self._timer = self._clock.call_at(self._clock.now() + PLAN_FOR / 2, self._renew)
        for store in (self._own, *self.stores):
            store.submit(Command("look", self._owner, plan=self._plan))

    def lost(self, error: FathomError) -> None:
        """Somebody objects, or a store is out of reach, which the window's own one tells, too."""
        if isinstance(error, ArgumentError):
            self._window.lost(error)
        elif self.telling:
            self._go_on(LOST_AFTER)

    def back(self) -> None:
        if isinstance(self._window.failure, ArgumentError):
            self._tell_at = -math.inf
            self._window.back()
