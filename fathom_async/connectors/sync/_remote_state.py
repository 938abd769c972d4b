"""What planning and applying need of the other state, whichever service it is."""

from collections.abc import Sequence
from typing import Protocol

from fathom_async.connectors.sync._changes import Change
from fathom_async.errors import FathomError


class SyncError(FathomError):
    """A change could not be made, because what it builds on is not there."""


class RemoteState(Protocol):
    """The other state as it was found, compared with what should be there."""

    @property
    def changes(self) -> tuple[Change, ...]:
        """What there is to do, in an order in which it can be done."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left alone, and why."""
        ...

    def lacks(self, change: Change) -> bool:
        """Whether what a change would change is not there, or was put away."""
        ...

    async def carry_out(self, change: Change) -> None:
        """Make a change.

        Raises:
            FathomError: It could not be made.
        """
        ...


class RemoteService(Protocol):
    """A service, and what should be there."""

    @property
    def name(self) -> str:
        """What the service is called."""
        ...

    async def look(self) -> RemoteState:
        """Read what is there."""
        ...

    def eta(self, changes: Sequence[Change]) -> float:
        """Return the seconds until these changes would have been admitted."""
        ...
