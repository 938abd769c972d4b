"""Secoda's objects."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypedDict, TypeVar

from attrs import field, frozen

from fathom_async._util.pydantic_schema import HasSchema
from fathom_async.models import Extra
from fathom_async.service import LinkedPage

T = TypeVar("T")

_Fields = dict[str, object]


@frozen
class Resource(HasSchema):
    """An entry of the catalog: a category of events, an event, or a property of an event.

    Attributes:
        id: UUID, with or without dashes.
        title: Its name.
        description: Its description, in plain text.
        definition: Its documentation, in Markdown.
        entity_type: Its kind, such as ``event``.
        native_type: Its kind in the words of the integration.
        parent: Id of the category of an event, or of the event of a property.
        integration: Id of its integration.
        pii: Whether it contains personally identifiable information.
        verified: Whether it is verified.
        published: Whether viewers see it.
        archived: Whether it is archived.
        teams: Ids of teams.
        owners: Ids of users.
        collections: Ids of collections.
        tags: Ids of tags.
        subscribers: Ids of the users with notifications of changes.
        created_at: UTC.
        updated_at: UTC.
        extra: Fields this version does not know.
    """

    id: str
    title: str | None = None
    description: str | None = None
    definition: str | None = None
    entity_type: str | None = None
    native_type: str | None = None
    parent: str | None = None
    integration: str | None = None
    pii: bool | None = None
    verified: bool | None = None
    published: bool | None = None
    archived: bool | None = None
    teams: tuple[str, ...] | None = None
    owners: tuple[str, ...] | None = None
    collections: tuple[str, ...] | None = None
    tags: tuple[str, ...] | None = None
    subscribers: tuple[str, ...] | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    extra: Extra = field(factory=_Fields, eq=False)


class Metadata(TypedDict, total=False):
    """The optional fields of an event or a property, as in `Resource`; None clears a text.

    Attributes:
        type: Type of a property, such as ``string``.
        regex: What the values of a property match.
        is_required: Whether events must have the property.
        is_array_type: Whether the property is a list.
        enum_values: The values that a property may have.
        owners_groups: Ids of groups.
        extra: Further fields, as JSON.
    """

    description: str | None
    definition: str | None
    pii: bool
    verified: bool
    published: bool
    teams: Sequence[str]
    owners: Sequence[str]
    collections: Sequence[str]
    tags: Sequence[str]
    subscribers: Sequence[str]
    entity_type: str
    type: str
    regex: str | None
    is_required: bool
    is_array_type: bool
    enum_values: Sequence[str]
    owners_groups: Sequence[str]
    extra: Mapping[str, object]


@frozen
class CatalogPage(LinkedPage[T]):
    """One page of a list.

    Attributes:
        count: Number of objects on all pages.
        total_pages: Number of pages.
    """

    count: int | None = None
    total_pages: int | None = None
