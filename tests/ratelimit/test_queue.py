"""The order of the queue."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom_async._ratelimit.plan import Priority
from fathom_async._ratelimit.queue import PASSES, PriorityQueue

INTERACTIVE, NORMAL, BULK = Priority


def drained(queue: PriorityQueue[str]) -> list[str]:
    return [queue.pop() for _ in range(queue.size)]


def test_urgent_ones_first_and_in_order_of_arrival_among_equals() -> None:
    queue = PriorityQueue[str]()
    for waiter, priority in [("b1", BULK), ("n1", NORMAL), ("i1", INTERACTIVE), ("n2", NORMAL), ("b2", BULK)]:
        queue.push(waiter, priority)
    assert drained(queue) == ["i1", "n1", "n2", "b1", "b2"]


def test_one_may_be_put_first_among_equals() -> None:
    queue = PriorityQueue[str]()
    queue.push("a", NORMAL)
    queue.push("b", NORMAL, at_head=True)
    queue.push("c", INTERACTIVE)
    assert drained(queue) == ["c", "b", "a"]


def test_who_is_passed_over_often_is_served_once() -> None:
    queue = PriorityQueue[str]()
    for number in range(3 * PASSES):
        queue.push(f"i{number}", INTERACTIVE)
    queue.push("b0", BULK)
    queue.push("b1", BULK)
    order = drained(queue)
    assert order.index("b0") == PASSES
    assert order.index("b1") == 2 * PASSES + 1


def test_two_passed_over_priorities_both_get_their_turn() -> None:
    queue = PriorityQueue[str]()
    for number in range(40):
        queue.push(f"i{number}", INTERACTIVE)
    queue.push("n", NORMAL)
    queue.push("b", BULK)
    order = drained(queue)
    assert {order[PASSES], order[PASSES + 1]} == {"n", "b"}


def test_who_gave_up_is_not_served() -> None:
    queue = PriorityQueue[str]()
    queue.push("a", NORMAL)
    queue.push("b", NORMAL)
    queue.discard("a", NORMAL)
    queue.discard("a", NORMAL)
    assert drained(queue) == ["b"]


@given(st.tuples(*[st.integers(0, 60)] * 3), st.integers(0, 40), st.sampled_from(Priority))
def test_a_newcomer_is_told_about_how_many_are_served_before_it(
    waiting: tuple[int, int, int], served: int, priority: Priority
) -> None:
    queue = PriorityQueue[str]()
    for line, count in zip(Priority, waiting, strict=True):
        for number in range(count):
            queue.push(f"{line.name}{number}", line)
    for _ in range(min(served, queue.size)):
        queue.pop()
    told, at_most, _ = queue.ahead_of(priority)
    assert told <= at_most
    queue.push("newcomer", priority)
    assert drained(queue).index("newcomer") == pytest.approx(told, rel=0.2, abs=2)


def test_a_newcomer_stands_behind_the_more_urgent_and_its_equals() -> None:
    queue = PriorityQueue[str]()
    for waiter, priority in [("b", BULK), ("n", NORMAL), ("i", INTERACTIVE)]:
        queue.push(waiter, priority)
    assert [queue.ahead_of(priority) for priority in Priority] == [(1, 1, 0), (2, 17, 1), (3, 17, 2)]
    assert sorted(drained(queue)) == ["b", "i", "n"]


def test_nobody_waits() -> None:
    with pytest.raises(KeyError, match="the queue is empty"):
        PriorityQueue[str]().pop()
