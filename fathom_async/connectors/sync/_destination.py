"""Protocols of what Fathom's events are brought to, and of its state, for planning and applying changes."""

from collections.abc import Callable, Sequence
from typing import Protocol

from fathom_async.connectors.sync._changes import Change
from fathom_async.connectors.sync._source import AccountEvents
from fathom_async.errors import FathomError


class SyncError(FathomError):
    """A change failed, because something that it builds on is missing, or another sync is at work."""


class RemoteState(Protocol):
    """The state of a service at one moment, compared with the wanted state."""

    @property
    def changes(self) -> tuple[Change, ...]:
        """The changes still to make, in a possible order."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What stays as it is, and why."""
        ...

    async def find(self, change: Change, made: str | None) -> bool:
        """Look for the object of a creation, in a way that does not lag behind.

        Args:
            change: The creation.
            made: The object's id, if this machine created it.
        """
        ...

    async def make(self, change: Change, sent: Callable[[], None]) -> str | None:
        """Make a change.

        Args:
            change: The change.
            sent: To be called when the request leaves, as `Request.on_sent` is.

        Returns:
            The id of the created object, if any.

        Raises:
            FathomError: It failed.
        """
        ...

    def lacks(self, change: Change) -> bool:
        """Tell whether the object of a change is missing or archived."""
        ...


class Destination(Protocol):
    """What Fathom's events are brought to."""

    @property
    def name(self) -> str:
        """Its name for people."""
        ...

    @property
    def key(self) -> str:
        """What tells it from all others, such as an address and an account; no secret."""
        ...

    async def compare(self, source: AccountEvents) -> RemoteState:
        """Read the current state, and compare it with Fathom's events."""
        ...

    def eta(self, changes: Sequence[Change]) -> float:
        """Return the seconds until the rate limit has admitted these changes."""
        ...
