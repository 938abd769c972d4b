"""How far ``X-RateLimit-Remaining`` is believed.

1. **Too little.** Probes in a row that were our only requests within T found the same number left, less than nobody
   else's spending would leave: three of them, or two that found 0. Others spend exactly that, or the header counts
   something else, such as a small burst, or is a constant. Then the number is *doubted*: requests are spaced evenly,
   which leaves such a number where it is, and a 0 is disregarded. Where the number falls, or a request is refused,
   others do spend: it is believed again, and twice as many such probes are needed from then on.
2. **Too much.** Three refusals in a row came though the answer just before had left room, or two though the headers
   had let more than N requests go in a short time; or one says itself that some remain, and to wait for long.
   ``Remaining`` is *distrusted* for `DISTRUST_SPANS`, and for twice as long each time. The server is then one that
   tells nothing.

A pure state machine: time is an argument.
"""

import math

DISTRUST_SPANS = 100
"""Spans for which ``Remaining`` is disregarded once it has promised too much (rule 2)."""

_PROBES, _MOST_PROBES = 2, 64
_STRIKES = 3


class Belief:
    """How far ``Remaining`` is believed.

    Args:
        span: Seconds from a request's count to its permit's return.

    Attributes:
        doubted: The number that is taken for a constant; None while it is believed.
    """

    __slots__ = (
        "_believed_from",
        "_distrust",
        "_found",
        "_needed",
        "_probes",
        "_strikes",
        "doubted",
    )

    def __init__(self, span: float) -> None:
        self.doubted: int | None = None
        self._found: int | None = None  # what the last probe found
        self._probes = 0  # so many found it, in a row
        self._needed = _PROBES
        self._strikes = 0  # against it, by refusals in a row
        self._believed_from = -math.inf
        self._distrust = DISTRUST_SPANS * span

    def is_settled(self, now: float) -> bool:
        """Whether there is nothing to watch for."""
        return not self._probes and self.doubted is None and not self.is_distrusted(now)

    def is_distrusted(self, now: float) -> bool:
        """Whether ``Remaining`` is disregarded."""
        return now < self._believed_from

    def heard(self, remaining: int, full: int, is_alone: bool, now: float) -> int | None:
        """An answer said that so many remain; return what to believe.

        Args:
            remaining: What it said.
            full: What it says where nobody else spends.
            is_alone: Whether the request was the only one of ours within T.
            now: The moment.
        """
        if self.is_distrusted(now):
            return None
        if is_alone and remaining >= full:
            self.doubted, self._found, self._probes, self._needed = None, None, 0, _PROBES
        elif is_alone and self.doubted is None:
            self._probes = self._probes + 1 if remaining == self._found else 1
            self._found = remaining
            if self._probes >= self._needed + (remaining > 0):
                self.doubted = remaining
        if self.doubted is not None and remaining < self.doubted:
            self._believe_again()
        return None if self.doubted == remaining == 0 else remaining

    def refused(self, strikes: int, now: float, *, is_absurd: bool = False) -> None:
        """A request was refused for its rate.

        Args:
            strikes: How much that speaks against what the headers said before (rule 2).
            now: The moment.
            is_absurd: Whether the refusal itself leaves room.
        """
        if self.doubted is not None:
            self._believe_again()
        self._strikes = self._strikes + strikes if strikes else 0
        if is_absurd or self._strikes >= _STRIKES:
            self._believed_from = now + self._distrust
            self._distrust *= 2
            self._strikes = _STRIKES - 1  # once it is believed again, one is enough

    def _believe_again(self) -> None:
        self.doubted = None
        self._probes = 0
        self._needed = min(2 * self._needed, _MOST_PROBES)
