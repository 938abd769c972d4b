"""The interface between a shared window and its store, and what all stores have in common."""

from collections.abc import Callable
from typing import Protocol

from attrs import define, field

from fathom_async._ratelimit.shared.state import Command, Result
from fathom_async.errors import ArgumentError, FathomError

LOST_AFTER = 3.0
"""Seconds of failed retries after which a store counts as lost."""

Done = Callable[[Result | None], None]


class Listener(Protocol):
    """Receives news about whether the store can be reached."""

    def lost(self, error: FathomError) -> None:
        """Note an outage: nothing is granted until `back`. An `ArgumentError` is a wrong setting, not an outage."""

    def back(self) -> None:
        """Note that the store can be reached again."""


class Store(Protocol):
    """Carries out commands, each atomically, in the order of submission."""

    @property
    def reply_time(self) -> float:
        """Seconds that an answer may take; a shorter `max_wait` cannot be met."""
        ...

    def listen(self, listener: Listener) -> None:
        """Register the listener for outages."""

    def submit(self, step: Command, done: Done | None = None) -> None:
        """Carry out a command now or as soon as possible, and retry it until it succeeds.

        Args:
            step: The command. If the store is lost, ``ask`` and ``look`` are dropped, and possible grants returned.
            done: Called with the reply, before `submit` returns or later; with None if the command was dropped.
        """

    async def aclose(self) -> None:
        """Carry out what is possible at once, and close."""


@define(eq=False)
class Health:
    """Tells an outage from a hiccup, and notifies the listener once."""

    is_lost: bool = field(default=False, init=False)
    _failing_since: float | None = field(default=None, init=False)
    _listener: Listener | None = field(default=None, init=False)

    def listen(self, listener: Listener) -> None:
        """Register the listener."""
        self._listener = listener

    def failed(self, error: FathomError, now: float) -> bool:
        """Note a failure at this time of the event loop; return whether the store counts as lost."""
        if self._failing_since is None:
            self._failing_since = now
        is_hopeless = isinstance(error, ArgumentError) or now - self._failing_since >= LOST_AFTER
        if is_hopeless and not self.is_lost:
            self.is_lost = True
            if self._listener is not None:
                self._listener.lost(error)
        return self.is_lost

    def worked(self) -> None:
        """Note a success."""
        self._failing_since = None
        if self.is_lost:
            self.is_lost = False
            if self._listener is not None:
                self._listener.back()
