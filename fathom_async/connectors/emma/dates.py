"""Emma's dates, such as ``@D:2025-11-24T10:23:10``: texts with a mark and without a time zone."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from attrs import frozen

from fathom_async.errors import ArgumentError

T = TypeVar("T")

_MARK = "@D:"
# A whole JSON string: inside of one, the quote before the mark would have a backslash, and so would the last.
_DATE = re.compile(rb'"@D:(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?)"')


@frozen
class Dates:
    """Reads and writes dates.

    Attributes:
        zone: The time zone that the account's dates are in.
    """

    zone: ZoneInfo

    def reading(self, decode: Callable[[bytes], T]) -> Callable[[bytes], T]:
        """Return a function that decodes a body whose dates have been given their time zone."""
        return lambda body: decode(_DATE.sub(self._in_zone, body))

    def write(self, name: str, moment: datetime) -> str:
        """Return a moment as the wire has it, to the second.

        Raises:
            ArgumentError: It is not a datetime, or has no time zone.
        """
        if not isinstance(moment, datetime):
            raise ArgumentError(f"{name} must be a datetime, not {moment!r}")
        if moment.utcoffset() is None:
            raise ArgumentError(f"{name} needs a time zone: write e.g. {name}=datetime(..., tzinfo=UTC)")
        return f"{_MARK}{moment.astimezone(self.zone):%Y-%m-%dT%H:%M:%S}"

    def _in_zone(self, found: re.Match[bytes]) -> bytes:
        try:
            moment = datetime.fromisoformat(found[1].decode()).replace(tzinfo=self.zone)
        except ValueError:  # such as the 31st of February: the model's own check tells which field it is
            return found[0]
        return f'"{moment.isoformat()}"'.encode()
