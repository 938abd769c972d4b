"""One request's passage through a lane, and what its answer says about the limits."""

import asyncio
import math
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, Self

from attrs import define, field

from fathom_async._ratelimit.breaker import MEMORY, FailedRequest
from fathom_async._ratelimit.plan import Priority
from fathom_async._util.text import plain_number
from fathom_async._util.values import fast_frozen
from fathom_async.errors import FathomError
from fathom_async.telemetry import Paused, Recovered

if TYPE_CHECKING:
    from fathom_async._ratelimit.lane import Lane
    from fathom_async._ratelimit.protocol import Permit

Again = Literal["refused", "failed"]
"""Why a request is made again."""

_LONGEST_WAIT = 1e12  # seconds; more is not worth to be told apart


@fast_frozen
class LimitHeaders:
    """The names of the headers in which a service tells its limits; None for one that it lacks or that is wrong.

    Attributes:
        limit: How many requests the server admits in one window.
        remaining: How many of them it would still admit.
        retry_after: In how many seconds, or when, a refused request may come again.
    """

    limit: str | None = "X-RateLimit-Limit"
    remaining: str | None = "X-RateLimit-Remaining"
    retry_after: str | None = "Retry-After"


USUAL = LimitHeaders()


@fast_frozen
class Feedback:
    """What the rate-limit headers of one answer say, None where absent or unreadable; see `LimitHeaders`."""

    limit: int | None = None
    remaining: int | None = None
    retry_after: float | None = None


SILENT = Feedback()


def read_feedback(
    headers: Mapping[str, str], unix: Callable[[], float], names: LimitHeaders = USUAL
) -> Feedback:
    """Read the headers out of a case-insensitive mapping; Unix time serves dates that come without a ``Date``."""
    limit = None if names.limit is None else headers.get(names.limit)
    retry_after = None if names.retry_after is None else headers.get(names.retry_after)
    if limit is None and retry_after is None:
        return SILENT
    return Feedback(
        _whole(limit),
        None if names.remaining is None else _whole(headers.get(names.remaining)),
        None if retry_after is None else _seconds(retry_after, headers.get("Date"), unix),
    )


@lru_cache(maxsize=1024)
def _whole(text: str | None) -> int | None:
    try:
        return None if text is None else int(plain_number(text))
    except ValueError:
        return None


def _seconds(text: str, date: str | None, unix: Callable[[], float]) -> float | None:
    """Read ``Retry-After``: seconds, or a date, which the server's own date is subtracted from."""
    try:
        seconds = float(plain_number(text))
    except ValueError:
        until = _moment(text)
        if until is None:
            return None
        now = None if date is None else _moment(date)
        seconds = until - (unix() if now is None else now)
    return min(max(0.0, seconds), _LONGEST_WAIT) if math.isfinite(seconds) else None


def _moment(date: str) -> float | None:
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


@define(eq=False)
class Admission:
    """One request's passage through a lane: ``async with lane.permit() as admission``; see `Lane.permit`.

    The permit is accounted for however the block is left: it is free at once if nothing was sent, and after the
    window if the server may have counted the request.
    """

    lane: "Lane"
    priority: Priority
    flow: str
    max_wait: float | None
    again: Again | None
    asks: Asked | None
    kind: str
    permit: "Permit | None" = field(default=None, init=False)
    is_sent: bool = field(default=False, init=False)
    waited: float = field(default=0.0, init=False)
    admitted_at: float = field(default=0.0, init=False)
    queued_at: float = field(default=0.0, init=False)
    deadline: float = field(default=math.inf, init=False)
    _waiting: asyncio.Future[None] | None = field(default=None, init=False)

    async def __aenter__(self) -> Self:
        if not self.lane.admit_at_once(self):
            self._waiting = asyncio.get_running_loop().create_future()
            try:
                self.lane.enqueue(self)
                await self._waiting
            except BaseException:
                self._give_up()
                raise
            self.waited = self.admitted_at - self.queued_at
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.permit is not None:
            self._abandon()

    # While it waits.

    @property
    def subject(self) -> str:
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
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)

    def _give_up(self) -> None:
        if self.permit is not None:  # admitted and cancelled in the same tick
            self._abandon()
        else:
            self.lane.waiting.discard(self)
            self.lane.dispatch(self.lane.now())

    # What becomes of it. The first word about its permit counts.

    def sent(self) -> None:
        """Note that the request's bytes have left."""
        self.is_sent = True
        if self.permit is not None:
            self.lane.window.sent(self.permit, self.lane.now())

    def answered(self, feedback: Feedback | None) -> None:
        """Note that an answer arrived, with these rate-limit headers; None when they are not about this lane."""
        permit, self.permit = self.permit, None
        if permit is None:
            return
        lane, now = self.lane, self.lane.now()
        sent_at = now if permit.sent_at is None else permit.sent_at
        concurrency, restraint = lane.concurrency, lane.restraint
        took, usual = now - sent_at, concurrency.usual_time
        concurrency.usual_time += (took - usual) / 8 if usual else took
        if concurrency.is_lowered:
            concurrency.proved(permit.outstanding_before + 1, now)
        if restraint.untold_cap:
            restraint.tell_cap(now)
        if feedback is not None:
            restraint.heard = feedback
            if self._is_news(feedback, now):
                feedback = restraint.answered(permit, feedback, now)
        is_more = lane.window.settle(permit, now, feedback)
        self._came_back(sent_at, now)
        if is_more or lane.waiting.awaits_answer:  # else the timer is set for when a permit comes back
            lane.dispatch(now)

    def _is_news(self, feedback: Feedback, now: float) -> bool:
        """Whether an answer says something new: another limit, or, to a probe, that others spend."""
        restraint, remaining = self.lane.restraint, feedback.remaining
        requests = restraint.limit.requests
        if restraint.lessons.is_learning or (feedback.limit is not None and feedback.limit != requests):
            return True
        return remaining is not None and remaining < requests - 1 and self.lane.window.is_cold(now)

    def refused(self, feedback: Feedback) -> None:
        """Note that the answer was a refusal, which the server does not count."""
        permit, self.permit = self.permit, None
        if permit is None:
            return
        lane, now = self.lane, self.lane.now()
        lane.window.release(permit)
        self._came_back(now if permit.sent_at is None else permit.sent_at, now)
        lane.restraint.refused(permit, feedback, now)
        lane.dispatch(now)

    def failed(self, reason: str, *, answered: bool, retry_after: float = 0.0) -> None:
        """Note that the request failed, or was answered by an error, as it would while the server is away.

        `retry_after` are the seconds after which the server says to be back; 0 when it did not.
        """
        permit, self.permit = self.permit, None
        if permit is None:
            return
        lane, now = self.lane, self.lane.now()
        sent_at = self.admitted_at if permit.sent_at is None else permit.sent_at
        if answered:
            lane.window.settle(permit, now, None)
        else:
            self._give_back(permit)
        target = self.asks.target if self.asks else ""
        is_alive = now - lane.answered_at < MEMORY
        failure = FailedRequest(target, self.subject, reason, retry_after, is_alive, lane.waiting.are_others)
        pause = lane.breaker.failed(self, failure, sent_at, now)
        if pause is not None:
            lane.telemetry.paused(Paused(lane.name, now, pause, "away"), lane.breaker.reason)
            lane.waiting.fail_impatient(lane.outage, now)
        lane.dispatch(now)

    def _abandon(self) -> None:
        """Note that the caller went away, or nothing was sent."""
        permit, self.permit = self.permit, None
        lane = self.lane
        if permit is not None:
            self._give_back(permit)
        if lane.breaker.has_failed:
            lane.breaker.ended(self)
        lane.dispatch(lane.now())

    def _give_back(self, permit: "Permit") -> None:
        if permit.sent_at is None:
            self.lane.window.release(permit)
        else:
            self.lane.window.abandon(permit)

    def _came_back(self, sent_at: float, now: float) -> None:
        lane = self.lane
        lane.answered_at = now
        if lane.breaker.has_failed and lane.breaker.succeeded(self, sent_at):
            lane.telemetry.recovered(Recovered(lane.name, now))
