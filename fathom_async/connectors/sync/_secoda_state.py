"""Read and change Secoda's catalog."""

from collections.abc import Sequence

from attrs import frozen

from fathom_async._core.pagination import Listing
from fathom_async._util.tasks import gather_all
from fathom_async.connectors.secoda._client import SecodaClient
from fathom_async.connectors.secoda._models import Resource
from fathom_async.connectors.secoda._resources import READS, WRITES, CatalogEventsResource, PropertiesResource
from fathom_async.connectors.sync import _changes as sync
from fathom_async.connectors.sync._catalog import Catalog, Path, bare_id, by_path, catalog_changes
from fathom_async.connectors.sync._changes import Change
from fathom_async.connectors.sync._names import key
from fathom_async.connectors.sync._remote_state import RemoteState, SyncError


@frozen
class _Writer:
    """Changes the catalog, and keeps the ids of its entries; see `RemoteState`."""

    _secoda: SecodaClient
    _integration: str
    _ids: dict[Path, list[str]]

    async def make(self, change: Change) -> None:
        secoda = self._secoda
        match change:
            case sync.CreateCategory(category=category):
                made = await secoda.categories.create(title=category, integration=self._integration)
                self._ids[(key(category),)] = [made.id]
            case sync.CreateEvent(category=category, event=event, description=description):
                await self._create(secoda.events, description, category, event)
            case sync.UpdateEvent(category=category, event=event, description=description):
                await secoda.events.update(self._id(category, event), description=description)
            case sync.CreateProperty(category=category, event=event, name=name, value=value):
                await self._create(secoda.properties, value, category, event, name)
            case sync.UpdateProperty(category=category, event=event, name=name, value=value):
                await secoda.properties.update(self._id(category, event, name), description=value)
            case sync.DeleteEvent(category=category, event=event):
                for name in self._ids.get((key(category), key(event)), [])[: change.count]:
                    await secoda.events.delete(name)
            case sync.CreateEventType():
                raise SyncError(f"a data catalog has no event types: {change}")

    def lacks(self, change: Change) -> bool:
        match change:
            case sync.UpdateEvent(category=category, event=event):
                return (key(category), key(event)) not in self._ids
            case sync.UpdateProperty(category=category, event=event, name=name):
                return (key(category), key(event), key(name)) not in self._ids
            case _:
                return False

    def _id(self, *titles: str) -> str:
        path = tuple(map(key, titles))
        if path not in self._ids:
            raise SyncError(f"{' / '.join(titles)} is missing")
        return self._ids[path][0]

    async def _create(
        self, resource: CatalogEventsResource | PropertiesResource, description: str, *titles: str
    ) -> None:
        parent = self._id(*titles[:-1])
        made = await resource.create(
            title=titles[-1], integration=self._integration, parent=parent, description=description
        )
        self._ids[tuple(map(key, titles))] = [made.id]


@frozen
class SecodaService:
    """Secoda, and the wanted catalog; see `RemoteService`.

    Attributes:
        secoda: The client.
        integration: Id of the integration of all entries.
        wanted: The wanted catalog.
        name: The name of the service.
    """

    secoda: SecodaClient
    integration: str
    wanted: Catalog
    name: str = "Secoda"

    async def fetch(self) -> RemoteState:
        """Read the catalog."""
        secoda, integration = self.secoda, self.integration
        categories, events, properties = await gather_all(
            [
                _own(secoda.categories.list(), integration),
                _own(secoda.events.list(integration_id=integration), integration),
                _own(secoda.properties.list(integration_id=integration), integration),
            ]
        )
        present = by_path(categories, events, properties)
        changes, notes = catalog_changes(self.wanted, present)
        ids = {
            path: [resource.id for resource in found if not resource.archived]
            for path, found in present.items()
            if not found[0].archived
        }
        writer = _Writer(secoda, integration, ids)
        return RemoteState(changes, notes, writer.make, writer.lacks)

    def eta(self, changes: Sequence[Change]) -> float:
        """Return the seconds until the rate limit has admitted these changes."""
        deletions = [change for change in changes if isinstance(change, sync.DeleteEvent)]
        requests = {
            WRITES: len(changes) - len(deletions),
            READS: sum(change.count for change in deletions),
        }
        return max(self.secoda.eta(count, lane=lane) if count else 0.0 for lane, count in requests.items())


async def _own(listing: Listing[Resource], integration: str) -> list[Resource]:
    wanted = bare_id(integration)
    return [resource async for resource in listing if bare_id(resource.integration or integration) == wanted]
