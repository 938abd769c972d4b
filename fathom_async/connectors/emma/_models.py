"""Emma's objects. All datetimes are timezone-aware."""

from collections.abc import Mapping
from datetime import datetime
from typing import cast

from attrs import asdict, field, fields, frozen

from fathom_async._util import checks
from fathom_async._util.pydantic_schema import HasSchema
from fathom_async.connectors import _arguments as arguments
from fathom_async.connectors.emma._wire import Dates
from fathom_async.errors import ArgumentError
from fathom_async.models import Extra

_Fields = dict[str, object]
LONGEST = 1000
"""The most characters of the name of an event type."""


def _attributes_of(extra: Extra) -> object:
    return extra.get("attributes")


@frozen
class EventType(HasSchema):
    """An event type.

    Attributes:
        event_type_id: Its number.
        event_type: Its name in events, such as ``visited_website``.
        display_name: Its name for people.
        account_id: The account's number.
        created_at: UTC.
        extra: Fields this version does not know.
    """

    event_type_id: int
    event_type: str
    display_name: str | None = None
    account_id: int | None = None
    created_at: datetime | None = None
    extra: Extra = field(factory=_Fields, eq=False)


@frozen
class MemberEvent(HasSchema):
    """An event of a member.

    Attributes:
        event_type_id: Number of its type.
        member_id: Number of the member.
        event_id: Its own number; only `create` returns it.
        event_monetary_value: Its value.
        event_timestamp: UTC.
        inserted_at: UTC.
        mailing_id: Number of its mailing.
        account_id: The account's number.
        extra: Fields this version does not know.
    """

    event_type_id: int
    member_id: int
    event_id: int | None = None
    event_monetary_value: float | None = None
    event_timestamp: datetime | None = None
    inserted_at: datetime | None = None
    mailing_id: int | None = None
    account_id: int | None = None
    extra: Extra = field(factory=_Fields, eq=_attributes_of, hash=False)

    @property
    def attributes(self) -> Mapping[str, object] | None:
        """Further data, as JSON; part of `extra`, and of the comparison of two events."""
        found = _attributes_of(self.extra)
        return cast("dict[str, object]", found) if isinstance(found, dict) else None


def _attributes(given: Mapping[str, object] | None) -> Mapping[str, object] | None:
    return None if given is None else checks.json_object("attributes", given)


def _extra(given: Mapping[str, object] | None) -> Mapping[str, object] | None:
    return None if given is None else checks.json_object("extra", given)


@frozen(kw_only=True)
class NewMemberEvent(HasSchema):
    """An event of a member to create.

    Args:
        member_id: Number of the member; or pass `email`.
        email: The member's address; or pass `member_id`.
        event_type_id: Number of an existing type; or pass `event_type`.
        event_type: Name of an existing type; or pass `event_type_id`.
        attributes: Further data, as JSON; copied.
        event_monetary_value: Its value.
        mailing_id: Number of its mailing.
        event_timestamp: Its time, timezone-aware; Emma's current time by default.
        extra: Further fields, as JSON, that this version does not know; copied.

    Raises:
        ArgumentError: Emma would reject it.
    """

    member_id: int | None = None
    email: str | None = None
    event_type_id: int | None = None
    event_type: str | None = None
    attributes: Mapping[str, object] | None = field(default=None, converter=_attributes)
    event_monetary_value: float | None = None
    mailing_id: int | None = None
    event_timestamp: datetime | None = None
    extra: Mapping[str, object] | None = field(default=None, converter=_extra)

    def __attrs_post_init__(self) -> None:
        _one_of(member_id=self.member_id, email=self.email)
        _one_of(event_type_id=self.event_type_id, event_type=self.event_type)
        for name in ("member_id", "event_type_id", "mailing_id"):
            if getattr(self, name) is not None:
                checks.count(name, getattr(self, name))
        if self.email is not None and not _is_address(checks.identifier("email", self.email)):
            raise ArgumentError(f"email must be an address such as homer@example.com, not {self.email!r}")
        if self.event_type is not None:
            checks.text(LONGEST)("event_type", self.event_type)
        if self.event_monetary_value is not None:
            arguments.finite("event_monetary_value", self.event_monetary_value)
        if taken := {each.name for each in fields(NewMemberEvent)} & {*(self.extra or {})}:
            raise ArgumentError(f"extra has {min(taken)!r}, which is an argument of its own; write it there")
        moment = self.event_timestamp
        if moment is not None and (not isinstance(moment, datetime) or moment.utcoffset() is None):
            raise ArgumentError(
                f"event_timestamp must be a datetime with a time zone, not {moment!r}: "
                "write e.g. datetime.now(UTC)"
            )

    def to_json(self, dates: Dates) -> dict[str, object]:
        """Return the given fields, as JSON.

        Raises:
            ArgumentError: JSON cannot have them.
        """
        moment = self.event_timestamp and dates.write("event_timestamp", self.event_timestamp)
        given = asdict(self, recurse=False) | {
            "attributes": _attributes(self.attributes),
            "event_timestamp": moment,
        }
        del given["extra"]
        return {name: value for name, value in given.items() if value is not None} | checks.json_object(
            "extra", self.extra or {}
        )


def _one_of(**values: object) -> None:
    given = [name for name, value in values.items() if value is not None]
    if len(given) != 1:
        raise ArgumentError(f"pass either {' or '.join(values)}, not {'both' if given else 'neither'}")


def _is_address(email: str) -> bool:
    name, _, host = email.rpartition("@")
    return bool(name and host) and not any(each.isspace() for each in email)
