"""Fathom's events in Emma: one type for each name, whichever sites it is counted on."""

from collections.abc import Iterable

from attrs import frozen

from fathom_async.connectors.emma.client import EmmaClient
from fathom_async.connectors.emma.models import EventType
from fathom_async.connectors.sync.changes import Change, CreateEventType
from fathom_async.connectors.sync.names import key
from fathom_async.connectors.sync.side import SyncError
from fathom_async.connectors.sync.source import CountedSite


def event_types(sites: Iterable[CountedSite]) -> tuple[str, ...]:
    """Return the names of the types that should be there."""
    return tuple(dict.fromkeys(key(event.name) for counted in sites for event in counted.events))


def differences(wanted: Iterable[str], present: Iterable[EventType]) -> tuple[Change, ...]:
    """Compare the types that should be there with those that are.

    A type counts as there under either of its names, because Emma's own documentation has them the wrong way round
    in places. What it is displayed as is left to people.
    """
    known = {key(name) for kind in present for name in (kind.event_type, kind.display_name)}
    return tuple(CreateEventType(name, name) for name in wanted if name not in known)


@frozen
class MailSide:
    """Emma's types as they were found."""

    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    _emma: EmmaClient

    async def carry_out(self, change: Change) -> None:
        """Make a change; see `Side.carry_out`."""
        if not isinstance(change, CreateEventType):
            raise SyncError(f"Emma knows nothing but types of events: {change}")
        await self._emma.event_types.create(event_type=change.event_type, display_name=change.display_name)


@frozen
class MailTarget:
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

    async def look(self) -> MailSide:
        """Read the types; see `Target.look`."""
        present = [kind async for kind in self.emma.event_types.list()]
        return MailSide(differences(self.wanted, present), self.notes, self.emma)

    def eta(self, changes: int) -> float:
        """Return the seconds until so many changes would have been admitted."""
        return self.emma.eta(changes) if changes else 0.0
