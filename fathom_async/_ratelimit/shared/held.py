"""Until when the permits of a shared window are held: rules 1 to 4 of `fathom_async._ratelimit.shared.state`."""

from typing import cast

_HEAD = 2
_USED, _FOREIGN = range(_HEAD)


def held_size(requests: int) -> int:
    return _HEAD + 3 * requests


class HeldPermits:
    """The permits that are out; a view of `held_size` numbers, all zeros when none ever was.

    Permits take the first places that are free, so that of a large window only as many are looked at as were out at
    once. They are sorted once in a step.
    """

    __slots__ = ("_flying", "_head", "_ids", "_now", "_sorted", "_span", "_until")

    def __init__(self, memory: "memoryview[float]", span: float) -> None:
        self._head, places = memory[:_HEAD], memory[_HEAD:]
        size = len(places) // 3
        self._until, self._ids, self._flying = (places[size * each : size * (each + 1)] for each in range(3))
        self._span = span
        self._now = 0.0
        self._sorted: tuple[list[float], list[float]] | None = None

    def begin(self, now: float) -> None:
        """Look at another moment, or at memory that somebody else may have changed."""
        self._now = now
        self._sorted = None

    @property
    def ours(self) -> list[float]:
        """When those that were granted come back, in order."""
        return self._both()[0]

    @property
    def all(self) -> list[float]:
        """When those and the ones held for other clients come back, in order."""
        ours, foreign = self._both()
        return sorted(ours + foreign) if foreign else ours

    @property
    def foreign(self) -> int:
        return len(self._both()[1]) if self._head[_FOREIGN] > self._now else 0

    def in_flight(self) -> int:
        used, now = int(self._head[_USED]), self._now
        flying = enumerate(self._flying[:used].tolist())
        return sum(self._until[place] > now for place, ends in flying if ends > now)

    def turn(self, ahead: int, requests: int, reserve: int) -> float:
        """Return when a permit is free for whoever has so many before it, as far as is known."""
        ours, held = self.ours, self.all
        return max(
            self._nth(held, len(held) - requests + ahead),
            self._nth(ours, len(ours) - requests + reserve + ahead),
        )

    def grant(self, first: int, count: int, until: float) -> int:
        """Hold so many permits, numbered from the first one, 0 for other clients; return how many there were."""
        used, now = int(self._head[_USED]), self._now
        free = [place for place, held in enumerate(self._until[:used].tolist()) if held <= now][:count]
        free += range(used, min(used + count - len(free), len(self._until)))
        for number, place in enumerate(free):
            self._until[place] = until
            self._ids[place] = first + number if first else 0
            self._flying[place] = until - self._span if first else 0.0  # rule 10
        self._head[_USED] = max(used, free[-1] + 1) if free else used
        if not first:
            self._head[_FOREIGN] = max(self._head[_FOREIGN], until)
        self._sorted = None
        return len(free)

    def hold(self, permit: int, until: float) -> bool:
        """Hold a permit until then; return whether it is one that was granted."""
        place = self._find(permit)
        if place is not None:
            self._until[place] = until
            self._sorted = None
        return place is not None

    def land(self, permit: int, until: float | None = None) -> bool:
        """End a request, and hold its permit until then at the latest; return whether there is one."""
        place = self._find(permit)
        if place is not None:
            self._flying[place] = 0.0
            if until is not None:
                self._until[place] = min(self._until[place], until)
            self._sorted = None
        return place is not None

    def free(self, first: int, count: int) -> None:
        for permit in range(first, first + count):
            self.land(permit, 0.0)

    def usable(self, count: int) -> list[float]:
        """Return when each of so many can be used, in order; those of unanswered requests a span from now."""
        latest, held = self._now + self._span, self.all
        back = [min(until, latest) for until in held[max(0, len(held) - count) :]]
        return [self._now] * (count - len(back)) + back

    def _nth(self, returns: list[float], index: int) -> float:
        if index < 0:
            return self._now
        if not returns:
            return self._now + self._span
        turns, index = divmod(index, len(returns))
        return returns[index] + turns * self._span

    def _both(self) -> tuple[list[float], list[float]]:
        if self._sorted is None:
            used, now = int(self._head[_USED]), self._now
            held = cast("list[float]", self._until[:used].tolist())
            if self._head[_FOREIGN] <= now:
                ours, foreign = [until for until in held if until > now], list[float]()
            else:
                pairs = [*zip(held, self._ids[:used].tolist(), strict=True)]
                ours = [until for until, permit in pairs if until > now and permit]
                foreign = [until for until, permit in pairs if until > now and not permit]
            ours.sort()
            foreign.sort()
            self._sorted = ours, foreign
        return self._sorted

    def _find(self, permit: int) -> int | None:
        ids = cast("list[float]", self._ids[: int(self._head[_USED])].tolist())
        wanted, place = float(permit), -1
        try:
            while True:
                place = ids.index(wanted, place + 1)
                if self._until[place] > self._now:
                    return place
        except ValueError:
            return None
