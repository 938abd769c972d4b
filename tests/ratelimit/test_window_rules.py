"""The rules of the window, written out naively, against the code that is quick."""

import math
from itertools import dropwhile
from random import Random

import pytest

from fathom_async._ratelimit.admission import SILENT, Feedback
from fathom_async._ratelimit.plan import Priority, RateLimit
from fathom_async._ratelimit.promise import Permits, patience
from fathom_async._ratelimit.protocol import Demand, Permit
from fathom_async._ratelimit.queue import PASSES
from fathom_async._ratelimit.window import FORECAST_SIZE, Forecast, LocalWindow
from tests.support.soak import tries

SEEDS = tries(range(40), soak=range(1_000))
INTERACTIVE, NORMAL, BULK = Priority
PER, PAD, COUNT_DELAY = 60.0, 1.0, 5.0
SPAN = PER + PAD
STEP = 0.25
"""All moments are multiples of it, so that none is within the grain of another."""


class Naive:
    """The window by its docstring: lists of moments, looked through from begin to end at every question."""

    def __init__(self, requests: int, reserve: int) -> None:
        self.requests, self.reserve, self.wished_reserve = requests, reserve, reserve
        self.unsent: list[Permit] = []
        self.sent: dict[Permit, float] = {}  # when each comes back, if no answer arrives
        self.out: dict[str, list[float]] = {"lost": [], "ageing": [], "foreign": []}
        self.in_flight = self.granted = self.taken_away = 0
        self.own: list[float] = []
        self.heard_at, self.shared_until = -math.inf, -math.inf
        self.remaining = self.certain = 0
        self.is_refused = False
        self.forecast = Forecast(SPAN, [0.0] * FORECAST_SIZE)
        self.held_since: dict[Priority, float] = {}

    @property
    def free(self) -> int:
        return self.requests - len(self.unsent) - len(self.sent) - sum(map(len, self.out.values()))

    def let_go(self, until: float) -> None:
        for kind, moments in self.out.items():
            self.out[kind] = [moment for moment in moments if moment > until]

    def expire(self, now: float) -> None:
        self.let_go(now)
        self.sent = {permit: due for permit, due in self.sent.items() if due > now}

    def take(self, priority: Priority) -> None:
        self.held_since.pop(priority, None)
        self.granted += 1
        self.in_flight += 1
        self.certain -= 1

    def note_own(self, counted_by: float) -> None:
        self.own.append(counted_by)
        if self.own[0] < counted_by - 2 * SPAN:
            del self.own[0]

    def abandon(self, permit: Permit) -> None:
        assert permit.sent_at is not None
        self.in_flight -= 1
        self.note_own(permit.sent_at + COUNT_DELAY)
        if permit in self.sent:
            self.out["lost"] = sorted([*self.out["lost"], self.sent.pop(permit)])

    def release(self, permit: Permit) -> None:
        self.in_flight -= 1
        self.sent.pop(permit, None)

    def settle(self, permit: Permit, now: float, feedback: Feedback | None) -> None:
        sent_at = now if permit.sent_at is None else permit.sent_at
        self.in_flight -= 1
        if permit.sent_at is None or permit in self.sent:
            self.sent.pop(permit, None)
            self.out["ageing"] = sorted([*self.out["ageing"], min(now, sent_at + COUNT_DELAY) + SPAN])
        self.note_own(now)
        if feedback is None:
            return
        self.is_refused = False
        if self.shared_until == math.inf:
            self.shared_until = now + 2 * SPAN
        remaining = feedback.remaining
        if feedback.limit == self.requests and remaining in range(self.requests + 1):
            assert remaining is not None
            self.learn(permit, sent_at, now, remaining)
        else:
            remaining = self.certain = self.requests
        self.heard_at, self.remaining = now, remaining

    def learn(self, permit: Permit, sent_at: float, now: float, remaining: int) -> None:
        gone = sent_at - SPAN + PAD / 2
        if now < self.shared_until and remaining > self.remaining and sent_at >= self.heard_at:
            gone = max(gone, self.heard_at)
            self.let_go(gone + SPAN)
        self.own = [*dropwhile(lambda moment: moment <= gone, self.own)]
        others = self.requests - remaining - len(self.own) - self.in_flight
        if others > 0:
            self.shared_until = now + 2 * SPAN
        ageing, foreign = self.out["ageing"], self.out["foreign"]
        while len(foreign) < others:
            if self.free <= 0:
                if not ageing or ageing[0] > gone + SPAN:
                    break
                del ageing[0]
            foreign.append(now + SPAN)
        open_then = [moment for moment in self.out["lost"] if moment >= sent_at + SPAN]
        later = self.granted - permit.number
        self.certain = remaining - permit.outstanding_before - later - len(open_then) - self.reserve
        while self.free < self.certain:
            over = [
                (moments[0], kind)
                for kind, moments in self.out.items()
                if moments and not (kind == "lost" and moments[0] >= sent_at + SPAN)
            ]
            if not over:
                break
            first = min(moment for moment, _ in over)
            del self.out[next(kind for moment, kind in over if moment == first)][0]

    def is_cold(self, now: float) -> bool:
        is_used_up = self.certain <= 0 and now < self.shared_until
        return self.is_refused or is_used_up or now - self.heard_at >= 0.95 * PER

    def permits(self, now: float) -> Permits:
        unanswered = sorted([*self.out["lost"], *(min(due, now + SPAN) for due in self.sent.values())])
        ageing, foreign = self.out["ageing"], self.out["foreign"]
        return Permits(self.requests, self.reserve, self.free, ageing, foreign, unanswered, now, SPAN)

    def left(self, priority: Priority, now: float) -> int:
        return self.forecast.wanted(priority, self.requests - self.reserve, now)

    def promised_at(self, position: int, priority: Priority, now: float) -> float:
        left = self.left(priority, now)
        return self.permits(now).promised_at(position, left) if left else -math.inf

    def has_room(self, demand: Demand, now: float) -> bool:
        self.expire(now)
        if self.free <= 0 or self.free + len(self.out["foreign"]) <= self.reserve:
            return False
        if demand.is_due:
            return True
        at = self.promised_at(0, demand.priority, now)
        if at > now:
            since = self.held_since.setdefault(demand.priority, now)
            at = min(at, since + patience(self.left(demand.priority, now), SPAN))
        return at <= now

    def returns(self, position: int, priority: Priority, now: float, passes: int) -> float:
        permits = self.permits(now)
        at = max(now, permits.nth(position), self.promised_at(position, priority, now))
        if at == now or priority == INTERACTIVE:
            return at
        taken = self.forecast.rate(priority, now) * SPAN / (self.requests - self.reserve)
        slowed = now + (at - now) / max(1 - taken, 1 / (PASSES + 1))
        left, since = self.left(priority, now), self.held_since.get(priority)
        return min(slowed, permits.aged_at(position, passes, left, since))


class Both:
    """A window and its naive twin, in the same hands."""

    def __init__(self, random: Random) -> None:
        requests = random.randint(2, 8)
        reserve = random.choice([0, 0, 1, requests - 1])
        self.window = LocalWindow(RateLimit(requests, PER), reserve=reserve, count_delay=COUNT_DELAY)
        self.naive = Naive(requests, reserve)
        self.random, self.now = random, 10_000.0
        self.open: list[Permit] = []  # admitted and not settled

    def expect(self, priority: Priority, count: int) -> None:
        if count == 1:
            self.window.expect(priority, self.now)
        else:
            self.window.expect(priority, self.now, count)
        self.naive.forecast.note(priority, self.now, count)

    def pass_time(self) -> None:
        self.now += self.random.choice([0, 0, 0, STEP, STEP, 1, 5, 20, 57, SPAN, 3 * SPAN])

    def act(self) -> None:
        """Do one thing that a lane may do to both."""
        window, naive, random, now = self.window, self.naive, self.random, self.now
        demand = Demand(random.choice([*Priority]), is_due=random.random() < 0.1)
        action = random.choice(["take"] * 4 + ["sent"] * 3 + ["settle"] * 4 + ["end", "refused", "resize"])
        if action == "take":
            has_room = window.has_room(demand, now)
            assert has_room == naive.has_room(demand, now)
            if has_room:
                permit = window.take(demand.priority)
                naive.unsent.append(permit)
                naive.take(demand.priority)
                self.open.append(permit)
        elif action == "refused" and random.random() < 0.3:
            window.on_rate_limited(now)
            naive.is_refused, naive.heard_at, naive.remaining, naive.shared_until = True, now, 0, math.inf
        elif action == "resize" and random.random() < 0.2:
            naive.requests = random.randint(2, 8)
            naive.reserve = min(naive.wished_reserve, naive.requests - 1)
            window.resize(naive.requests)
        elif self.open and action in {"sent", "settle", "end"}:
            self.act_on(random.choice(self.open), action)

    def act_on(self, permit: Permit, action: str) -> None:
        window, naive, random, now = self.window, self.naive, self.random, self.now
        if action == "sent":
            if permit.sent_at is None:
                naive.unsent.remove(permit)
                naive.sent[permit] = now + COUNT_DELAY + SPAN
                window.sent(permit, now)
            return
        self.open.remove(permit)
        if permit in naive.unsent:
            naive.unsent.remove(permit)
        if action == "settle":
            told = Feedback(naive.requests, random.randint(-1, naive.requests + 1))
            feedback = random.choice([None, SILENT, Feedback(2000, 0), told, told, told, told])
            naive.settle(permit, now, feedback)
            assert window.settle(permit, now, feedback) == (naive.free > 0)
        elif permit.sent_at is not None and random.random() < 0.7:
            naive.abandon(permit)
            window.abandon(permit)
        else:
            naive.release(permit)
            window.release(permit)

    def compare(self) -> None:
        window, naive, now = self.window, self.naive, self.now
        assert window.status(now).used == naive.requests - naive.free
        assert window.in_flight == naive.in_flight
        assert window.is_cold(now) == naive.is_cold(now)


@pytest.mark.parametrize("expected", [0, 1, 40])
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_as_many_permits_are_out_as_the_rules_say(seed: int, expected: int) -> None:
    both = Both(Random(seed))
    if expected:
        both.expect(Random(seed).choice([INTERACTIVE, NORMAL]), expected)
    for _ in range(60):
        both.pass_time()
        both.window.status(both.now)
        both.naive.expire(both.now)
        both.act()
        both.compare()


@pytest.mark.parametrize("expected", [0, 1, 5, 40])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_class_looks_again_when_a_permit_is_for_it(seed: int, expected: int) -> None:
    both = Both(random := Random(seed))
    if expected:
        both.expect(INTERACTIVE, expected)
    for _ in range(random.randint(1, 40)):
        both.pass_time()
        both.window.status(both.now)
        both.naive.expire(both.now)
        both.act()
    demand = Demand(random.choice([*Priority]), is_due=random.random() < 0.1)
    told, at = both.window, both.now
    while not told.has_room(demand, at):
        again = told.next_look(demand, at)
        if again is None:
            assert not both.naive.sent
            assert not any(both.naive.out.values())
            return
        assert again > at
        at = again
    now = both.now
    while not both.naive.has_room(demand, now):
        now += STEP
    assert now - STEP < at <= now


@pytest.mark.parametrize("expected", [0, 1, 5, 40])
@pytest.mark.parametrize("seed", SEEDS)
def test_permits_return_when_the_rules_say(seed: int, expected: int) -> None:
    both = Both(random := Random(seed))
    if expected:
        both.expect(INTERACTIVE, expected)
    for _ in range(30):
        both.pass_time()
        both.window.status(both.now)
        both.naive.expire(both.now)
        in_flight = both.window.in_flight
        both.act()
        if both.window.in_flight == in_flight:
            continue  # what was found before may still be told
        passes = random.choice([0, 0, 3])
        asked = [(position, priority) for position in (0, 1, 2, 7, 20) for priority in Priority]
        found = [both.window.returns(*each, both.now, passes) for each in asked]
        expected_at = [both.naive.returns(*each, both.now, passes) for each in asked]
        assert found == pytest.approx(expected_at, rel=0, abs=1e-6)
        if not passes:
            assert [both.window.returns(*each, both.now) for each in asked] == found


def answered_at(moments: list[float], requests: int = 4) -> LocalWindow:
    """Return a window whose requests were counted and answered at these moments."""
    window = LocalWindow(RateLimit(requests, PER), count_delay=COUNT_DELAY)
    for moment in moments:
        window.settle(window.take(NORMAL), moment, SILENT)
    return window


@pytest.mark.parametrize("feedback", [None, SILENT, Feedback(2, 0)])
@pytest.mark.parametrize(("answered", "is_worth_it"), [(60.75, False), (61.0, True), (63.0, True)])
def test_after_an_answer_it_is_worth_looking_if_a_permit_is_free_or_came_back_meanwhile(
    feedback: Feedback | None, answered: float, is_worth_it: bool
) -> None:
    window = answered_at([0.0], requests=2)
    last = window.take(NORMAL)
    window.sent(last, 10.0)
    assert window.settle(last, answered, feedback) == is_worth_it
    assert window.has_room(Demand(NORMAL), answered) == is_worth_it


@pytest.mark.parametrize("is_refused", [False, True])
def test_a_window_is_shared_for_two_spans_after_others_were_seen_to_spend(*, is_refused: bool) -> None:
    window = answered_at([])
    if is_refused:
        window.on_rate_limited(0.0)
    window.settle(window.take(NORMAL), 0.0, Feedback(4, 3 if is_refused else 2))
    for spent, now in enumerate((70.0, 71.0, 72.0, 73.0), 1):  # all by ourselves
        assert window.has_room(Demand(NORMAL), now)
        window.settle(window.take(NORMAL), now, Feedback(4, 4 - spent))
    assert window.is_cold(2 * SPAN - STEP), "nothing is certain, and others may spend"
    assert not window.is_cold(2 * SPAN)
