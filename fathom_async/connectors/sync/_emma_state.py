"""Fathom's events in Emma: one type for each name, whichever sites it is counted on."""

from collections.abc import Iterable, Sequence

from attrs import frozen

from fathom_async.connectors.emma._client import EmmaClient
from fathom_async.connectors.emma._models import EventType
from fathom_async.connectors.sync._changes import Change, CreateEventType
from fathom_async.connectors.sync._names import key
from fathom_async.connectors.sync._remote_state import SyncError
from fathom_async.connectors.sync._source import CountedSite


def event_types(sites: Iterable[CountedSite]) -> tuple[str, ...]:
    """Return the names of the types that should be there."""
    return tuple(dict.fromkeys(key(event.name) for counted in sites for event in counted.events))


def differences(
    wanted: Iterable[str], present: Iterable[EventType]
) -> tuple[tuple[Change, ...], tuple[str, ...]]:
    """Compare the types that should be there with those that are.

    A type is known by its `event_type`, which is what events name. What it is displayed as is left to people.

    Returns:
        The changes, and what to know of them.
    """
    present = tuple(present)
    known = {key(kind.event_type) for kind in present}
    shown = {key(kind.display_name): kind.event_type for kind in present}
    missing = [name for name in wanted if name not in known]
    return (
        tuple(CreateEventType(name, name) for name in missing),
        tuple(f"{name}: the type {shown[name]} is displayed as that" for name in missing if name in shown),
    )


@frozen
class EmmaState:
    """Emma's types as they were found."""

    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    _emma: EmmaClient

    def lacks(self, change: Change) -> bool:
        """Whether what it would change is not there; nothing here is ever changed, see `RemoteState.lacks`."""
        del change
        return False

    async def carry_out(self, change: Change) -> None:
        """Make a change; see `RemoteState.carry_out`."""
        if not isinstance(change, CreateEventType):
            raise SyncError(f"Emma knows nothing but types of events: {change}")
        await self._emma.event_types.create(event_type=change.event_type, display_name=change.display_name)


@frozen
class EmmaService:
    """Emma, and the types that should be there.

    Attributes:
        emma: The client.
        wanted: Names of the types.
        notes: What is left out, and why.
        name: What the service is called.
    """

    emma: EmmaClient
    wanted: tuple[str, ...]
    notes: tuple[str, ...] = ()
    name: str = "Emma"

    async def look(self) -> EmmaState:
        """Read the types; see `RemoteService.look`."""
        present = [kind async for kind in self.emma.event_types.list()]
        changes, notes = differences(self.wanted, present)
        return EmmaState(changes, (*self.notes, *notes), self.emma)

    def eta(self, changes: Sequence[Change]) -> float:
        """Return the seconds until these changes would have been admitted; see `RemoteService.eta`."""
        return self.emma.eta(len(changes)) if changes else 0.0
