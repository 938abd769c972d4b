"""One request's passage through a lane."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

from fathom_async._ratelimit.feedback import Feedback
from fathom_async._ratelimit.plan import Priority

if TYPE_CHECKING:
    from fathom_async._ratelimit.lane import Lane
    from fathom_async._ratelimit.permit import Permit


class Admission:
    """One request's passage through a lane: ``async with lane.permit() as admission``.

    However the block is left, the permit is accounted for: it comes back at once if nothing was sent, and after
    the window if the server may have counted the request.

    Attributes:
        waited: Seconds that admission took.
        is_sent: Whether the request's bytes have left.
    """

    __slots__ = ("_first", "_lane", "_max_wait", "_permit", "_priority", "is_sent", "waited")

    def __init__(self, lane: "Lane", priority: Priority, max_wait: float | None, first: bool) -> None:
        self._lane = lane
        self._priority = priority
        self._max_wait = max_wait
        self._first = first
        self._permit: Permit | None = None
        self.is_sent = False
        self.waited = 0.0

    async def __aenter__(self) -> Self:
        self._permit = self._lane.admit_at_once()
        if self._permit is None:
            asked = self._lane.now()
            self._permit = await self._lane.admit_later(self._priority, self._max_wait, self._first)
            self.waited = self._lane.now() - asked
        return self

    def sent(self) -> None:
        """The request's bytes have left."""
        self.is_sent = True
        if self._permit is not None:
            self._lane.sent(self._permit)

    def answered(self, feedback: Feedback) -> None:
        """The answer arrived, with these rate-limit headers."""
        if self._permit is not None:
            self._lane.answered(self._permit, feedback)
            self._permit = None

    def refused(self, feedback: Feedback) -> None:
        """The answer was a refusal, which the server does not count."""
        if self._permit is not None:
            self._lane.refused(self._permit, feedback)
            self._permit = None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._permit is not None:
            self._lane.abandoned(self._permit)
            self._permit = None
