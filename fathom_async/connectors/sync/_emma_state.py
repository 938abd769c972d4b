"""Fathom's events in Emma: one event type for each name, on whichever sites it occurs."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from attrs import evolve, frozen

from fathom_async.connectors.emma._client import EmmaClient
from fathom_async.connectors.emma._models import EventType
from fathom_async.connectors.emma._resources import type_creation
from fathom_async.connectors.emma._wire import Dates
from fathom_async.connectors.sync._changes import Change, CreateEventType, titled
from fathom_async.connectors.sync._destination import SyncError
from fathom_async.connectors.sync._names import key
from fathom_async.connectors.sync._source import AccountEvents


def missing_types(
    wanted: Iterable[str], present: Iterable[EventType]
) -> tuple[tuple[Change, ...], tuple[str, ...]]:
    """Return the changes from the present event types, and notes; types match by the name that events use."""
    wanted, present = tuple(wanted), tuple(present)
    known = Counter(key(kind.event_type) for kind in present)
    shown = {key(kind.display_name): kind.event_type for kind in present}
    missing = [name for name in wanted if name not in known]
    notes = [
        f"{titled(name)}: the type {titled(shown[name])} is displayed as that"
        for name in missing
        if name in shown
    ]
    notes += [
        f"{titled(name)}: {known[name]} types of this name; delete all but one"
        for name in wanted
        if known[name] > 1
    ]
    return tuple(CreateEventType(name, name) for name in missing), tuple(notes)


@frozen
class EmmaState:
    """Event types that are missing; see `RemoteState`."""

    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    _emma: EmmaClient

    async def find(self, change: Change, made: str | None) -> bool:
        del made
        present = {key(kind.event_type) async for kind in self._emma.event_types.list()}
        return isinstance(change, CreateEventType) and change.event_type in present

    async def make(self, change: Change, sent: Callable[[], None]) -> str:
        if not isinstance(change, CreateEventType):
            raise SyncError(f"Emma has event types only: {change}")
        names = {"event_type": change.event_type, "display_name": change.display_name}
        creation = type_creation(Dates(self._emma.timezone), **names)
        return str((await self._emma.send(evolve(creation, on_sent=sent))).event_type_id)

    def lacks(self, change: Change) -> bool:
        """Tell that nothing is missing: types are only created."""
        del change
        return False


@frozen
class EmmaDestination:
    """Emma; see `Destination`."""

    emma: EmmaClient
    name: str = "Emma"

    @property
    def key(self) -> str:
        return f"{self.name} {self.emma.base_url}"

    async def compare(self, source: AccountEvents) -> EmmaState:
        wanted = tuple(dict.fromkeys(key(event.name) for one in source.sites for event in one.events))
        changes, notes = missing_types(wanted, [kind async for kind in self.emma.event_types.list()])
        return EmmaState(changes, (*source.notes, *notes), self.emma)

    def eta(self, changes: Sequence[Change]) -> float:
        """Return the seconds until the rate limit has admitted these changes, each after a look."""
        return self.emma.eta(2 * len(changes)) if changes else 0.0
