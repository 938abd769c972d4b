"""The rules of the shared window, written out naively: what `SharedState` is compared with."""

from attrs import define

from fathom_async._ratelimit.concurrency import LearnedCap
from fathom_async._ratelimit.plan import Priority
from fathom_async._ratelimit.promise import HAIR, patience, promised, promised_at
from fathom_async._ratelimit.queue import PASSES
from fathom_async._ratelimit.shared.commands import NOBODY, PLAN_FOR, Command, QuotaConfig, Result
from fathom_async._ratelimit.shared.state import (
    CLOCK_STEP,
    LONGEST_WAITED_OUT,
    LOOK_AGAIN,
    MOST_PASSES,
    NEVER,
    SHORTEST_LOOK,
)
from fathom_async._ratelimit.window import FORECAST_SIZE, Forecast
from fathom_async.errors import ConfigurationError

INTERACTIVE, NORMAL, BULK = Priority
AGEING = (NORMAL, BULK)  # the classes that are passed over


@define
class Held:
    """A permit that is out; number 0 for one that is held for another client."""

    number: int
    until: float
    lands_at: float


@define
class Ticket:
    owner: int
    priority: Priority
    lapses_at: float
    count: int


class NaiveState:
    """The state by its docstring: lists, looked through from begin to end at every question."""

    def __init__(self, terms: QuotaConfig) -> None:
        self.terms = terms
        self.now = 0.0
        self.forget()

    def forget(self) -> None:
        self.held: list[Held] = []
        self.tickets: list[Ticket] = []
        self.passed, self.held_since = dict.fromkeys(AGEING, 0), dict[Priority, float]()
        self.forecast = Forecast(self.terms.span, [0.0] * FORECAST_SIZE)
        self.cap, self.usual = LearnedCap(), 0.0
        self.epoch, self.total, self.pauses, self.moved, self.probe = 0, 0, 0, 0, 0
        self.plan: int = 0
        self.blocked = self.unsure = self.plan_until = 0.0
        self.heard: float | None = None
        self.is_suspect = False

    def step(self, step: Command, now: float, known: int, total: int) -> Result:
        self.open(step, now, known, total)
        self.usable = self.terms.requests - step.fewer - step.reserve
        granted, due, wait = self.ask(step) if step.action == "ask" else (0, [*NOBODY], 0.0)
        if step.action not in {"ask", "look"}:
            getattr(self, step.action)(step)
        now, out = self.now, sorted(each.until for each in self.held)
        others = [each for each in self.tickets if each.owner != step.owner]
        interactive, normal, bulk = (
            [each.count for each in others if each.priority == priority] for priority in Priority
        )
        return Result(
            granted=granted,
            due=(due[0], due[1], due[2]),
            wait=wait,
            held=len(out),
            base=len(self.ours) - self.total,
            waiting=len({each.owner for each in others}),
            blocked=max(0, self.blocked - now),
            pauses=self.pauses,
            epoch=self.epoch,
            first=out[0] - now if out else 0,
            last=out[-1] - now if out else 0,
            total=self.total,
            heard=NEVER if self.heard is None else now - self.heard,
            unsure=max(0, self.unsure - now),
            cap=self.cap.now(now),
            moved=self.moved,
            queues=(interactive, normal, bulk),
            left=(0, self.left(NORMAL), self.left(BULK)),
            places=(
                self.position(step.owner, INTERACTIVE),
                self.position(step.owner, NORMAL),
                self.position(step.owner, BULK),
            ),
        )

    def is_idle(self, now: float) -> bool:
        if self.now - now > CLOCK_STEP:
            return True
        is_out = any(each.until > now for each in self.held)
        is_awaited = any(each.lapses_at > now for each in self.tickets)
        return not is_out and not is_awaited and self.blocked <= now and self.plan_until <= now

    def open(self, step: Command, now: float, known: int, total: int) -> None:
        if self.now - now > CLOCK_STEP:
            self.forget()
            self.now = now
        now = max(now, self.now)
        is_known = self.plan_until > now
        if step.plan and is_known and self.plan != step.plan:  # rule 13
            raise ConfigurationError
        if step.plan and (step.action != "look" or step.plan == self.plan):
            self.plan, self.plan_until = step.plan, now + PLAN_FOR
        self.now = now
        self.held = [each for each in self.held if each.until > now]
        self.tickets = [each for each in self.tickets if each.lapses_at > now]
        if not self.epoch:
            self.epoch = step.owner + 1 if step.owner == known else step.owner
        if known and known != self.epoch and not self.is_suspect:  # rule 12
            self.is_suspect = True
            self.distrust()
        elif known == self.epoch and total > self.total:
            self.total = total
            self.distrust()

    def distrust(self) -> None:
        self.unsure, self.probe = self.now + self.terms.span, 0
        is_short = self.terms.span <= LONGEST_WAITED_OUT
        self.block(self.terms.span if is_short else 2 * self.terms.settle)

    def block(self, seconds: float) -> None:
        self.blocked = max(self.blocked, self.now + seconds)

    @property
    def ours(self) -> list[Held]:
        return [each for each in self.held if each.number]

    @property
    def in_flight(self) -> int:
        return sum(each.lands_at > self.now for each in self.held)

    def grant(self, number: int, count: int, until: float) -> int:
        count = min(count, self.terms.requests - len(self.held))
        for each in range(number, number + count):
            lands_at = until - self.terms.span if number else 0
            self.held.append(Held(each if number else 0, until, lands_at))
        return count

    def land(self, number: int, until: float | None = None) -> bool:
        for each in self.held:
            if each.number == number:
                each.lands_at = 0
                each.until = each.until if until is None else min(each.until, until)
                self.held = [held for held in self.held if held.until > self.now]
                return True
        return False

    # Questions about the queue.

    def of_class(self, priority: Priority) -> list[Ticket]:
        return [each for each in self.tickets if each.priority == priority]

    def owners(self, priority: Priority) -> list[int]:
        return [each.owner for each in self.of_class(priority)]

    def position(self, owner: int, priority: Priority) -> int:
        owners = self.owners(priority)
        return owners.index(owner) if owner in owners else len(owners)

    def drop(self, owner: int, priority: Priority) -> None:
        self.tickets = [each for each in self.tickets if (each.owner, each.priority) != (owner, priority)]

    def left(self, priority: Priority) -> int:
        return self.forecast.wanted(priority, self.usable, self.now)

    def returns(self) -> list[float]:
        """When each of the usable permits can be used; those of unanswered requests a span from now."""
        latest = self.now + self.terms.span
        out = sorted(each.until for each in self.held)
        back = [min(until, latest) for until in out[max(0, len(out) - self.usable) :]]
        return [self.now] * (self.usable - len(back)) + back

    def due(self, owner: int, priority: Priority) -> int:
        """How many permits a class takes whoever waits: those that its first ticket is due (rule 9)."""
        is_first = self.position(owner, priority) == 0
        return self.passed[priority] // PASSES if priority in AGEING and is_first else 0

    def ahead(self, owner: int, priority: Priority) -> int:
        """How many permits are left for others that go before (rules 6 and 9)."""
        urgent = sum(each.priority < priority for each in self.tickets)
        patient = 0
        for each in AGEING:
            tickets = self.of_class(each)
            if each > priority and tickets and tickets[0].lapses_at - self.terms.ticket_ttl <= self.now:
                patient += self.passed[each] // PASSES
        return urgent + self.position(owner, priority) + patient

    def cap_now(self, step: Command) -> int | None:
        """How many requests may be in flight (rules 10 and 12)."""
        caps = [step.cap, self.cap.now(self.now), 1 if self.unsure > self.now else 0]
        return min((cap for cap in caps if cap), default=None)

    def room(self, step: Command) -> int:
        if self.blocked > self.now:
            return 0
        cap = self.cap_now(step)
        return min(
            self.terms.requests - step.fewer - len(self.held),
            self.usable - len(self.ours),
            1_000_000 if cap is None else cap - self.in_flight,
        )

    def held_back_for(self, priority: Priority) -> float:
        since = self.held_since.get(priority, self.now)
        return since + patience(self.left(priority), self.terms.span) - self.now

    # Questions.

    def ask(self, step: Command) -> tuple[int, list[int], float]:
        for priority, arrived in zip((INTERACTIVE, NORMAL), step.arrived, strict=True):
            if arrived:
                self.forecast.note(priority, self.now, arrived)
        waiting = [each for each in Priority if step.waiting[each]]
        for priority in Priority:
            if priority not in waiting:
                self.drop(step.owner, priority)  # rule 5
        first = [each for each in waiting if self.due(step.owner, each)]  # rule 9
        granted, due, waits = 0, [*NOBODY], list[float]()
        for priority in [*first, *(each for each in waiting if each not in first)]:
            wanted, is_due = min(step.waiting[priority], step.count - granted), self.due(step.owner, priority)
            served = self.serve(step, priority, wanted, granted) if wanted else 0
            granted += served
            due[priority] = served if is_due else 0
            if served < step.waiting[priority]:
                waits.append(self.queue_up(step, priority, step.waiting[priority] - served))
        return granted, due, min(waits) if waits and granted < step.count else 0

    def serve(self, step: Command, priority: Priority, wanted: int, before: int) -> int:
        due, room = self.due(step.owner, priority), self.room(step)
        ahead = 0 if due else self.ahead(step.owner, priority)
        if room <= ahead:
            return 0
        owners = self.owners(priority)
        behind = len(owners[owners.index(step.owner) + 1 :]) if step.owner in owners else 0
        granted = could = min(wanted, room, due or max(1, room - ahead - behind))
        left = 0 if due else self.left(priority)
        if left:  # rule 8
            granted = promised(self.returns(), could, left, self.terms.span, self.now)
            if granted == 0 and self.held_back_for(priority) <= HAIR:
                granted = 1
        if granted:
            self.drop(step.owner, priority)
            self.total += self.grant(step.id + before, granted, self.now + step.delay)
            if self.unsure > self.now:
                self.probe = step.id + before
            self.held_since.pop(priority, None)
            self.pass_over(step, priority, granted)
        if granted < could:
            self.held_since.setdefault(priority, self.now)
        return granted

    def pass_over(self, step: Command, priority: Priority, granted: int) -> None:
        """Count that others were served (rule 9)."""
        for each in AGEING:
            if each == priority:
                self.passed[each] = max(0, self.passed[each] - PASSES * granted)
            elif each > priority and (step.waiting[each] or self.of_class(each)):
                self.passed[each] = min(self.passed[each] + granted, MOST_PASSES)
            elif each > priority:
                self.passed[each] = min(self.passed[each], PASSES)

    def queue_up(self, step: Command, priority: Priority, count: int) -> float:
        """Give a ticket to a class, and return when to ask again (rules 5, 7, 8, 9 and 11)."""
        apart, due = self.terms.span / self.usable, self.due(step.owner, priority)
        ahead = 0 if due else self.ahead(step.owner, priority)
        wait = self.turn(step, ahead)
        left = 0 if due else self.left(priority)
        if left:
            at = promised_at(self.returns(), left, self.terms.span, self.usable, ahead)
            wait = max(wait, min(at - self.now, self.held_back_for(priority), PASSES * apart))
        passed = self.passed.get(priority, 0)
        if passed and not due:
            wait = min(wait, max((PASSES - passed) * apart, self.blocked - self.now, apart))
        cap = self.cap_now(step)
        if cap is not None and ahead + 1 + self.in_flight > cap:
            usual = self.usual or self.terms.settle / LOOK_AGAIN
            look = usual * (ahead + 1 + self.in_flight - cap) / cap / LOOK_AGAIN
            wait = max(wait, min(max(look, SHORTEST_LOOK), self.terms.settle))
        lapses_at = self.now + wait + self.terms.ticket_ttl
        for each in self.of_class(priority):
            if each.owner == step.owner:
                each.lapses_at, each.count = lapses_at, count
                return wait
        self.tickets.append(Ticket(step.owner, priority, lapses_at, count))
        return wait

    def turn(self, step: Command, ahead: int) -> float:
        """Return the seconds until a permit is free behind so many others, as far as is known."""
        at = self.now
        for held, allowed in ((self.held, self.usable + step.reserve), (self.ours, self.usable)):
            index = len(held) + ahead - allowed  # of the one that has to come back
            moments = sorted(each.until for each in held)
            if index >= 0:
                each = moments[index % len(moments)] if moments else self.now
                turns = index // len(moments) if moments else 1
                at = max(at, each + turns * self.terms.span)
        if at - self.now > self.terms.span:
            until_answered = (ahead // self.usable + 1) * self.terms.span
            turns_of_all = (
                min((at - self.now) / 2, until_answered / 2, step.delay) if ahead >= self.usable else 0
            )
            at = self.now + max(self.terms.settle, turns_of_all)
        return max(at, self.blocked) - self.now

    # All else that is said.

    def hold(self, step: Command) -> None:
        for each in self.held:
            if each.number == step.id:
                each.until = self.now + step.delay
                return
        self.total += self.grant(step.id, 1, self.now + step.delay)
        self.land(step.id)

    def answered(self, step: Command) -> None:
        self.heard = self.now
        if step.took:
            self.usual = self.usual * 7 / 8 + step.took / 8 if self.usual else step.took
        in_flight = self.in_flight
        if self.land(step.id, self.now + step.delay):
            self.cap.proved(in_flight, self.now)
        if step.foreign_usage is not None:
            foreign = step.foreign_usage - self.total - (len(self.held) - len(self.ours))
            self.grant(0, max(0, foreign), self.now + step.delay)
        if self.unsure > self.now and step.id == self.probe:
            if step.foreign_usage is None:
                self.block(self.unsure - self.now)
            else:
                self.unsure = self.now

    def abandoned(self, step: Command) -> None:
        self.land(step.id, self.now + step.delay if step.delay else None)

    def freed(self, step: Command) -> None:
        for number in range(step.id, step.id + step.count):
            self.land(number, self.now)

    def leave(self, step: Command) -> None:
        self.tickets = [each for each in self.tickets if each.owner != step.owner]

    def pause(self, step: Command) -> None:
        self.block(step.delay)
        self.pauses += 1
        self.heard = None

    def crowd(self, step: Command) -> None:
        self.cap.lower(max(step.count, self.in_flight), self.now)

    def expect(self, step: Command) -> None:
        self.forecast.note(step.priority, self.now, 0)

    def move(self, step: Command) -> None:
        self.moved = step.count
