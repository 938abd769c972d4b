"""Whatever is said to the shared window, it answers what its rules say."""

import array
from random import Random

import pytest
from attrs import asdict

from fathom_async._ratelimit.plan import Priority
from fathom_async._ratelimit.shared.commands import (
    CLASSIC,
    NOBODY,
    PLAN_FOR,
    Action,
    Command,
    Counts,
    QuotaConfig,
    Result,
)
from fathom_async._ratelimit.shared.state import CLOCK_STEP, LONGEST_WAITED_OUT, SharedState, size_of
from fathom_async.errors import ConfigurationError
from tests.ratelimit.shared.naive_state import NaiveState
from tests.support.soak import tries

WORLDS = tries(60, soak=1_000)
STEPS = 80
ASK: list[Action] = ["ask"]
USUAL: list[Action] = ["answered", "answered", "answered", "hold", "abandoned", "freed", "look", "leave"]
RARE: list[Action] = ["pause", "crowd", "expect", "move"]
QUEUES: list[list[Counts]] = [  # requests of each class that wait
    [(0, 0, 1), (0, 0, 9), (1, 0, 9), (0, 2, 0), (9, 2, 1), (1, 1, 1)],
    [(0, 0, 9)] * 9 + [(1, 0, 0)],
    [(20, 0, 9)] * 3 + [(0, 9, 20), (0, 0, 2)],
]
PACES: list[list[float]] = [[0, 0, 0.25], [0, 0.25, 1, 5], [1, 5, 20, 61]]  # seconds from step to step


class Both:
    """A state and its naive twin, to which the same is said."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.span = random.choice([LONGEST_WAITED_OUT - 29, LONGEST_WAITED_OUT, 3601.0])
        self.requests = random.choice([1, 2, 3, 5, 12, 40])
        settle = random.choice([5.0, 0.5])
        self.terms = QuotaConfig(self.requests, self.span - 1, self.span, settle, ticket_ttl=1.0)
        self.reserve = random.choice([0, 0, 1]) if self.requests > 1 else 0
        self.cap = random.choice([0, 0, 0, 3])
        self.pace, self.waiting = random.choice(PACES), random.choice(QUEUES)
        self.delays = random.choice([[self.span], [self.span + 30, self.span, 5.0, 1.0]])
        self.is_strange = random.random() < 0.3
        self.memory = array.array("d", bytes(8 * size_of(self.requests)))
        self.naive = NaiveState(self.terms)
        self.now, self.last, self.recent = 100_000.0, 1, [1]

    def command(self) -> Command:
        random, naive = self.random, self.naive
        action = random.choice(random.choice([ASK] * 9 + [USUAL] * 8 + [RARE] * 2))
        number, count, waiting = random.choice(self.recent[-9:]), random.choice([1, 1, 2, 5, 20]), NOBODY
        if naive.unsure > self.now and random.random() < 0.5:
            number = naive.probe or number
        if action == "ask":
            number, self.last = self.last + 1, self.last + count
            waiting = random.choice(self.waiting)
        told = naive.total + random.randint(-2, 3)
        is_arrival = action == "ask" and random.random() < 0.2
        return Command(
            action,
            random.randint(1, 4),
            number,
            count,
            0.0 if action == "abandoned" and random.random() < 0.5 else random.choice(self.delays),
            self.reserve,
            random.choice([None, told, told]) if action == "answered" else None,
            random.choice([0, 0, 0, 1]) if self.requests - self.reserve > 1 else 0,
            waiting,
            random.choice([*Priority]),
            random.choice([(0, 3), (1, 0), (2, 1)]) if is_arrival else (0, 0),
            self.cap,
            random.choice([0.0, 0.5, 2.0, 90.0]),
            random.choice([0, 0, 0, 0, 600, CLASSIC]) if self.is_strange else 0,
        )

    def act(self) -> None:
        random = self.random
        self.now += random.choice(self.pace)
        if random.random() < 0.05:
            self.now += random.choice([-CLOCK_STEP, -1, PLAN_FOR, self.span, 1000])
        elif self.is_strange and random.random() < 0.02:
            self.now -= CLOCK_STEP + 0.25
        state = SharedState(memoryview(self.memory), self.terms)  # all that it knows is in the memory
        for after in (-CLOCK_STEP - 0.25, 0, 1, self.span):
            at = self.naive.now + after
            assert state.is_idle(at) == self.naive.is_idle(at)
        step, known, total = self.command(), 0, 0
        if self.is_strange and random.random() < (0.1 if self.naive.epoch else 0.5):
            known = random.choice([self.naive.epoch, self.naive.epoch, step.owner, 2])
            total = self.naive.total + random.choice([-1, 0, 1])
        try:
            expected = self.naive.step(step, self.now, known, total)
        except ConfigurationError:
            with pytest.raises(ConfigurationError):
                state.step(step, self.now, known, total)
            return
        found = state.step(step, self.now, known, total)
        assert rounded(found) == rounded(expected), step
        if step.action == "ask":
            self.recent += range(step.id, step.id + expected.granted)


def rounded(result: Result) -> dict[str, object]:
    return {
        name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(result).items()
    }


def test_every_reply_is_the_one_that_the_rules_say() -> None:
    for seed in range(WORLDS):
        both = Both(Random(seed))
        for _ in range(STEPS):
            both.act()
