"""The interface between a lane and its window: a `LocalWindow`, or a `SharedWindow` of many processes."""

from collections.abc import Callable
from typing import Protocol

from attrs import define, field

from fathom_async._ratelimit.plan import BudgetState
from fathom_async.errors import FathomError


@define(eq=False)
class Permit:
    """The right to send one request.

    Attributes:
        number: Permits granted by its window so far, this one included.
        outstanding_before: How many of them were not settled yet when it was granted.
        sent_at: When the request's bytes left; None before.
    """

    number: int
    outstanding_before: int = 0
    sent_at: float | None = field(default=None, init=False)


class Window(Protocol):
    """The permits of one rate limit; where a method has a default, it is for a window that is not shared.

    All moments are seconds of the lane's clock.

    Attributes:
        span: Seconds from a request's count to its permit's return.
        is_shared: Whether other processes take permits of the same window.
        failure: The reason why nothing can be admitted, if so.
        reply_time: Seconds that admission may take though permits are free.
    """

    __slots__ = ()

    span: float
    is_shared: bool = False
    failure: FathomError | None = None
    reply_time: float = 0.0

    @property
    def budget(self) -> BudgetState:
        """Whether the shared budget is in reach; see `LaneStatus.budget`."""
        return "ok"

    @property
    def in_flight(self) -> int:
        """Requests admitted and not settled."""
        ...

    def bind(self, on_change: Callable[[], None], demand: Callable[[], int]) -> None:
        """Register the lane's callbacks: news have arrived, and how many permits it could use now."""
        del on_change, demand

    def used(self, now: float) -> int:
        """Return how many permits are out, ours and those of others, as far as is known."""
        ...

    def waiting(self, now: float) -> int:
        """Return how many other processes wait for permits, as far as is known."""
        del now
        return 0

    def blocked_for(self, now: float) -> float:
        """Return the seconds for which other processes were told to stay away by the server."""
        del now
        return 0.0

    async def refresh(self) -> None:
        """Fetch the state of the window; no permit is taken."""
        return

    def resize(self, requests: int) -> None:
        """Change the number of permits; those that are out stay out."""

    def is_cold(self, now: float) -> bool:
        """Whether the server's last answer is missing or too old to know what others have spent."""
        ...

    def has_room(self, now: float) -> bool:
        """Whether a permit is free; a shared window asks for one if not."""
        ...

    def take(self) -> Permit:
        """Take a permit; there must be room."""
        ...

    def sent(self, permit: Permit, now: float) -> None:
        """Note that the request's bytes have left."""

    def settle(
        self, permit: Permit, now: float, *, limit: int | None = None, remaining: int | None = None
    ) -> None:
        """Settle the permit of a request that was answered, so counted by now; its headers say what is left.

        Args:
            permit: The request's permit.
            now: The moment the answer arrived.
            limit: ``X-RateLimit-Limit``. When it is not this window's, `remaining` is about another one.
            remaining: ``X-RateLimit-Remaining``.
        """

    def release(self, permit: Permit) -> None:
        """Free the permit of a request that was never sent, or refused without being counted."""

    def abandon(self, permit: Permit) -> None:
        """Give up on an answer; the request may have been counted all the same."""

    def on_rate_limited(self, now: float) -> None:
        """Note that the server admits nothing more though permits were free: others spend more than was seen."""

    def pause(self, until: float) -> None:
        """Stop all processes until then, as the server demands."""
        del until

    def release_idle(self) -> None:
        """Release unused permits; called when no request is waiting."""
        return

    def next_return(self, now: float) -> float | None:
        """Return when to try again for a permit, as far as is known; None when an answer has to arrive first."""
        ...

    def returns(self, now: float) -> list[float]:
        """Return when each permit can be used, in order: now for free ones; an estimate for those not answered."""
        ...

    async def aclose(self) -> None:
        """Return unused permits to the processes that share them."""
        return
