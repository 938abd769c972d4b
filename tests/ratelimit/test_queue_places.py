"""The place of a newcomer in the queue, against a queue that is emptied to see."""

from collections.abc import Iterator
from random import Random

import pytest

from fathom_async._ratelimit.plan import Priority
from fathom_async._ratelimit.queue import PASSES, PriorityQueue
from tests.support.soak import tries

INTERACTIVE, NORMAL, BULK = Priority
SEEDS = tries(range(150), soak=range(3_000))
FLOWS = ("a", "b", "c")


def filled(random: Random, priorities: list[Priority], most: int = 12) -> PriorityQueue[int]:
    """Return a queue as it may be after some came, were refused, gave up, and were served."""
    queue: PriorityQueue[int] = PriorityQueue()
    waiting: dict[int, tuple[Priority, str]] = {}
    for waiter in range(random.randint(0, most)):
        priority, flow = random.choice(priorities), random.choice(FLOWS)
        queue.push(waiter, priority, flow, at_head=random.random() < 0.2)
        waiting[waiter] = priority, flow
        if random.random() < 0.2:
            gone = random.choice([*waiting])
            assert queue.discard(gone, *waiting.pop(gone))
            assert not queue.discard(gone, priority, flow)
        elif random.random() < 0.2:
            del waiting[queue.pop()]
    assert queue.size == len(waiting) == sum(queue.counts)
    assert {*queue} == waiting.keys()
    return queue


def emptied(queue: PriorityQueue[int]) -> Iterator[int]:
    while queue.size:
        yield queue.pop()


@pytest.mark.parametrize("more", [0, 2])
@pytest.mark.parametrize("seed", SEEDS)
def test_among_equals_the_place_of_a_newcomer_is_exact(seed: int, more: int) -> None:
    random = Random(seed)
    queue, flow = filled(random, [NORMAL]), random.choice(FLOWS)
    found = queue.ahead_of(NORMAL, flow, more)
    for number in range(more):
        queue.push(100 + number, NORMAL, flow)
    queue.push(200, NORMAL, flow)
    assert found[1:] == queue.ahead_of(NORMAL, flow, before=200)[1:]
    # Flows take turns from where the queue is now, so that those of each flow that come before may be one fewer.
    assert 0 <= found[0] - [*emptied(queue)].index(200) <= len(FLOWS)


def test_a_newcomer_of_a_new_flow_waits_for_one_of_each_other_flow() -> None:
    queue: PriorityQueue[int] = PriorityQueue()
    for waiter in range(9):
        queue.push(waiter, NORMAL, FLOWS[waiter % 3])
    assert queue.ahead_of(NORMAL, "new")[0] == 3
    assert queue.ahead_of(NORMAL, "new", more=1)[0] == 3 + 3 + 1
    assert queue.ahead_of(NORMAL, "a")[0] == 3 + 3 + 3
    assert queue.ahead_of(NORMAL, "a", before=3)[0] == 2 + 2 + 1


def test_more_urgent_ones_go_first_and_less_urgent_ones_after_so_many_passes() -> None:
    queue: PriorityQueue[int] = PriorityQueue()
    for waiter in range(20):
        queue.push(waiter, INTERACTIVE)
    queue.push(50, NORMAL)
    queue.push(60, BULK)
    queue.push(61, BULK)
    assert queue.ahead_of(INTERACTIVE) == (
        20 + 2 + 1,
        20 + 2 + 1,
        0,
    )  # as patient ones are passed over 8 times
    assert queue.ahead_of(NORMAL) == (1 + 16 + 2, 1 + 2 * PASSES + 2, 16)
    assert queue.ahead_of(BULK) == (2 + 21, 2 + 3 * PASSES, 21)


def test_what_was_passed_over_already_counts() -> None:
    queue: PriorityQueue[int] = PriorityQueue()
    for waiter in range(20):
        queue.push(waiter, INTERACTIVE)
    queue.push(50, BULK)
    for _ in range(3):
        assert queue.pop() < 20
    assert queue.ahead_of(BULK, before=50) == (PASSES - 3, PASSES - 3, PASSES - 3)
    served = [*emptied(queue)]
    assert served.index(50) == PASSES - 3


@pytest.mark.parametrize("seed", SEEDS)
def test_the_most_that_go_before_is_never_exceeded_whoever_comes(seed: int) -> None:
    random = Random(seed)
    queue = filled(random, [*Priority])
    priority = random.choice([NORMAL, BULK])
    queue.push(500, priority)
    _, most, _ = queue.ahead_of(priority, before=500)
    before = 0
    while queue.pop() != 500:
        before += 1
        queue.push(1000 + before, random.choice([each for each in Priority if each < priority]))
    assert before <= most + len(FLOWS)


def test_the_first_class_from_a_start_on_is_served_if_somebody_waits_there() -> None:
    queue: PriorityQueue[int] = PriorityQueue()
    for waiter, priority in enumerate((INTERACTIVE, INTERACTIVE, NORMAL, BULK)):
        queue.push(waiter, priority)
    assert queue.pop(NORMAL) == 2
    assert queue.pop(NORMAL) == 3
    assert queue.pop(NORMAL) == 0  # nobody waits from there on
    assert queue.pop() == 1


def test_a_class_that_is_due_is_named_until_it_is_served() -> None:
    queue: PriorityQueue[int] = PriorityQueue()
    for waiter in range(PASSES + 1):
        queue.push(waiter, INTERACTIVE)
    queue.push(50, NORMAL)
    for _ in range(PASSES):
        assert queue.next_class() == (INTERACTIVE, False)
        queue.pop()
    assert queue.next_class() == (NORMAL, True)
    assert queue.pop() == 50
    assert queue.next_class() == (INTERACTIVE, False)


def test_a_class_alone_is_passed_over_by_nobody() -> None:
    queue: PriorityQueue[int] = PriorityQueue()
    for waiter in range(2 * PASSES):
        queue.push(waiter, INTERACTIVE)
    assert len([*emptied(queue)]) == 2 * PASSES
    queue.push(1, INTERACTIVE)
    queue.push(2, BULK)
    assert queue.next_class() == (INTERACTIVE, False)


def test_a_cleared_queue_is_empty_and_returns_who_waited() -> None:
    queue: PriorityQueue[int] = PriorityQueue()
    for waiter, priority in enumerate((BULK, INTERACTIVE)):
        queue.push(waiter, priority, "a")
    queue.next_class()
    assert queue.clear() == [1, 0]
    assert (queue.size, queue.counts, [*queue]) == (0, (0, 0, 0), [])
    with pytest.raises(KeyError, match=r"^'the queue is empty'$"):
        queue.next_class()
    queue.push(7, NORMAL)
    assert queue.next_class() == (NORMAL, False)
    assert queue.pop() == 7


@pytest.mark.parametrize("passed", [0, 3])
def test_refused_ones_come_first_and_their_flow_too(passed: int) -> None:
    queue: PriorityQueue[int] = PriorityQueue()
    for waiter in range(6):
        queue.push(waiter, NORMAL, FLOWS[waiter % 3])
    served = [queue.pop() for _ in range(passed)]
    assert served == [*range(passed)]
    queue.push(99, NORMAL, "b", at_head=True)
    assert queue.pop() == 99
