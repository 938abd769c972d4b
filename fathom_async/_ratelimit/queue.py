"""Who goes next: first come, first served inside a priority, and no priority starves."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

from fathom_async._ratelimit.plan import Priority

PATIENCE = 8
"""How often a waiting priority is passed over by more urgent ones before it is served once."""

T = TypeVar("T")


class PriorityQueue(Generic[T]):
    """Waiters by priority; every operation takes constant time.

    A priority that has been passed over `PATIENCE` times in a row while it had someone waiting is served once,
    so that bulk work goes on, at one in nine, however much interactive work arrives. Ageing by passes instead
    of by time keeps an interactive request from ever waiting behind a long bulk job that is merely old.
    """

    __slots__ = ("_lines", "_passed", "size")

    def __init__(self) -> None:
        # Ordered dicts give what a deque cannot: constant-time removal of a waiter that gave up.
        self._lines: list[OrderedDict[T, None]] = [OrderedDict() for _ in Priority]
        self._passed = [0 for _ in Priority]
        self.size = 0

    def push(self, waiter: T, priority: Priority, *, first: bool = False) -> None:
        """Append a waiter, or put it before all others of its priority."""
        line = self._lines[priority]
        line[waiter] = None
        self.size += 1
        if first:
            line.move_to_end(waiter, last=False)

    def discard(self, waiter: T, priority: Priority) -> None:
        """Take out a waiter that gave up; it may be gone already."""
        line = self._lines[priority]
        if waiter in line:
            del line[waiter]
            self.size -= 1

    def pop(self) -> T:
        """Take out the next waiter.

        Raises:
            KeyError: Nobody waits.
        """
        waiting = [priority for priority, line in enumerate(self._lines) if line]
        if not waiting:
            raise KeyError("nobody waits")
        chosen = waiting[0]
        if len(waiting) > 1:
            chosen = next((p for p in waiting if self._passed[p] >= PATIENCE), chosen)
            for priority in waiting:
                self._passed[priority] += priority > chosen
        self._passed[chosen] = 0
        self.size -= 1
        return self._lines[chosen].popitem(last=False)[0]

    def ahead_of(self, priority: Priority, more: int = 0) -> int:
        """Return about how many waiters are served before a newcomer of this priority, if nobody else comes.

        Args:
            priority: That of the newcomer.
            more: Newcomers of the same priority before it.
        """
        own = len(self._lines[priority]) + more
        urgent = sum(len(line) for line in self._lines[:priority])
        # Not more than so many urgent ones go before each of our own; and so many of ours before a patient one.
        passing = min(urgent, (own + 1) * PATIENCE - self._passed[priority])
        passed = (min(len(line), (own + passing) // PATIENCE) for line in self._lines[priority + 1 :])
        return own + passing + sum(passed)

    def __iter__(self) -> Iterator[T]:
        for line in self._lines:
            yield from line
