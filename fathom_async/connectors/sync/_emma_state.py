"""Fathom's events in Emma: one event type for each name, on whichever sites it occurs."""

from collections.abc import Iterable, Sequence

from attrs import frozen

from fathom_async.connectors.emma._client import EmmaClient
from fathom_async.connectors.emma._models import EventType
from fathom_async.connectors.sync._changes import Change, CreateEventType
from fathom_async.connectors.sync._names import key
from fathom_async.connectors.sync._remote_state import RemoteState, SyncError
from fathom_async.connectors.sync._source import CountedSite


def event_types(sites: Iterable[CountedSite]) -> tuple[str, ...]:
    """Return the names of the wanted event types."""
    return tuple(dict.fromkeys(key(event.name) for counted in sites for event in counted.events))


def missing_types(
    wanted: Iterable[str], present: Iterable[EventType]
) -> tuple[tuple[Change, ...], tuple[str, ...]]:
    """Compare the wanted event types with the present ones by `event_type`, the name that events use.

    Returns:
        The changes, and notes on them.
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
class EmmaService:
    """Emma, and the wanted event types; see `RemoteService`.

    Attributes:
        emma: The client.
        wanted: Names of the event types.
        notes: What is left out, and why.
        name: The name of the service.
    """

    emma: EmmaClient
    wanted: tuple[str, ...]
    notes: tuple[str, ...] = ()
    name: str = "Emma"

    async def fetch(self) -> RemoteState:
        """Read the event types."""
        present = [kind async for kind in self.emma.event_types.list()]
        changes, notes = missing_types(self.wanted, present)
        return RemoteState(changes, (*self.notes, *notes), self._make)

    def eta(self, changes: Sequence[Change]) -> float:
        """Return the seconds until the rate limit has admitted these changes."""
        return self.emma.eta(len(changes)) if changes else 0.0

    async def _make(self, change: Change) -> None:
        if not isinstance(change, CreateEventType):
            raise SyncError(f"Emma has event types only: {change}")
        await self.emma.event_types.create(event_type=change.event_type, display_name=change.display_name)
