"""Read and change Secoda's catalog."""

from collections.abc import Callable, Sequence

from attrs import evolve, frozen

from fathom_async._util.tasks import gather_all
from fathom_async.connectors.secoda._client import SecodaClient
from fathom_async.connectors.secoda._models import Resource
from fathom_async.connectors.secoda._resources import (
    EVENTS,
    PROPERTIES,
    READS,
    WRITES,
    category_creation,
    child_creation,
)
from fathom_async.connectors.sync import _changes as sync
from fathom_async.connectors.sync._catalog import Catalog, Path, bare_id, by_path, catalog_changes
from fathom_async.connectors.sync._changes import Change, titled
from fathom_async.connectors.sync._destination import SyncError
from fathom_async.connectors.sync._names import key
from fathom_async.connectors.sync._source import AccountEvents
from fathom_async.errors import GoneError, NotFoundError
from fathom_async.service import Listing, Request


@frozen
class SecodaState:
    """The catalog's entries, and the changes to make; see `RemoteState`."""

    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    _secoda: SecodaClient
    _integration: str
    _ids: dict[Path, list[str]]

    async def find(self, change: Change, made: str | None) -> bool:
        """Look for the entry of a creation: by its id, or else by its title among those of its parent."""
        path = _path(change)
        found = None if made is None else await self._get(made)
        if found is None and (len(path) == 1 or path[:-1] in self._ids):
            found = next(
                (one for one in await self._titled(change) if key(one.title) == key(change.titles[-1])), None
            )
        if found is not None:
            self._ids[path] = [found.id]
        return found is not None

    async def make(self, change: Change, sent: Callable[[], None]) -> str | None:
        """Make a change, and keep the id of what was created."""
        secoda, integration = self._secoda, self._integration
        match change:
            case sync.CreateCategory(category):
                request = category_creation(title=category, integration=integration)
            case sync.CreateEvent(category, event, said):
                request = child_creation(
                    EVENTS, title=event, integration=integration, parent=self._id(category), description=said
                )
            case sync.CreateProperty(category, event, name, value):
                above = self._id(category, event)
                request = child_creation(
                    PROPERTIES, title=name, integration=integration, parent=above, description=value
                )
            case sync.UpdateEvent(category, event, said):
                await secoda.events.update(self._id(category, event), description=said)
                return None
            case sync.UpdateProperty(category, event, name, value):
                await secoda.properties.update(self._id(category, event, name), description=value)
                return None
            case sync.DeleteEvent(category, event):
                for each in self._ids.get((key(category), key(event)), [])[: change.count]:
                    await secoda.events.delete(each)
                return None
            case _:
                raise SyncError(f"a data catalog cannot do this: {change}")
        return await self._create(change, evolve(request, on_sent=sent))

    def lacks(self, change: Change) -> bool:
        """Tell whether the entry to update is missing or archived."""
        return change.verb == "change" and _path(change) not in self._ids

    async def _create(self, change: Change, request: Request[Resource]) -> str:
        made = await self._secoda.send(request)
        self._ids[_path(change)] = [made.id]
        return made.id

    async def _get(self, name: str) -> Resource | None:
        try:
            found = await self._secoda.resources.get(name)
        except (NotFoundError, GoneError):
            return None
        return None if found.archived else found

    async def _titled(self, change: Change) -> list[Resource]:
        """Return the entries of a creation's title and parent, without the catalog, which may lag behind."""
        secoda, path, title = self._secoda, _path(change), change.titles[-1]
        above = self._ids[path[:-1]][0] if len(path) > 1 else ""
        match change:
            case sync.CreateCategory():
                listing = secoda.categories.list(title=title)
            case sync.CreateEvent():
                listing = secoda.events.look_up(parent_id=above, title=title)
            case _:
                listing = secoda.properties.list(parent_id=above, title=title)
        try:
            return [one for one in await _own(listing, self._integration) if not one.archived]
        except (NotFoundError, GoneError):  # a server without these lists
            return []

    def _id(self, *titles: str) -> str:
        path = tuple(map(key, titles))
        if path not in self._ids:
            raise SyncError(f"{titled(*titles)} is missing")
        return self._ids[path][0]


@frozen
class SecodaDestination:
    """Secoda, and a function that returns the wanted catalog; see `Destination`."""

    secoda: SecodaClient
    integration: str
    wanted: Callable[[AccountEvents], Catalog]
    name: str = "Secoda"

    @property
    def key(self) -> str:
        return f"{self.name} {self.secoda.base_url} {bare_id(self.integration)}"

    async def compare(self, source: AccountEvents) -> SecodaState:
        secoda, integration = self.secoda, self.integration
        present = by_path(
            *await gather_all(
                [
                    _own(secoda.categories.list(), integration),
                    _own(secoda.events.list(integration_id=integration), integration),
                    _own(secoda.properties.list(integration_id=integration), integration),
                ]
            )
        )
        changes, notes = catalog_changes(self.wanted(source), present)
        ids = {
            path: [resource.id for resource in found if not resource.archived]
            for path, found in present.items()
            if not found[0].archived
        }
        return SecodaState(changes, notes, secoda, integration, ids)

    def eta(self, changes: Sequence[Change]) -> float:
        """Return the seconds until the rate limits have admitted these changes, each creation after a look."""
        deletions = [change for change in changes if isinstance(change, sync.DeleteEvent)]
        looks = sum(change.verb == "create" for change in changes)
        requests = {
            WRITES: len(changes) - len(deletions),
            READS: looks + sum(change.count for change in deletions),
        }
        return max(self.secoda.eta(count, lane=lane) if count else 0.0 for lane, count in requests.items())


async def _own(listing: Listing[Resource], integration: str) -> list[Resource]:
    wanted = bare_id(integration)
    return [resource async for resource in listing if bare_id(resource.integration or integration) == wanted]


def _path(change: Change) -> Path:
    return tuple(map(key, change.titles))
