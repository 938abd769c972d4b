"""Secoda's catalogue, read and changed."""

from collections.abc import Sequence

from attrs import define, frozen

from fathom_async._core.pagination import Listing
from fathom_async._util.tasks import gather_all
from fathom_async.connectors.secoda._client import SecodaClient
from fathom_async.connectors.secoda._models import Resource
from fathom_async.connectors.secoda._resources import READS, WRITES
from fathom_async.connectors.sync._catalogue import Catalogue, Path, bare_id, by_path, differences
from fathom_async.connectors.sync._changes import (
    Change,
    CreateCategory,
    CreateEvent,
    CreateEventType,
    CreateProperty,
    DeleteEvent,
    UpdateEvent,
    UpdateProperty,
)
from fathom_async.connectors.sync._names import key
from fathom_async.connectors.sync._remote_state import SyncError


@define
class SecodaState:
    """The catalogue as it was found."""

    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    _secoda: SecodaClient
    _integration: str
    _ids: dict[Path, list[str]]

    async def carry_out(self, change: Change) -> None:
        """Make a change; see `RemoteState.carry_out`."""
        match change:
            case CreateCategory(category=category):
                made = await self._secoda.categories.create(title=category, integration=self._integration)
                self._note(made, category)
            case CreateEvent(category=category, event=event, description=description):
                made = await self._secoda.events.create(
                    title=event,
                    integration=self._integration,
                    parent=self._id(category),
                    description=description,
                )
                self._note(made, category, event)
            case UpdateEvent(category=category, event=event, description=description):
                await self._secoda.events.update(self._id(category, event), description=description)
            case CreateProperty(category=category, event=event, name=name, value=value):
                made = await self._secoda.properties.create(
                    title=name,
                    integration=self._integration,
                    parent=self._id(category, event),
                    description=value,
                )
                self._note(made, category, event, name)
            case UpdateProperty(category=category, event=event, name=name, value=value):
                await self._secoda.properties.update(self._id(category, event, name), description=value)
            case DeleteEvent(category=category, event=event):
                for name in self._ids.get((key(category), key(event)), [])[: change.count]:
                    await self._secoda.events.delete(name)
            case CreateEventType():
                raise SyncError(f"a data catalogue has no types of events: {change}")

    def lacks(self, change: Change) -> bool:
        """Whether what it would change is not there; see `RemoteState.lacks`."""
        match change:
            case UpdateEvent(category=category, event=event):
                return (key(category), key(event)) not in self._ids
            case UpdateProperty(category=category, event=event, name=name):
                return (key(category), key(event), key(name)) not in self._ids
            case _:
                return False

    def _id(self, *titles: str) -> str:
        path = tuple(map(key, titles))
        if path not in self._ids:
            raise SyncError(f"{' / '.join(titles)} is not there")
        return self._ids[path][0]

    def _note(self, made: Resource, *titles: str) -> None:
        self._ids[tuple(map(key, titles))] = [made.id]


@frozen
class SecodaService:
    """Secoda, and what should be in its catalogue.

    Attributes:
        secoda: The client.
        integration: Id of the integration that everything belongs to.
        wanted: What should be there.
        name: What the service is called.
    """

    secoda: SecodaClient
    integration: str
    wanted: Catalogue
    name: str = "Secoda"

    async def look(self) -> SecodaState:
        """Read the catalogue; see `RemoteService.look`."""
        secoda, integration = self.secoda, self.integration
        categories, events, properties = await gather_all(
            [
                _own(secoda.categories.list(), integration),
                _own(secoda.events.list(integration_id=integration), integration),
                _own(secoda.properties.list(integration_id=integration), integration),
            ]
        )
        present = by_path(categories, events, properties)
        changes, notes = differences(self.wanted, present)
        ids = {
            path: [resource.id for resource in found if not resource.archived]
            for path, found in present.items()
            if not found[0].archived
        }
        return SecodaState(changes, notes, secoda, integration, ids)

    def eta(self, changes: Sequence[Change]) -> float:
        """Return the seconds until these changes would have been admitted; see `RemoteService.eta`."""
        deletions = [change for change in changes if isinstance(change, DeleteEvent)]
        requests = {
            WRITES: len(changes) - len(deletions),
            READS: sum(change.count for change in deletions),
        }
        return max(self.secoda.eta(count, lane=lane) if count else 0.0 for lane, count in requests.items())


async def _own(listing: Listing[Resource], integration: str) -> list[Resource]:
    wanted = bare_id(integration)
    return [resource async for resource in listing if bare_id(resource.integration or integration) == wanted]
