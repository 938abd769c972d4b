"""One request's passage through a lane, and what its answer says about the limits."""

import asyncio
import math
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, Self

from fathom_async._ratelimit.plan import Priority
from fathom_async._util.values import fast_frozen
from fathom_async.errors import FathomError

if TYPE_CHECKING:
    from aiolimiter import AsyncLimiter

    from fathom_async._ratelimit.lane import Lane
    from fathom_async._ratelimit.protocol import Permit

Again = Literal["refused", "failed"]
"""Why a request is made again."""

_LONGEST_WAIT = 1e12  # seconds; more is not worth to be told apart


@fast_frozen
class Feedback:
    """The rate-limit headers of one answer, None where absent or unreadable.

    Attributes:
        limit: ``X-RateLimit-Limit``: requests the server admits in one window.
        remaining: ``X-RateLimit-Remaining``: how many of them it would still admit.
        retry_after: ``Retry-After`` in seconds.
    """

    limit: int | None = None
    remaining: int | None = None
    retry_after: float | None = None


SILENT = Feedback()


def read_feedback(headers: Mapping[str, str], unix: Callable[[], float]) -> Feedback:
    """Read the rate-limit headers out of a case-insensitive mapping.

    Args:
        headers: The headers.
        unix: Returns the present moment in Unix seconds, for dates that no ``Date`` header can be subtracted from.
    """
    limit = headers.get("X-RateLimit-Limit")
    retry_after = headers.get("Retry-After")
    if limit is None and retry_after is None:
        return SILENT
    return Feedback(
        _whole(limit),
        _whole(headers.get("X-RateLimit-Remaining")),
        None if retry_after is None else _seconds(retry_after, headers.get("Date"), unix),
    )


def _whole(text: str | None) -> int | None:
    try:
        return None if text is None else int(text)
    except ValueError:
        return None


def _seconds(text: str, date: str | None, unix: Callable[[], float]) -> float | None:
    """Read ``Retry-After``: seconds, or a date, which the server's own date is subtracted from."""
    try:
        seconds = float(text)
    except ValueError:
        until = _moment(text)
        if until is None:
            return None
        now = None if date is None else _moment(date)
        seconds = until - (unix() if now is None else now)
    return min(max(0.0, seconds), _LONGEST_WAIT) if math.isfinite(seconds) else None


def _moment(date: str) -> float | None:
    """Read an HTTP date, as Unix seconds."""
    try:
        moment = parsedate_to_datetime(date)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


class Asked(Protocol):
    """What a request asks for."""

    @property
    def subject(self) -> str:
        """What it asks about, such as one site."""
        ...

    @property
    def target(self) -> str:
        """All of it."""
        ...


class Admission:
    """One request's passage through a lane: ``async with lane.permit() as admission``.

    The permit is accounted for however the block is left: it is free at once if nothing was sent, and after the
    window if the server may have counted the request.

    Attributes:
        waited: Seconds spent waiting for admission.
        is_sent: Whether the request's bytes have left.
    """

    __slots__ = (
        *(
            "_waiting",
            "admitted_at",
            "again",
            "bucket",
            "flow",
            "is_sent",
            "kind",
            "lane",
            "max_wait",
            "permit",
            "priority",
        ),
        *("queued_at", "asks", "waited"),
    )

    def __init__(  # noqa: PLR0917 - called by `Lane.permit` only
        self,
        lane: "Lane",
        priority: Priority,
        flow: str,
        max_wait: float | None,
        again: Again | None,
        asks: "Asked | None",
        kind: str,
    ) -> None:
        self.lane = lane
        self.priority = priority
        self.flow = flow
        self.max_wait = max_wait
        self.again = again
        self.asks = asks
        self.kind = kind
        self.permit: Permit | None = None
        self.bucket: AsyncLimiter | None = None
        self.is_sent: bool = False
        self.waited: float = 0.0
        self.admitted_at: float = 0.0
        self.queued_at: float = 0.0
        self._waiting: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        if not self.lane.admit_at_once(self):
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                self.lane.enqueue(self)
                await self._waiting
            except BaseException:
                self.lane.gave_up(self)
                raise
            self.waited = self.admitted_at - self.queued_at
        self.lane.untaken -= 1
        if self.bucket is not None:
            try:
                await self.bucket.acquire()  # it has the token, and does not wait
            except BaseException:
                self.lane.abandoned(self)
                raise
        return self

    @property
    def subject(self) -> str:
        """What the request is about."""
        return self.asks.subject if self.asks else ""

    @property
    def is_over(self) -> bool:
        """Whether it was admitted, failed or cancelled."""
        return self._waiting is None or self._waiting.done()

    def wake(self) -> bool:
        """Let the request go on; return whether it still waits."""
        if self._waiting is None or self._waiting.done():
            return False
        self._waiting.set_result(None)
        return True

    def fail(self, error: FathomError) -> None:
        """Let the request fail, if it still waits."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)

    def sent(self) -> None:
        """Note that the request's bytes have left."""
        self.is_sent = True
        if self.permit is not None:
            self.lane.sent(self.permit)

    def answered(self, feedback: Feedback | None) -> None:
        """Note that an answer arrived, with these rate-limit headers; None when they are not about this lane."""
        if self.permit is not None:
            permit, self.permit = self.permit, None
            self.lane.answered(self, permit, feedback)

    def refused(self, feedback: Feedback) -> None:
        """Note that the answer was a refusal, which the server does not count."""
        if self.permit is not None:
            permit, self.permit = self.permit, None
            self.lane.refused(self, permit, feedback)

    def failed(self, reason: str, *, answered: bool, retry_after: float = 0.0) -> None:
        """Note that the request failed as it would while the server is away; see `Lane.failed`."""
        if self.permit is not None:
            permit, self.permit = self.permit, None
            self.lane.failed(self, permit, reason, answered=answered, retry_after=retry_after)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.permit is not None:
            self.lane.abandoned(self)
            self.permit = None
