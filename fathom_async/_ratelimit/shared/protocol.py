"""Where a shared window lives: what the file and the Redis store have in common."""

from collections.abc import Callable
from typing import Protocol

from fathom_async._ratelimit.shared.commands import Command, Result
from fathom_async.errors import ArgumentError, ConfigurationError, FathomError

FORMAT = 2
"""The layout of what is stored; processes with another one cannot share it."""

LOST_AFTER = 3.0
"""Seconds for which a store is tried again before it counts as lost."""

Done = Callable[[Result | None], None]


class Listener(Protocol):
    """Whoever wants to know whether the store can be reached."""

    def lost(self, error: FathomError) -> None:
        """Nothing is granted until `back`. An `ArgumentError` is no outage, but somebody's mistake."""

    def back(self) -> None:
        """The store can be reached again."""


class Store(Protocol):
    """Carries out steps, each atomically, in the order of their submission."""

    @property
    def reply_time(self) -> float:
        """Seconds that an answer may take: who waits less cannot be served."""
        ...

    def listen(self, listener: Listener) -> None:
        """Name the one to be told of outages."""

    def submit(self, step: Command, done: Done | None = None) -> None:
        """Carry out a step now or as soon as possible, and tell its reply, maybe before this returns.

        It is tried again until it was carried out. One that asks or looks is dropped when the store is lost: it is
        told None, and what it may have been granted is given back.
        """

    def peek(self, step: Command) -> Result | None:
        """Return what a look would, without a change to the store; None where that takes time."""
        ...

    def rekey(self, key: str) -> None:
        """Carry out the steps from now on under another key."""

    async def aclose(self) -> None:
        """Carry out what can be carried out at once, and close."""


def other_format(place: str, number: int) -> ConfigurationError:
    """Return the error of a process that meets a budget of another version."""
    return ConfigurationError(
        f"the budget at {place} was written by format {number} of fathom_async, this is format {FORMAT}: restart all "
        "processes of this budget with one version, or name another budget_key or place"
    )


def other_limit(requests: int, per: float, own_requests: int, own_per: float) -> ConfigurationError:
    """Return the error of a process that meets its budget with another limit."""
    return ConfigurationError(
        f"other processes share this budget with a limit of {requests} requests in {per:g} s, "
        f"not {own_requests} in {own_per:g} s: give all of them the same plan, or another budget_key"
    )


class Health:
    """Tells an outage from a hiccup, and tells the listener once."""

    __slots__ = ("_failing_since", "_listener", "is_lost")

    def __init__(self) -> None:
        self._failing_since: float | None = None
        self._listener: Listener | None = None
        self.is_lost = False

    def listen(self, listener: Listener) -> None:
        self._listener = listener

    def failed(self, error: FathomError, now: float) -> bool:
        """A step failed at a second of the event loop; return whether the store counts as lost."""
        if self._failing_since is None:
            self._failing_since = now
        is_hopeless = isinstance(error, ArgumentError) or now - self._failing_since >= LOST_AFTER
        if is_hopeless and not self.is_lost:
            self.is_lost = True
            if self._listener is not None:
                self._listener.lost(error)
        return self.is_lost

    def worked(self) -> None:
        self._failing_since = None
        if self.is_lost:
            self.is_lost = False
            if self._listener is not None:
                self._listener.back()
