"""What a lane asks of its window, be it its own (`LocalWindow`) or one that many processes share (`SharedWindow`)."""

from typing import Protocol

from attrs import define, field, frozen

from fathom_async._ratelimit.admission import Feedback
from fathom_async._ratelimit.plan import BudgetState, Priority
from fathom_async._util.values import fast_frozen
from fathom_async.errors import FathomError


@define(eq=False)
class Permit:
    """The right to send one request: its number in its window, and how many were not settled at its grant."""

    number: int
    outstanding_before: int = 0
    sent_at: float | None = field(default=None, init=False)


@fast_frozen
class Demand:
    """For whom a lane looks for a permit: a class, and whether it is due, so that no promise holds it back."""

    priority: Priority
    is_due: bool = False


@frozen
class Wanted:
    """How many requests of each class wait for a shared window, and how many permits could be used at once."""

    waiting: tuple[int, int, int]
    count: int


@frozen
class WindowStatus:
    """What a window looks like as far as is known: permits that are out, and other processes that wait for some.

    Nobody may come for `blocked_for` seconds, as others were told; for the budget, see `LaneStatus.budget`.
    """

    used: int
    waiting: int = 0
    blocked_for: float = 0.0
    budget: BudgetState = "ok"


class Owner(Protocol):
    """The lane, as its window sees it."""

    def wanted(self) -> Wanted | None:
        """Return what could be used now; None for nothing."""
        ...

    def on_change(self) -> None:
        """Permits may be there that were not."""

    def on_cap(self, cap: int) -> None:
        """Other processes found that the server allows so many requests in flight."""

    def on_forgotten(self, seconds: float) -> None:
        """The shared budget lost its memory; nothing is granted for so long."""

    def on_moved(self, requests: int) -> None:
        """Other processes found that the account has one limit an hour for all its endpoints."""


class Window(Protocol):
    """The permits of one rate limit. All moments are seconds of the lane's clock.

    Questions change nothing: only `has_room` may lead to something being asked of a store. Bodies here are those of
    a window that is not shared. A permit returns a span after its request was counted; admission may take
    `reply_time`, though permits are free; a failure says why nothing can be admitted.
    """

    span: float
    is_shared: bool = False
    reply_time: float = 0.0
    failure: FathomError | None = None

    @property
    def in_flight(self) -> int:
        """Requests admitted and not settled."""
        ...

    def bind(self, owner: Owner) -> None:
        """Name the lane."""
        del owner

    def status(self, now: float) -> WindowStatus:
        """Return what the window looks like."""
        ...

    def returns(
        self, position: int, priority: Priority, now: float, passes: int = 0, urgent: int = 0
    ) -> float:
        """Return when a class can use a permit behind so many others; an estimate where unanswered.

        Of those, so many are for more urgent classes; `passes` more may be taken by others at the most.
        """
        ...

    def cap(self, now: float) -> int:
        """Return how many requests may be in flight, as its processes learned and it told last; 0 for any number."""
        del now
        return 0

    def is_outdated(self, demand: Demand, now: float) -> bool:
        """Whether a store is going to be asked for it, and told so long ago what `returns` goes by."""
        del demand, now
        return False

    async def refresh(self) -> None:
        """Fetch the state of a shared window without taking a permit."""
        return

    def expect(self, priority: Priority, now: float, count: int = 1) -> None:
        """Requests of a class came; 0 for only that somebody is there who will make some."""

    def is_cold(self, now: float) -> bool:
        """Whether the server's last answer does not tell, or no longer, what others have spent."""
        ...

    def has_room(self, demand: Demand, now: float) -> bool:
        """Whether a permit is free for it; a shared window asks for some if not."""
        ...

    def next_look(self, demand: Demand, now: float) -> float | None:
        """Return when to look again for a permit; None when that waits for an answer."""
        ...

    @property
    def granted_from(self) -> Priority | None:
        """The most urgent class that may take the next permit; None where the lane's queue decides."""
        return None

    def take(self, priority: Priority) -> Permit:
        """Take a permit for a request of a class; there must be room."""
        ...

    def sent(self, permit: Permit, now: float) -> None:
        """The request's bytes have left."""

    def settle(self, permit: Permit, now: float, feedback: Feedback | None) -> bool:
        """The answer arrived: the request was counted by now; return whether it is worth looking for a permit now.

        The headers say what is left, of another window if they name another limit. They are None when they tell
        nothing: the answer is an error of the server's, or not its own.
        """
        ...

    def release(self, permit: Permit) -> None:
        """The request was never sent, or refused without being counted: the permit is free at once."""

    def abandon(self, permit: Permit) -> None:
        """The request was sent and will not be answered; it may be counted all the same."""

    def release_idle(self) -> None:
        """Release unused permits; called when no request is waiting."""
        return

    def on_rate_limited(self, now: float) -> None:
        """The server admits nothing more though permits were free: others spend too, more than was seen."""

    def on_crowd(self, let_in: int) -> None:
        """Tell the other processes that the server rejected a request because too many were in flight."""
        del let_in

    def pause(self, until: float) -> None:
        """Stop all processes until then, as the server demands."""
        del until

    def resize(self, requests: int) -> None:
        """Have so many permits from now on; those that are out stay out."""

    def move(self, requests: int) -> None:
        """Tell the other processes that the account has one hourly limit for all endpoints; 0: that it has none."""
        del requests

    async def aclose(self) -> None:
        """Return unused permits to the processes that share them."""
        return
