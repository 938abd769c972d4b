"""Emma's dates, such as ``@D:2025-11-24T10:23:10``: strings with a prefix and without a time zone."""

import re
from collections.abc import Callable, Collection
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

import msgspec
from attrs import frozen

from fathom_async.errors import ArgumentError

T = TypeVar("T")

_Fields = dict[str, msgspec.Raw]

_MARK = "@D:"
_DATE = re.compile(rb'"@D:(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?)"')
_one = msgspec.json.Decoder(_Fields)
_many = msgspec.json.Decoder(list[_Fields])


@frozen
class Dates:
    """Reads and writes dates.

    Attributes:
        zone: The time zone of the account's dates.
    """

    zone: ZoneInfo

    def reading(self, decode: Callable[[bytes], T], names: Collection[str]) -> Callable[[bytes], T]:
        """Return a function that adds the time zone to a body's dates, and decodes it.

        Args:
            decode: Decodes a body to an object or a tuple of objects.
            names: The fields with dates; in others, what looks like a date is text.
        """
        return lambda body: decode(self._with_zones(body, names))

    def _with_zones(self, body: bytes, names: Collection[str]) -> bytes:
        try:
            if body.lstrip()[:1] == b"[":
                return msgspec.json.encode([self._with_zone(fields, names) for fields in _many.decode(body)])
            return msgspec.json.encode(self._with_zone(_one.decode(body), names))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return body  # decoding it reports the error

    def _with_zone(self, fields: _Fields, names: Collection[str]) -> _Fields:
        dates = {
            name: msgspec.Raw(self._in_zone(found))
            for name in names
            if (found := _DATE.fullmatch(bytes(fields.get(name, b""))))
        }
        return {**fields, **dates}

    def write(self, name: str, moment: datetime) -> str:
        """Return a moment in Emma's form, to the second.

        Raises:
            ArgumentError: It is not a datetime with a time zone, or out of range in the account's time zone.
        """
        if not isinstance(moment, datetime):
            raise ArgumentError(f"{name} must be a datetime, not {moment!r}")
        if moment.utcoffset() is None:
            raise ArgumentError(f"{name} needs a time zone: write e.g. {name}=datetime(..., tzinfo=UTC)")
        try:
            there = moment.astimezone(self.zone)
        except OverflowError:
            raise ArgumentError(f"{name} is out of range in the time zone {self.zone}: {moment}") from None
        return f"{_MARK}{there.replace(tzinfo=None).isoformat(timespec='seconds')}"

    def _in_zone(self, found: re.Match[bytes]) -> bytes:
        try:
            moment = datetime.fromisoformat(found[1].decode()).replace(tzinfo=self.zone)
        except ValueError:  # such as the 31st of February: the model's own check names the field
            return found[0]
        return f'"{moment.isoformat()}"'.encode()
