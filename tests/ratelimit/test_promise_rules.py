"""The rules of the promise, written out naively, against the code that is quick."""

import math
from bisect import bisect_right
from random import Random

import pytest

from fathom_async._ratelimit.promise import HAIR, STRETCH, Permits, patience, promised, promised_at
from fathom_async._ratelimit.queue import PASSES
from tests.support.soak import tries

SEEDS = tries(range(100), soak=range(1_000))


def moments(random: Random, many: int, until: float = 60.0) -> list[float]:
    """Return moments in order, some of them equal."""
    return sorted(random.choice([0.0, 1.0, until / 2, random.uniform(0, until)]) for _ in range(many))


def repeated(returns: list[float], span: float, many: int) -> list[float]:
    """Return so many moments: each permit that is taken comes back a span later."""
    return [returns[index % len(returns)] + index // len(returns) * span for index in range(many)]


def allowed(returns: list[float], span: float, left: int, ahead: int) -> float:
    """Return from when on rule 1 allows to take a permit behind so many others."""
    after = repeated(returns, span, ahead + left + 1)[ahead:]
    apart = STRETCH * span / len(returns)
    return max((after[j] - j * apart for j in range(1, left + 1)), default=-math.inf)


@pytest.mark.parametrize("seed", SEEDS)
def test_rule_1_names_the_moment_from_which_on_the_next_ones_come_back_soon_enough(seed: int) -> None:
    random = Random(seed)
    returns = moments(random, permits := random.randint(1, 8))
    left, ahead = random.randint(0, permits), random.randint(0, permits)
    found = promised_at(returns, left, 60.0, permits, ahead)
    assert found == pytest.approx(allowed(returns, 60.0, left, ahead))
    if ahead == 0:
        assert promised_at(returns, left, 60.0, permits) == found


@pytest.mark.parametrize("seed", SEEDS)
def test_as_many_are_taken_at_once_as_rule_1_allows_one_after_the_other(seed: int) -> None:
    random = Random(seed)
    returns = moments(random, permits := random.randint(1, 8))
    count, left = random.randint(0, permits), random.randint(0, permits)
    now = random.choice([0.0, 1.0, 30.0, random.uniform(0, 60)])
    found = promised(returns, count, left, 60.0, now)
    spare = min(count, max(0, bisect_right(returns, now + HAIR) - left))
    more = spare
    while more < count and allowed(returns, 60.0, left, more) <= now + HAIR:
        more += 1
    assert found == more


def test_a_moment_that_differs_by_a_hair_is_now() -> None:
    assert promised([0.0, HAIR / 2], 2, 0, 60.0, 0.0) == 2
    assert promised([0.0, 66.0 + HAIR / 2], 1, 1, 120.0, 0.0) == 1
    assert promised([0.0, 66.1], 1, 1, 120.0, 0.0) == 0


def test_patience_is_the_time_of_so_many_passes() -> None:
    assert patience(4, 60.0) == PASSES * 60.0 / 4


def any_permits(random: Random, *, has_reserve: bool) -> Permits:
    """Return the permits of a window in any state that one may be in."""
    total = random.randint(2, 9)
    reserve = random.randint(1, total - 1) if has_reserve else 0
    now = random.choice([0.0, 10.0])
    ageing, foreign, unanswered = (
        [now + moment for moment in moments(random, random.randint(0, total // 3))] for _ in range(3)
    )
    out = len(ageing) + len(foreign) + len(unanswered)
    free = random.randint(0, total - out)
    return Permits(total, reserve, free, ageing, foreign, unanswered, now, 60.0)


def usable(permits: Permits) -> list[float]:
    """Return when each permit can be used: ours one by one, beyond what the reserve keeps and others hold."""
    unsent = (
        permits.total - permits.free - len(permits.ageing) - len(permits.foreign) - len(permits.unanswered)
    )
    ours = sorted([*permits.ageing, *permits.unanswered, *[permits.now + permits.span] * unsent])
    everyone = sorted(
        [*[permits.now] * permits.free, *(max(at, permits.now) for at in [*ours, *permits.foreign])]
    )
    most = permits.total - permits.reserve
    own = sorted([*[permits.now] * max(0, most - len(ours)), *(max(at, permits.now) for at in ours)])
    if len(ours) > most:  # a reserve that has grown: those beyond it come back to nobody
        own = own[len(ours) - most :]
    return [max(one, other) for one, other in zip(everyone[:most], own, strict=True)]


@pytest.mark.parametrize("has_reserve", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_permits_can_be_used_when_they_come_back_and_the_reserve_is_left(
    seed: int, *, has_reserve: bool
) -> None:
    random = Random(seed)
    permits = any_permits(random, has_reserve=has_reserve)
    expected = usable(permits)
    assert permits.upcoming(permits.total) == pytest.approx(expected)
    for position in range(3 * len(expected)):
        found = max(permits.nth(position), permits.now)
        assert found == pytest.approx(repeated(expected, 60.0, position + 1)[position])
        for left in (1, len(expected)):
            found = permits.promised_at(position, left)
            assert found == pytest.approx(allowed(expected, 60.0, left, position))


def test_permits_that_came_back_can_be_used_now() -> None:
    permits = Permits(3, 0, 0, [1.0, 2.0, 69.0], [], [], 10.0, 60.0)
    assert permits.upcoming(3) == [10.0, 10.0, 69.0]


def test_permits_that_a_smaller_limit_took_away_come_back_to_nobody() -> None:
    permits = Permits(3, 0, -2, [1.0, 2.0, 3.0, 4.0, 5.0], [], [], 0.0, 60.0)
    assert permits.upcoming(3) == [3.0, 4.0, 5.0]


@pytest.mark.parametrize("seed", SEEDS)
def test_rule_5_lets_a_class_take_a_permit_that_was_held_back_for_its_patience(seed: int) -> None:
    random = Random(seed)
    permits = any_permits(random, has_reserve=random.random() < 0.5)
    position, passes, left = random.randint(0, 12), random.randint(0, PASSES), random.randint(1, 4)
    since = random.choice([None, 0.0, 7.0])
    held_since = permits.nth(0) if since is None else since
    waited = held_since + passes / PASSES * patience(left, 60.0)
    assert permits.aged_at(position, passes, left, since) == max(permits.nth(position), waited, permits.now)
    passed_over = max(permits.nth(position + passes), permits.now)
    assert permits.aged_at(position, passes, 0, since) == passed_over
