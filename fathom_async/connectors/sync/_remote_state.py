"""Protocols of a remote service and its state, for planning and applying changes."""

from collections.abc import Sequence
from typing import Protocol

from fathom_async.connectors.sync._changes import Change
from fathom_async.errors import FathomError


class SyncError(FathomError):
    """A change failed, because something that it builds on is missing."""


class RemoteState(Protocol):
    """The state of a service at one moment, compared with the wanted state."""

    @property
    def changes(self) -> tuple[Change, ...]:
        """The changes still to make, in a possible order."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """The objects that stay as they are, and why."""
        ...

    def lacks(self, change: Change) -> bool:
        """Tell whether the object of a change is missing or archived."""
        ...

    async def make(self, change: Change) -> None:
        """Make a change, or raise a `FathomError`."""
        ...


class RemoteService(Protocol):
    """A service, and its wanted state."""

    @property
    def name(self) -> str:
        """The name of the service."""
        ...

    async def fetch(self) -> RemoteState:
        """Read the current state."""
        ...

    def eta(self, changes: Sequence[Change]) -> float:
        """Return the seconds until the rate limit has admitted these changes."""
        ...
