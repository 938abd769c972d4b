"""Who goes next: the most urgent class, and inside of it one flow after the other.

1. The more urgent class goes first.
2. A class that was passed over `PASSES` times in a row while it had someone waiting is served once, whatever else
   holds it back, so that bulk work goes on, at one in nine, however much interactive work arrives. Ageing by passes
   instead of by time keeps an interactive request from waiting behind a long bulk job that is merely old.
3. Inside a class the flows take turns, so that ten requests that come after a thousand of another flow are through
   after twenty. Inside a flow it is first come, first served.
4. A request that the server refused goes to the head of its class; one that failed goes to the end of its flow.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

from fathom_async._ratelimit.plan import Priority

PASSES = 8
"""How often a waiting class is passed over by more urgent ones before it is served once."""

_CLASSES = tuple(Priority)  # an enumeration is slower to go through

T = TypeVar("T")


class _Line(Generic[T]):
    """The waiters of one class, by flow."""

    __slots__ = ("_flows", "_lengths")

    def __init__(self) -> None:
        # Ordered dicts give what a deque cannot: constant-time removal of a waiter that gave up.
        self._flows: OrderedDict[str, OrderedDict[T, None]] = OrderedDict()
        self._lengths: dict[int, int] = {}  # how many flows have so many waiters

    def push(self, waiter: T, flow: str, *, at_head: bool) -> None:
        waiters = self._flows.get(flow)
        if waiters is None:
            waiters = self._flows[flow] = OrderedDict()
        waiters[waiter] = None
        self._count(len(waiters) - 1, len(waiters))
        if at_head:
            waiters.move_to_end(waiter, last=False)
            self._flows.move_to_end(flow, last=False)

    def discard(self, waiter: T, flow: str) -> bool:
        waiters = self._flows.get(flow)
        if waiters is None or waiter not in waiters:
            return False
        del waiters[waiter]
        self._count(len(waiters) + 1, len(waiters))
        if not waiters:
            del self._flows[flow]
        return True

    def pop(self) -> T:
        flow, waiters = next(iter(self._flows.items()))
        waiter, _ = waiters.popitem(last=False)
        self._count(len(waiters) + 1, len(waiters))
        if waiters:
            self._flows.move_to_end(flow)
        else:
            del self._flows[flow]
        return waiter

    def ahead_of(self, flow: str, more: int, before: T | None = None) -> int:
        """Return how many are served before a newcomer of this flow that has so many more of its own before it.

        With `before`, return how many are served before that one of the flow's waiters.
        """
        waiters = self._flows.get(flow, ())
        own = len(waiters)
        if before is not None:
            own = next((place for place, each in enumerate(waiters) if each is before), own)
        turns = own + more + 1
        others = sum(min(length, turns) * flows for length, flows in self._lengths.items())
        return others - min(len(waiters), turns) + own + more

    def _count(self, before: int, after: int) -> None:
        lengths = self._lengths
        if after:
            lengths[after] = lengths.get(after, 0) + 1
        if before > 0:
            lengths[before] -= 1
            if not lengths[before]:
                del lengths[before]

    def __iter__(self) -> Iterator[T]:
        for waiters in self._flows.values():
            yield from waiters


class PriorityQueue(Generic[T]):
    """Waiters by class and flow; every operation but `ahead_of` and iteration takes constant time."""

    __slots__ = ("_lines", "_next", "_passed", "_waiting", "size")

    def __init__(self) -> None:
        self._lines: list[_Line[T]] = [_Line() for _ in Priority]
        self._passed = [0 for _ in Priority]
        self._waiting = [0 for _ in Priority]
        self._next: tuple[Priority, bool] | None = None  # what `next_class` found since the last change
        self.size: int = 0

    def push(self, waiter: T, priority: Priority, flow: str = "", *, at_head: bool = False) -> None:
        """Append a waiter to its flow, or put it before all others of its class (rule 4)."""
        self._lines[priority].push(waiter, flow, at_head=at_head)
        self._waiting[priority] += 1
        self._next = None
        self.size += 1

    def discard(self, waiter: T, priority: Priority, flow: str = "") -> bool:
        """Take out a waiter; return whether it was not gone already."""
        gone = self._lines[priority].discard(waiter, flow)
        self._waiting[priority] -= gone
        self._next = None
        self.size -= gone
        return gone

    def next_class(self) -> tuple[Priority, bool]:
        """Return the class whose turn it is, and whether it was passed over so often that nothing may hold it."""
        if self._next is None:
            waiting = [priority for priority in _CLASSES if self._waiting[priority]]
            if not waiting:
                raise KeyError("the queue is empty")
            due = [priority for priority in waiting if self._passed[priority] >= PASSES]
            self._next = (due[0], True) if due else (waiting[0], False)
        return self._next

    def pop(self, start: Priority | None = None) -> T:
        """Take out the next waiter; with a start, of the first class from there on in which somebody waits."""
        chosen, _ = self.next_class()
        if start is not None:
            chosen = next((each for each in _CLASSES[start:] if self._waiting[each]), chosen)
        if self._waiting[chosen] < self.size:
            for priority in _CLASSES[chosen + 1 :]:
                self._passed[priority] = min(self._passed[priority] + bool(self._waiting[priority]), PASSES)
        self._passed[chosen] = 0
        self._waiting[chosen] -= 1
        self._next = None
        self.size -= 1
        return self._lines[chosen].pop()

    def ahead_of(
        self, priority: Priority, flow: str = "", more: int = 0, before: T | None = None
    ) -> tuple[int, int, int]:
        """Return about how many go before a newcomer: if nobody else comes, at the most, and more urgent ones.

        `more` newcomers of its flow go before it, too. With `before`, it is one who waits already.
        """
        own = self._lines[priority].ahead_of(flow, more, before)
        urgent = sum(self._waiting[:priority])
        # Not more than so many urgent ones go before each of our own; and so many of ours before a patient one.
        most = (own + 1) * PASSES - self._passed[priority] if priority else 0
        passing = min(urgent, most)
        patient = sum(min(count, (own + passing) // PASSES) for count in self._waiting[priority + 1 :])
        return own + passing + patient, own + most + patient, passing

    def clear(self) -> list[T]:
        waiters = [*self]
        self._lines = [_Line() for _ in Priority]
        self._waiting = [0 for _ in Priority]
        self._next = None
        self.size = 0
        return waiters

    @property
    def counts(self) -> tuple[int, int, int]:
        interactive, normal, bulk = self._waiting
        return interactive, normal, bulk

    def __iter__(self) -> Iterator[T]:
        for line in self._lines:
            yield from line
