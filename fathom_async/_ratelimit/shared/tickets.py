"""The queue of a shared window: a ticket for each class that waits in a process (rules 5 to 7 of `state`)."""

from fathom_async._ratelimit.plan import Priority

MAX_TICKETS = 512
"""Tickets in the queue; further processes are served too, in no order."""

TICKETS_SIZE = 1 + 3 * MAX_TICKETS
"""How many numbers the queue needs."""

_CLASSES = 4  # a ticket's number is its owner's times this, and the class


class Tickets:
    """The tickets in the order of their arrival; a view of `TICKETS_SIZE` numbers, all zeros when nobody waits."""

    __slots__ = ("_kept", "_size", "_values")

    def __init__(self, memory: "memoryview[float]") -> None:
        self._size, values = memory[:1], memory[1:]
        self._values = [values[MAX_TICKETS * each : MAX_TICKETS * (each + 1)] for each in range(3)]
        self._kept: dict[int, tuple[float, int]] = {}

    def begin(self, now: float) -> None:
        """Read the tickets that have not lapsed by now."""
        keys, untils, counts = (part[: int(self._size[0])].tolist() for part in self._values)
        tickets = zip(map(int, keys), untils, map(int, counts), strict=True)
        self._kept = {key: (until, count) for key, until, count in tickets if until > now}

    def write(self) -> None:
        keys, untils, counts = self._values
        for index, (key, (until, count)) in enumerate(self._kept.items()):
            keys[index], untils[index], counts[index] = key, until, count
        self._size[0] = len(self._kept)

    def put(self, owner: int, priority: Priority, until: float, waiting: int) -> None:
        """Keep the ticket of a process for a class until then; a new one goes to the end."""
        key = owner * _CLASSES + priority
        if key in self._kept or len(self._kept) < MAX_TICKETS:
            self._kept[key] = until, waiting

    def drop(self, owner: int, priority: Priority) -> None:
        self._kept.pop(owner * _CLASSES + priority, None)

    def leave(self, owner: int) -> None:
        self._kept = {key: ticket for key, ticket in self._kept.items() if key // _CLASSES != owner}

    def place(self, owner: int, priority: int) -> tuple[int, int, int]:
        """Return how many are of more urgent classes, and how many of this class before and behind an owner's."""
        equals = [key // _CLASSES for key in self._kept if key % _CLASSES == priority]
        position = equals.index(owner) if owner in equals else len(equals)
        urgent = sum(key % _CLASSES < priority for key in self._kept)
        return urgent, position, len(equals) - position - (owner in equals)

    def first(self, priority: Priority) -> float | None:
        """Return until when the first ticket of a class is kept; None if nobody waits."""
        return next((until for key, (until, _) in self._kept.items() if key % _CLASSES == priority), None)

    def behind(self, priority: int, owner: int) -> list[int]:
        """Return how many requests wait behind each ticket of a class that is not this owner's."""
        tickets = self._kept.items()
        return [n for key, (_, n) in tickets if key % _CLASSES == priority and key // _CLASSES != owner]

    def processes(self, owner: int) -> int:
        return len({key // _CLASSES for key in self._kept} - {owner})

    def __len__(self) -> int:
        return len(self._kept)
