"""What is said to a shared window, and what it answers."""

from collections.abc import Sequence
from typing import Literal

from attrs import frozen

from fathom_async._ratelimit.plan import Priority, RateLimit
from fathom_async._ratelimit.promise import patience
from fathom_async._ratelimit.queue import PASSES
from fathom_async.errors import ConfigurationError

Action = Literal[
    "ask", "hold", "answered", "abandoned", "freed", "leave", "pause", "crowd", "expect", "move", "look"
]

Counts = tuple[int, int, int]
"""A number for each class, the most urgent first."""

NOBODY: Counts = (0, 0, 0)

CLASSIC = -1
"""A plan with limits of its own for reports and for all else."""

_CAPS = 10_000

PLAN_FOR = 120.0
"""Seconds for which a plan that a process was given is known."""


@frozen
class QuotaConfig:
    """What all steps of one lane have in common: N permits in T seconds, each of which comes back after a span.

    `settle` are the seconds after which to look again where a permit's return is not known yet, `ticket_ttl` those
    that a ticket is kept after its time came.
    """

    requests: int
    per: float
    span: float
    settle: float
    ticket_ttl: float


@frozen
class Command:
    """One atomic step.

    Attributes:
        action: ``ask`` for permits; ``hold`` one until a delay from now; it was ``answered``; it was sent and is
            ``abandoned``, or answered with a failure that tells nothing; permits were ``freed``; ``leave`` the queue;
            ``pause`` everybody; the server refused a ``crowd``; ``expect`` a class to come; ``move`` everybody to
            another lane; ``look``.
        owner: Who asks; never 0.
        id: The permit, or the first of the permits asked for, which are numbered from there.
        count: How many permits at once; of a crowd, how many the server had let in; of a move, the limit of the other
            lane.
        delay: Seconds: of the lease, the hold, the span or the pause; 0 where nothing is known.
        reserve: Permits that our own requests leave unused.
        foreign_usage: For an answer: the requests that the server had counted, less those that were ours; see
            `Result.base`. None when the answer did not tell.
        fewer: Permits that the server turned out not to have.
        waiting: How many requests of each class wait in the process that asks.
        priority: The class that is expected.
        arrived: Requests of the classes above BULK that came since the last question.
        cap: Requests in flight at once; 0 for any number.
        took: Seconds from a request's sending to its answer.
        plan: The plan that the process was given: `CLASSIC`, or see `hourly`; 0 when it has to learn one.
    """

    action: Action
    owner: int
    id: int = 0
    count: int = 1
    delay: float = 0.0
    reserve: int = 0
    foreign_usage: int | None = None
    fewer: int = 0
    waiting: Counts = NOBODY
    priority: Priority = Priority.NORMAL
    arrived: tuple[int, int] = (0, 0)
    cap: int = 0
    took: float = 0.0
    plan: int = 0


@frozen
class Sharing:
    """What one process keeps to in a shared window; for the plan, see `Command.plan`.

    The lease are the seconds for which a permit is held of which nothing more is heard; the concurrency is that of
    all processes together.
    """

    limit: RateLimit
    lease: float
    reserve: int = 0
    count_delay: float = 5.0
    concurrency: int | None = None
    plan: int = 0


def hourly(requests: int, concurrency: int | None) -> int:
    return requests * _CAPS + min(concurrency or 0, _CAPS - 1)


def other_plan(theirs: int, ours: int) -> ConfigurationError:
    """Return the error of a process that was given another plan than others of its budget."""
    return ConfigurationError(
        f"other processes share this budget with the plan {_name(theirs)}, not {_name(ours)}: give all of them the "
        f"same plan, or another budget_key; a plan is forgotten {PLAN_FOR:.0f} s after its last process has ended"
    )


def _name(plan: int) -> str:
    requests, concurrency = divmod(plan, _CAPS)
    return "classic" if plan == CLASSIC else f"hourly:{requests}:{concurrency or 'any'}"


@frozen
class Result:
    """What the store says after a step. Times are seconds from the moment of the step.

    Attributes:
        granted: How many permits were granted.
        due: How many of them are for one class, however urgent another, because it was passed over so often.
        wait: When to ask again; 0 when as many were granted as could be used.
        held: Permits that are out.
        base: Of a permit granted now: our held requests less the grants so far. With the grants there are when
            it is answered, this tells how many of the server's counted hits could be ours.
        waiting: How many other processes have a ticket.
        blocked: For how long nobody may come.
        pauses: How often the server said so.
        epoch: Changes when the store has lost its memory.
        first: When the next permit comes back, as far as is known; 0 for none.
        last: When the last one does.
        total: Permits granted so far. It never falls, unless the store went back to an older state.
        heard: For how long no process has heard from the server.
        unsure: For how long the window may be fuller than is known, unless an answer tells.
        cap: Requests in flight at once that the server was found to allow; 0 when it never refused a crowd.
        moved: The limit of the lane that everybody has moved to; 0 for none.
        queues: How many requests wait behind each ticket of others, by class.
        left: How many permits each class leaves to those above it.
        places: How many of those tickets of others go before ours; all of them, while we have none.
    """

    granted: int
    due: Counts
    wait: float
    held: int
    base: int
    waiting: int
    blocked: float
    pauses: int
    epoch: int
    first: float
    last: float
    total: int
    heard: float = 0.0
    unsure: float = 0.0
    cap: int = 0
    moved: int = 0
    queues: tuple[Sequence[int], Sequence[int], Sequence[int]] = ((), (), ())
    left: Counts = NOBODY
    places: Counts = NOBODY

    def returns_in(
        self, position: int, passing: int, priority: Priority, *, usable: int, span: float, age: float
    ) -> float:
        """Return the seconds until so many permits after the next one can be used by a class, if nobody else comes.

        They are counted from the step, as all times here, and the asker's own take none before the reply's age.

        Processes of one class take turns, in the order of their tickets. Of the other classes, up to `PASSES` go
        before each of those, or one before so many. Permits are taken to come back evenly between the first and the
        last. Of the asker's own that go before, some are `passing`: more urgent.
        """
        urgent, patient = (
            sum(map(sum, part)) for part in (self.queues[:priority], self.queues[priority + 1 :])
        )
        own, position = position, position - passing
        place, queues = self.places[priority], self.queues[priority]
        ahead = position + sum(min(length, position + (n < place)) for n, length in enumerate(queues))
        mine = ahead + 1
        ahead += min(urgent + passing, PASSES * mine)
        ahead += min(patient, ahead // PASSES)
        turns = min(own, ahead) // usable  # a permit that one of the asker's own took comes back a span later

        def back(index: int) -> float:
            return max(self._nth_return(index - turns * usable, usable, span), age) + turns * span

        at, later = back(ahead), 0.0
        if left := self.left[priority]:
            last_free = min(max(usable - self.held - ahead, 1), left)
            later = max(back(ahead + each) - each * span / usable for each in (last_free, left))
            first = max(self._nth_return(0, usable, span), age)
            later = min(later, first + mine * patience(left, span))  # rule 5 of the promise
        return max(later, at, self.blocked)

    def _nth_return(self, index: int, usable: int, span: float) -> float:
        """Return the seconds until the permit of an index is free; the first `usable - held` are."""
        turns, index = divmod(index, usable)
        index -= usable - min(self.held, usable)
        if index < 0:
            return turns * span
        # Held for longer than a span only while there is no answer.
        first, last = min(self.first, span), min(self.last, span)
        return first + (last - first) * index / max(1, min(self.held, usable) - 1) + turns * span
