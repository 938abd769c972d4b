"""Endpoints of Secoda's events. Source: https://docs.secoda.co/api/reference/events."""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Unpack

from fathom_async._util import checks
from fathom_async._util.checks import MISSING, Check, NotGiven, identifier
from fathom_async.connectors import _arguments as arguments
from fathom_async.connectors._reading import delete_request
from fathom_async.connectors.secoda._models import Metadata, Resource
from fathom_async.connectors.secoda._pages import MAX_RESOURCES, by_number, page_decoder, read_resource
from fathom_async.errors import ArgumentError, NotFoundError
from fathom_async.models import Deleted, Page
from fathom_async.service import Caller, Listing, Request, encode, path

READS, WRITES = "reads", "writes"
EVENTS, PROPERTIES = "/event/events", "/event/event_properties"
LONGEST = 1000
"""The most characters of a title."""

_CATEGORY: dict[str, Check] = {
    "title": checks.text(LONGEST),
    "integration": identifier,
    "teams": arguments.texts,
}
_CHILD: dict[str, Check] = {
    "title": checks.text(LONGEST),
    "integration": identifier,
    "parent": identifier,
    **dict.fromkeys(("description", "definition", "regex"), arguments.prose),
    **dict.fromkeys(("pii", "verified", "published", "is_required", "is_array_type"), checks.flag),
    **dict.fromkeys(("entity_type", "type"), identifier),
    **dict.fromkeys(("teams", "owners", "collections", "tags", "subscribers"), arguments.texts),
    **dict.fromkeys(("enum_values", "owners_groups"), arguments.texts),
}
_RESOURCES = page_decoder()
_CATALOG = page_decoder(most=MAX_RESOURCES)
_ANY = "/resource/all/{}/"


CatalogFilter = Mapping[str, object]
"""Such as ``{"operator": "exact", "field": "type", "value": "event"}``; ``and`` and ``or`` have `operands`."""


def category_creation(extra: Mapping[str, object] | None = None, **fields: object) -> Request[Resource]:
    return _write("POST", "/event/category/", checks.body(_CATEGORY, extra, **fields))


def child_creation(
    at: str, *, title: str, integration: str, parent: str, **metadata: Unpack[Metadata]
) -> Request[Resource]:
    """Return the request that creates an event or a property, at `EVENTS` or `PROPERTIES`."""
    return _write("POST", f"{at}/", _body(metadata, title=title, integration=integration, parent=parent))


def _write(method: str, at: str, fields: dict[str, object]) -> Request[Resource]:
    return Request(method, at, read_resource, body=fields, lane=WRITES, idempotent=method != "POST")


def _body(metadata: Metadata, **required: str) -> dict[str, object]:
    given: dict[str, object] = {**metadata, **required}
    extra = given.pop("extra", None)
    if unknown := next((name for name in given if name not in _CHILD), None):
        raise ArgumentError(f"there is no {unknown!r}: pass some of {', '.join(_CHILD)}, or extra=")
    return checks.body(_CHILD, extra, **given)


def _every(**values: str) -> CatalogFilter:
    operands = [{"operator": "exact", "field": field, "value": value} for field, value in values.items()]
    return operands[0] if len(operands) == 1 else {"operator": "and", "operands": operands}


def _given(**values: str | None) -> dict[str, str]:
    return {name: identifier(name, value) for name, value in values.items() if value is not None}


class _Reader:
    """Lists and single objects, on the lane for reads."""

    def __init__(self, send: Caller) -> None:
        self._send = send

    def _list(
        self,
        at: str,
        params: Mapping[str, str | Sequence[str]],
        read: Callable[[bytes], Page[Resource]] = _RESOURCES,
    ) -> Listing[Resource]:
        return Listing(self._send, Request("GET", at, read, params, lane=READS), by_number)

    async def _get(self, at: str) -> Resource:
        return await self._send(Request("GET", at, read_resource, lane=READS))


class CatalogResource(_Reader):
    """The whole catalog, including events.

    Methods raise `NotFoundError` if there is no such entry, and `ArgumentError` if an argument has the wrong type.
    """

    def list(
        self,
        filter: CatalogFilter | None = None,
        *,
        sort: CatalogFilter | None = None,
        page: int | None = None,
        teams: Sequence[str] | None = None,
    ) -> Listing[Resource]:
        """List resources: await it for one page, iterate over it for all.

        Args:
            filter: The filter, such as ``{"operator": "exact", "field": "type", "value": "event"}``; None for all.
            sort: The order; by usage by default.
            page: Number of the first page, from 1.
            teams: Ids of teams; only what belongs to one of them.

        Raises:
            ArgumentError: The filter or the order is not a JSON object, or the page not a number.
            PagingError: While iterating: there are more than 10,000, and the service leaves out the rest.
        """
        params = {"filter": filter, "sort": sort}
        given = {
            name: encode(checks.json_object(name, value)).decode()
            for name, value in params.items()
            if value is not None
        }
        number = {} if page is None else {"page": str(checks.count("page", page))}
        members = {} if teams is None else {"teams": arguments.texts("teams", teams)}
        return self._list("/resource/catalog/", {**given, **number, **members}, _CATALOG)

    async def get(self, resource_id: str) -> Resource:
        """Return a resource."""
        return await self._get(path(_ANY, resource_id))


class CategoriesResource(_Reader):
    """Categories, the parents of events.

    Methods raise `NotFoundError` if there is no such entry, and `ArgumentError` if an argument has the wrong type.
    """

    def list(self, *, title: str | None = None) -> Listing[Resource]:
        """List categories: await it for one page, iterate over it for all.

        Args:
            title: Only those with this title.
        """
        return self._list("/event/category/", _given(title=title))

    async def get(self, event_category_id: str) -> Resource:
        """Return a category."""
        return await self._get(path("/event/category/{}/", event_category_id))

    async def create(
        self,
        *,
        title: str | NotGiven = MISSING,
        integration: str | NotGiven = MISSING,
        teams: Sequence[str] | NotGiven = MISSING,
        extra: Mapping[str, object] | None = None,
    ) -> Resource:
        """Create a category. Never retried: see `TransportError.sent` if the answer is lost.

        Args:
            title: Its name.
            integration: UUID of its integration; the service requires one.
            teams: Ids of the teams it belongs to.
            extra: Further fields, as JSON, that this version does not know.
        """
        return await self._send(category_creation(extra, title=title, integration=integration, teams=teams))


class _Children(_Reader):
    """Events and their properties, which have a parent and the same endpoints."""

    _at: str
    _kind: str

    def list(
        self, *, integration_id: str | None = None, parent_id: str | None = None, title: str | None = None
    ) -> Listing[Resource]:
        """List them: await it for one page, iterate over it for all.

        Args:
            integration_id: Only those of this integration.
            parent_id: Only those with this parent: the category of an event, the event of a property.
            title: Only those with this title.
        """
        return self._found(_given(integration_id=integration_id, parent_id=parent_id, title=title))

    def _found(self, given: dict[str, str]) -> Listing[Resource]:
        return self._list(f"{self._at}/", given)

    async def get(self, resource_id: str) -> Resource:
        """Return one of them."""
        return await self._get(path(f"{self._at}/{{}}/", resource_id))

    async def create(
        self, *, title: str, integration: str, parent: str, **metadata: Unpack[Metadata]
    ) -> Resource:
        """Create one. Never retried: see `TransportError.sent` if the answer is lost.

        Args:
            title: Its name.
            integration: UUID of its integration.
            parent: Id of the category of an event, or of the event of a property.
            **metadata: Further fields; see `Metadata`.
        """
        given = {"title": title, "integration": integration, "parent": parent}
        return await self._send(child_creation(self._at, **given, **metadata))

    async def update(self, resource_id: str, **metadata: Unpack[Metadata]) -> Resource:
        """Change one; only the given fields are sent.

        Args:
            resource_id: Its id.
            **metadata: The fields to change; see `Metadata`.
        """
        return await self._send(_write("PATCH", path(f"{self._at}/{{}}/", resource_id), _body(metadata)))

    async def delete(self, resource_id: str) -> Deleted:
        """Delete one permanently."""
        at = path(f"{self._at}/{{}}/", resource_id)
        return await self._send(delete_request(at, Deleted(resource_id, object=self._kind), lane=READS))


class CatalogEventsResource(_Children):
    """Events; read from the catalog by default, because the service has deprecated the other endpoints.

    Methods raise `NotFoundError` if there is no such entry, and `ArgumentError` if an argument has the wrong type.
    """

    _at, _kind = EVENTS, "event"

    def __init__(self, send: Caller, *, catalog: CatalogResource | None) -> None:
        super().__init__(send)
        self._catalog = catalog

    def _found(self, given: dict[str, str]) -> Listing[Resource]:
        return (
            super()._found(given)
            if self._catalog is None
            else self._catalog.list(_every(type="event", **given))
        )

    def look_up(self, *, parent_id: str, title: str) -> Listing[Resource]:
        """List events of a category by the deprecated endpoint, which shows new ones before the catalog does.

        Args:
            parent_id: Id of the category.
            title: Only those with this title.
        """
        return super()._found(_given(parent_id=parent_id, title=title))

    async def get(self, resource_id: str) -> Resource:
        """Return an event."""
        if self._catalog is None:
            return await super().get(resource_id)
        found = await self._catalog.get(resource_id)
        if found.entity_type not in (None, self._kind):
            words = f"{resource_id} is not an event but {found.entity_type!r}: use resources.get"
            raise NotFoundError(HTTPStatus.NOT_FOUND, words, method="GET", url=path(_ANY, resource_id))
        return found


class PropertiesResource(_Children):
    """Properties of events.

    Methods raise `NotFoundError` if there is no such entry, and `ArgumentError` if an argument has the wrong type.
    """

    _at, _kind = PROPERTIES, "event_property"
