"""Equal requests that may be shared, under way at the same time, are one.

1. It is carried as its most urgent caller wants it: one who comes later moves it up in its lane, if it still waits,
   and gives it the longer `timeout`.
2. Each caller has a `max_wait` of its own. The lane knows the latest, and fails the request for all; the others leave
   it by themselves, as those do who are cancelled.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Generic, TypeVar

from attrs import define, evolve, field

from fathom_async._core.request import Options, Request
from fathom_async._ratelimit.admission import Admission, Again
from fathom_async._ratelimit.lane import Lane
from fathom_async._util.clock import Clock, Timer
from fathom_async.errors import FathomError

T = TypeVar("T")


@define(eq=False)
class Patience:
    """How long one of several callers waits; `leaving` is set to its error when it waits no longer."""

    until: float
    max_wait: float
    leaving: asyncio.Future[FathomError]
    timer: Timer | None = None

    def end(self, error: FathomError) -> None:
        """Let the caller leave with an error."""
        if not self.leaving.done():
            self.leaving.set_result(error)


@define(eq=False)
class Call(Generic[T]):
    """A request under way, and what has become of its attempts.

    Attributes:
        request: The request.
        options: How it is carried (rule 1).
        number: The same in all of its events.
        deadline: When its last caller has waited for long enough.
        requests: Those of all callers, for what they want to be told.
        patience: That of the callers with a `max_wait`, if the request is shared (rule 2).
        admission: The present attempt's; None between two.
    """

    request: Request[T]
    options: Options
    number: int
    deadline: float
    requests: list[Request[T]]
    patience: list[Patience] = field(factory=list[Patience])
    admission: Admission | None = None
    again: Again | None = None
    failures: int = 0
    refusals: int = 0
    failing_since: float | None = None
    perhaps_done: bool = False

    @property
    def is_waiting(self) -> bool:
        """Whether no attempt is on its way."""
        return self.admission is None or not self.admission.is_over

    def join(self, request: Request[T], options: Options, deadline: float, lane: Lane) -> None:
        """Carry the request as one more caller wants it, too, or raise its `WaitTooLongError`."""
        admission, carried = self.admission, self.options
        priority, flow = carried.priority, carried.flow
        if admission is not None and not admission.is_over:
            lane.join(admission, options.priority, options.flow, options.max_wait)
            priority, flow = admission.priority, admission.flow
        elif self.is_waiting and options.max_wait is not None:
            ahead = lane.waiting.queue.ahead_of(options.priority, options.flow)
            lane.check_wait(ahead, options.priority, options.max_wait)
        if options.priority < priority:
            priority, flow = options.priority, options.flow
        timeout = max(options.timeout, carried.timeout)
        self.options = evolve(carried, priority=priority, flow=flow, timeout=timeout)
        self.deadline = max(self.deadline, deadline)
        self.requests.append(request)

    def be_patient(self, until: float, max_wait: float) -> Patience:
        """Note how long one of the callers waits."""
        patience = Patience(until, max_wait, asyncio.get_running_loop().create_future())
        self.patience.append(patience)
        return patience

    def forget(self, patience: Patience) -> None:
        """Note that a caller waits no longer."""
        self.patience.remove(patience)
        if patience.timer is not None:
            patience.timer.cancel()

    def watch(self, lanes: Mapping[str, Lane], clock: Clock) -> None:
        """Let each caller leave in time whom the lane does not fail (rule 2)."""
        for each in self.patience:
            if each.timer is None and each.until < self.deadline:
                until = max(each.until, clock.now() + lanes[self.request.lane].window.reply_time)
                each.timer = clock.call_at(until, partial(self._lose_patience, each, lanes))

    def _lose_patience(self, caller: Patience, lanes: Mapping[str, Lane]) -> None:
        """Let a caller leave a request that the others wait for, unless an attempt is on its way."""
        if self.is_waiting:
            lane, options = lanes[self.request.lane], self.options
            eta = lane.eta(1, options.priority, options.flow)
            caller.end(lane.waiting.too_long(eta, caller.max_wait))
