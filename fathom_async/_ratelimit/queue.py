"""The queue of a lane: first come, first served within a priority, and no priority starves."""

from collections import OrderedDict
from typing import Generic, TypeVar

from fathom_async._ratelimit.plan import Priority

PATIENCE = 8
"""How often more urgent requests pass a waiting priority before it is served once."""

T = TypeVar("T")


class PriorityQueue(Generic[T]):
    """Waiters by priority; every operation takes constant time.

    A waiting priority that was passed `PATIENCE` times in a row is served once, so that one request in nine is bulk
    work, however much interactive work arrives. Counting passes instead of time keeps an interactive request from
    waiting behind a long bulk job that is merely old.

    Attributes:
        size: How many are waiting.
    """

    __slots__ = ("_lines", "_passed", "size")

    def __init__(self) -> None:
        # Unlike a deque, an ordered dict removes a waiter that gave up in constant time.
        self._lines: list[OrderedDict[T, None]] = [OrderedDict() for _ in Priority]
        self._passed = [0 for _ in Priority]
        self.size = 0

    def push(self, waiter: T, priority: Priority, *, first: bool = False) -> None:
        """Append a waiter, or insert it before all others of its priority."""
        line = self._lines[priority]
        line[waiter] = None
        self.size += 1
        if first:
            line.move_to_end(waiter, last=False)

    def discard(self, waiter: T, priority: Priority) -> None:
        """Remove a waiter that gave up, if it is still there."""
        line = self._lines[priority]
        if waiter in line:
            del line[waiter]
            self.size -= 1

    def pop(self) -> T:
        """Remove and return the next waiter.

        Raises:
            KeyError: The queue is empty.
        """
        waiting = [priority for priority, line in enumerate(self._lines) if line]
        if not waiting:
            raise KeyError("the queue is empty")
        chosen = waiting[0]
        if len(waiting) > 1:
            chosen = next((p for p in waiting if self._passed[p] >= PATIENCE), chosen)
            for priority in waiting:
                self._passed[priority] += priority > chosen
        self._passed[chosen] = 0
        self.size -= 1
        return self._lines[chosen].popitem(last=False)[0]

    def ahead_of(self, priority: Priority, more: int = 0) -> int:
        """Estimate how many waiters are served before a newcomer of this priority, if no others arrive.

        Args:
            priority: Priority of the newcomer.
            more: Newcomers of the same priority before this one.
        """
        own = len(self._lines[priority]) + more
        urgent = sum(len(line) for line in self._lines[:priority])
        # At most `PATIENCE` urgent ones are served before each of our own, and as many of ours before a passed one.
        passing = min(urgent, (own + 1) * PATIENCE - self._passed[priority])
        passed = (min(len(line), (own + passing) // PATIENCE) for line in self._lines[priority + 1 :])
        return own + passing + sum(passed)
