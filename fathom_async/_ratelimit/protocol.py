"""What a lane asks of its window, be it its own (`LocalWindow`) or one that many processes share (`SharedWindow`)."""

from collections.abc import Callable
from typing import Protocol

from fathom_async._ratelimit.plan import BudgetState
from fathom_async._ratelimit.window import Permit
from fathom_async.errors import FathomError


class Window(Protocol):
    """The permits of one rate limit. All moments are seconds of the lane's clock."""

    @property
    def span(self) -> float:
        """Seconds from a request's count to its permit's return."""
        ...

    @property
    def is_shared(self) -> bool:
        """Whether other processes take of the same permits."""
        ...

    @property
    def failure(self) -> FathomError | None:
        """Why nothing can be admitted, if so."""
        ...

    @property
    def budget(self) -> BudgetState:
        """Whether the budget that is shared with other processes is in reach; see `LaneStatus.budget`."""
        ...

    @property
    def reply_time(self) -> float:
        """Seconds that admission may take though permits are free."""
        ...

    @property
    def in_flight(self) -> int:
        """Requests admitted and not settled."""
        ...

    def bind(self, on_change: Callable[[], None], demand: Callable[[], int]) -> None:
        """Name the lane's ways to be told of news, and to tell how many permits it could use now."""

    def used(self, now: float) -> int:
        """Return how many permits are out, ours and those of others, as far as is known."""
        ...

    def waiting(self, now: float) -> int:
        """Return how many other processes wait for permits, as far as is known."""
        ...

    def blocked_for(self, now: float) -> float:
        """Return the seconds for which the server wants nobody to come, as others have told."""
        ...

    async def refresh(self) -> None:
        """Learn what the window looks like now; no permit is taken."""

    def resize(self, requests: int) -> None:
        """Have so many permits from now on; those that are out stay out."""

    def is_cold(self, now: float) -> bool:
        """Whether the server's last answer does not tell, or no longer, what others have spent."""
        ...

    def has_room(self, now: float) -> bool:
        """Whether a permit is free; a shared window asks for one if not."""
        ...

    def take(self) -> Permit:
        """Take a permit; there must be room."""
        ...

    def sent(self, permit: Permit, now: float) -> None:
        """The request's bytes have left."""

    def settle(
        self, permit: Permit, now: float, *, limit: int | None = None, remaining: int | None = None
    ) -> None:
        """The answer arrived: the request was counted by now, and the headers say what is left.

        Args:
            permit: The request's permit.
            now: The moment the answer arrived.
            limit: ``X-RateLimit-Limit``. When it is not this window's, `remaining` speaks of another one.
            remaining: ``X-RateLimit-Remaining``.
        """

    def release(self, permit: Permit) -> None:
        """The request was never sent, or refused without being counted: the permit is free at once."""

    def abandon(self, permit: Permit) -> None:
        """The request was sent and will not be answered; it may be counted all the same."""

    def on_rate_limited(self, now: float) -> None:
        """The server admits nothing more though permits were free: others spend too, more than was seen."""

    def pause(self, until: float) -> None:
        """Keep everybody away until then, because the server said so."""

    def release_idle(self) -> None:
        """Nobody waits here: leave what is not used to others."""

    def next_return(self, now: float) -> float | None:
        """When to look again for a permit, as far as is known; None when that waits for an answer."""
        ...

    def returns(self, now: float) -> list[float]:
        """When each permit can be used, in order: now for free ones; an estimate for those not answered."""
        ...

    async def aclose(self) -> None:
        """Leave the permits to the others who share them."""
