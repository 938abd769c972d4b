"""Protocols of a remote service and its state, for planning and applying changes."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from attrs import frozen

from fathom_async.connectors.sync._changes import Change
from fathom_async.errors import FathomError


class SyncError(FathomError):
    """A change failed, because something that it builds on is missing."""


def _never(_: Change) -> bool:
    return False


@frozen
class RemoteState:
    """The state of a service at one moment, compared with the wanted state.

    Attributes:
        changes: The changes still to make, in a possible order.
        notes: The objects that stay as they are, and why.
        make: Makes a change, or raises a `FathomError`.
        lacks: Tells whether the object of a change is missing or archived.
    """

    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    make: Callable[[Change], Awaitable[None]]
    lacks: Callable[[Change], bool] = _never


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
