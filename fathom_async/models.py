"""The API's objects as frozen Python values.

Datetimes are timezone-aware and in UTC. `extra` has the fields that this version does not know, as parsed JSON.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Generic, TypeVar

from attrs import field, frozen

from fathom_async._util.pydantic_schema import HasSchema
from fathom_async._util.tables import objects_html

T = TypeVar("T")

Extra = Mapping[str, object]

_Fields = dict[str, object]


@frozen
class Account(HasSchema):
    """The account that owns the token.

    Attributes:
        id: Number of the account.
        name: The owner's name.
        email: The owner's address.
        extra: Fields this version does not know.
    """

    id: int
    name: str
    email: str
    extra: Extra = field(factory=_Fields, eq=False)


@frozen
class Token(HasSchema):
    """Metadata of the API token in use; never its secret value.

    Attributes:
        name: Display name.
        version: Version of the token's format.
        abilities: Permissions, such as ``*`` or ``read:CDBUGS``.
        last_used_at: UTC.
        expires_at: UTC; None if it does not expire.
        created_at: UTC.
        updated_at: UTC.
        extra: Fields this version does not know.
    """

    name: str
    version: int | None = None
    abilities: tuple[str, ...] = ()
    last_used_at: datetime | None = None
    expires_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    extra: Extra = field(factory=_Fields, eq=False)


@frozen
class Site(HasSchema):
    """A website.

    Attributes:
        id: The id in the tracking code, such as ``CDBUGS``.
        name: Display name.
        sharing: ``none``, ``private`` or ``public``.
        created_at: UTC.
        timezone: TZ database name of its reports.
        extra: Fields this version does not know.
    """

    id: str
    name: str
    sharing: str
    created_at: datetime
    timezone: str | None = None
    extra: Extra = field(factory=_Fields, eq=False)


@frozen
class Event(HasSchema):
    """An event (goal) of a site.

    Attributes:
        name: Name, which identifies it.
        id: Tracking code; None where the service knows events by name only.
        currency: Unit of its values; only in answers to `create` and `update`.
        created_at: UTC.
        extra: Fields this version does not know.
    """

    name: str
    id: str | None = None
    currency: str | None = None
    created_at: datetime | None = None
    extra: Extra = field(factory=_Fields, eq=False)


@frozen
class Milestone(HasSchema):
    """A dated annotation of a site's reports.

    Attributes:
        id: UUID.
        name: At most 30 characters.
        milestone_date: The day it marks, in the site's time zone.
        created_at: UTC.
        updated_at: UTC.
        extra: Fields this version does not know.
    """

    id: str
    name: str
    milestone_date: date
    created_at: datetime | None = None
    updated_at: datetime | None = None
    extra: Extra = field(factory=_Fields, eq=False)


@frozen
class Deleted(HasSchema):
    """The answer to a deletion.

    Attributes:
        id: What was deleted; None for an event deleted by name.
        object: Its kind, such as ``site``.
        deleted: True.
        extra: Fields this version does not know.
    """

    id: str | None = None
    object: str = ""
    deleted: bool = True
    extra: Extra = field(factory=_Fields, eq=False)


@frozen
class PageVisitors(HasSchema):
    """Current visitors of one page."""

    hostname: str | None
    pathname: str | None
    total: int
    extra: Extra = field(factory=_Fields, eq=False)


@frozen
class ReferrerVisitors(HasSchema):
    """Current visitors from one referrer."""

    referrer_hostname: str | None
    referrer_pathname: str | None
    total: int
    extra: Extra = field(factory=_Fields, eq=False)


@frozen
class CurrentVisitors(HasSchema):
    """The current visitors of a site.

    Attributes:
        total: Number of visitors.
        content: The top 150 pages; empty unless `detailed`.
        referrers: The top 150 referrers; empty unless `detailed`.
        extra: Fields this version does not know.
    """

    total: int
    content: tuple[PageVisitors, ...] = ()
    referrers: tuple[ReferrerVisitors, ...] = ()
    extra: Extra = field(factory=_Fields, eq=False)


@frozen
class Page(HasSchema, Generic[T]):
    """One page of a list.

    Attributes:
        data: The objects.
        has_more: Whether another page follows.
        url: The server's URL of the list.
        extra: Fields this version does not know.
    """

    data: tuple[T, ...]
    has_more: bool
    url: str = ""
    extra: Extra = field(factory=_Fields, eq=False)

    def __iter__(self) -> Iterator[T]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)

    def _repr_html_(self) -> str | None:
        return objects_html(self.data, ["there are more on the next page"] if self.has_more else [])
