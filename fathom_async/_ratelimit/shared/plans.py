"""The plan that a process was given, told to the other processes of its budget.

1. An hourly plan is told to the windows of the classic plan before the first question, and again while it is used.
   Processes that have to learn the plan hear of it there, and so do those that were given another one.
2. Nothing is told where somebody objects, and nothing asked before all had time to.
"""

import math
from collections.abc import Sequence
from typing import Protocol

from fathom_async._ratelimit.shared.commands import PLAN_FOR, Action, Command, Result
from fathom_async._ratelimit.shared.protocol import Listener, Store
from fathom_async.errors import ArgumentError, FathomError


class Teller(Listener, Protocol):
    """The window of the plan."""

    failure: FathomError | None

    def change_soon(self) -> None:
        """Permits may be there that were not."""


class PlanTeller:
    """Tells a plan to the windows of the classic one, and listens to what these say.

    Args:
        plan: The plan; see `Command.plan`.
        stores: Where the windows of the classic plan live.
        window: The window of the plan.

    Attributes:
        telling: How many of them have not answered yet.
    """

    def __init__(self, plan: int, stores: Sequence[Store], window: Teller) -> None:
        self.stores = stores
        self._plan = plan
        self._window = window
        self.telling: int = 0
        self._tell_at = -math.inf if stores else math.inf
        for store in stores:
            store.listen(self)

    def is_told(self, owner: int, now: float) -> bool:
        """Whether nobody objects to the plan; else this tells it."""
        if now >= self._tell_at and not self.telling:
            self._tell("look", owner, now)
        return not (self.telling or self._window.failure)

    def _tell(self, action: Action, owner: int, now: float) -> None:
        self.telling = len(self.stores)

        def told(reply: Result | None) -> None:  # noqa: ARG001 - who objects is heard as `lost`
            self.telling -= 1
            if self.telling or self._window.failure:
                return
            if action == "look":
                self._tell("move", owner, now)
            else:
                self._tell_at = now + PLAN_FOR / 2
                self._window.change_soon()

        for store in self.stores:
            store.submit(Command(action, owner, count=self._plan, plan=self._plan), told)

    def lost(self, error: FathomError) -> None:
        """Somebody objects. That a store is out of reach is told by the window's own one."""
        if isinstance(error, ArgumentError):
            self._window.lost(error)

    def back(self) -> None:
        """Nobody objects any more."""
        if isinstance(self._window.failure, ArgumentError):
            self._window.back()
