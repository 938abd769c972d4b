"""What Emma's objects look like in Python. All datetimes are timezone-aware."""

from collections.abc import Mapping
from datetime import datetime
from typing import cast, get_args

from attrs import AttrsInstance, field, fields, frozen

from fathom_async._util import checks
from fathom_async.connectors import _field_checks as field_checks
from fathom_async.connectors.emma._dates import Dates
from fathom_async.errors import ArgumentError
from fathom_async.models import Extra

_Fields = dict[str, object]
_LONGEST = 1000


def _attributes_of(extra: Extra) -> object:
    return extra.get("attributes")


@frozen
class EventType:
    """A type of events.

    Attributes:
        event_type_id: Its number.
        event_type: What it is known by, such as ``visited_website``.
        display_name: What people see.
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
class MemberEvent:
    """Something that a member did.

    Attributes:
        event_type_id: Number of its type.
        member_id: Number of the member.
        event_id: Its own number; answers to `create` only.
        event_monetary_value: What it was worth.
        event_timestamp: UTC.
        inserted_at: UTC.
        mailing_id: Number of the mailing it goes with.
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
        """What else was said of it, as JSON has it; kept in `extra`, as it came. Two events differ by it."""
        found = _attributes_of(self.extra)
        return cast("dict[str, object]", found) if isinstance(found, dict) else None


def _copied(attributes: Mapping[str, object] | None) -> Mapping[str, object] | None:
    return None if attributes is None else field_checks.json_object("attributes", attributes)


@frozen(kw_only=True)
class NewMemberEvent:
    """Something that a member did, to be told to Emma.

    Args:
        member_id: Number of the member; or give `email`.
        email: The member's address; or give `member_id`.
        event_type_id: Number of an existing type; or give `event_type`.
        event_type: An existing type; or give `event_type_id`.
        attributes: What else there is to say of it, as JSON; it is copied.
        event_monetary_value: What it was worth.
        mailing_id: Number of the mailing it goes with.
        event_timestamp: When it was, timezone-aware; now, to Emma, if it is left out.

    Raises:
        ArgumentError: Emma would refuse it.
    """

    member_id: int | None = None
    email: str | None = None
    event_type_id: int | None = None
    event_type: str | None = None
    attributes: Mapping[str, object] | None = field(default=None, converter=_copied)
    event_monetary_value: float | None = None
    mailing_id: int | None = None
    event_timestamp: datetime | None = None

    def __attrs_post_init__(self) -> None:
        _one_of(member_id=self.member_id, email=self.email)
        _one_of(event_type_id=self.event_type_id, event_type=self.event_type)
        for name in ("member_id", "event_type_id", "mailing_id"):
            field_checks.optional_whole(name, getattr(self, name))
        if self.email is not None and not _is_address(checks.identifier("email", self.email)):
            raise ArgumentError(f"email must be an address such as homer@example.com, not {self.email!r}")
        if self.event_type is not None:
            checks.text(_LONGEST)("event_type", self.event_type)
        if self.event_monetary_value is not None:
            field_checks.finite("event_monetary_value", self.event_monetary_value)
        moment = self.event_timestamp
        if moment is not None and (not isinstance(moment, datetime) or moment.utcoffset() is None):
            raise ArgumentError(
                f"event_timestamp must be a datetime with a time zone, not {moment!r}: "
                "write e.g. datetime.now(UTC)"
            )

    def to_json(self, dates: Dates) -> dict[str, object]:
        """Return the fields that were given, as the wire has them.

        Raises:
            ArgumentError: The wire cannot have them.
        """
        given: dict[str, object] = {
            "member_id": self.member_id,
            "email": self.email,
            "event_type_id": self.event_type_id,
            "event_type": self.event_type,
            "attributes": _copied(self.attributes),
            "event_monetary_value": self.event_monetary_value,
            "mailing_id": self.mailing_id,
            "event_timestamp": self.event_timestamp and dates.write("event_timestamp", self.event_timestamp),
        }
        return {name: value for name, value in given.items() if value is not None}


def _one_of(**values: object) -> None:
    given = [name for name, value in values.items() if value is not None]
    if len(given) != 1:
        raise ArgumentError(f"give either {' or '.join(values)}, not {'both' if given else 'neither'}")


def _is_address(email: str) -> bool:
    name, _, host = email.rpartition("@")
    return bool(name and host) and not any(each.isspace() for each in email)


def datetime_fields(model: type[AttrsInstance]) -> tuple[str, ...]:
    """Return the names of a model's fields that are datetimes."""
    return tuple(each.name for each in fields(model) if datetime in (each.type, *get_args(each.type)))
