"""What Emma's objects look like in Python. All datetimes are timezone-aware."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import cast

from attrs import field, frozen

from fathom_async import arguments
from fathom_async.codec.objects import encode
from fathom_async.connectors import checks
from fathom_async.connectors.emma.dates import Dates
from fathom_async.errors import ArgumentError
from fathom_async.models import Extra

_Fields = dict[str, object]
_LONGEST = 1000


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
    extra: Extra = field(factory=_Fields, eq=False)

    @property
    def attributes(self) -> Mapping[str, object] | None:
        """What else was said of it, as JSON has it; kept in `extra`, as it came."""
        found = self.extra.get("attributes")
        return cast("dict[str, object]", found) if isinstance(found, dict) else None


@frozen(kw_only=True)
class NewMemberEvent:
    """Something that a member did, to be told to Emma.

    Args:
        member_id: Number of the member; or give `email`.
        email: The member's address; or give `member_id`.
        event_type_id: Number of an existing type; or give `event_type`.
        event_type: An existing type; or give `event_type_id`.
        attributes: What else there is to say of it, as JSON.
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
    attributes: Mapping[str, object] | None = None
    event_monetary_value: float | None = None
    mailing_id: int | None = None
    event_timestamp: datetime | None = None

    def __attrs_post_init__(self) -> None:
        _one_of(member_id=self.member_id, email=self.email)
        _one_of(event_type_id=self.event_type_id, event_type=self.event_type)
        for name in ("member_id", "event_type_id", "mailing_id"):
            checks.optional_whole(name, getattr(self, name))
        if self.email is not None and ("@" not in arguments.identifier("email", self.email)):
            raise ArgumentError(f"email must be an address, not {self.email!r}")
        if self.event_type is not None:
            arguments.text(_LONGEST)("event_type", self.event_type)
        value = self.event_monetary_value
        if value is not None and not (_is_number(value) and math.isfinite(value)):
            raise ArgumentError(f"event_monetary_value must be a finite number, not {value!r}")
        _check_attributes(self.attributes)
        moment = self.event_timestamp
        if moment is not None and (not isinstance(moment, datetime) or moment.utcoffset() is None):
            raise ArgumentError(
                f"event_timestamp must be a datetime with a time zone, not {moment!r}: "
                "write e.g. datetime.now(UTC)"
            )

    def to_json(self, dates: Dates) -> dict[str, object]:
        """Return the fields that were given, as the wire has them."""
        given: dict[str, object] = {
            "member_id": self.member_id,
            "email": self.email,
            "event_type_id": self.event_type_id,
            "event_type": self.event_type,
            "attributes": None if self.attributes is None else dict(self.attributes),
            "event_monetary_value": self.event_monetary_value,
            "mailing_id": self.mailing_id,
            "event_timestamp": self.event_timestamp and dates.write("event_timestamp", self.event_timestamp),
        }
        return {name: value for name, value in given.items() if value is not None}


def _one_of(**values: object) -> None:
    given = [name for name, value in values.items() if value is not None]
    if len(given) != 1:
        raise ArgumentError(f"give either {' or '.join(values)}, not {'both' if given else 'neither'}")


def _check_attributes(attributes: object) -> None:
    if attributes is None:
        return
    if not isinstance(attributes, Mapping):
        raise ArgumentError(f"attributes must be a mapping, not {attributes!r}")
    try:
        encode(dict(cast("Mapping[object, object]", attributes)))
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"attributes must be what JSON can hold: {error}") from None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
