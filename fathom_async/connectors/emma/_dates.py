"""Emma's dates, such as ``@D:2025-11-24T10:23:10``: strings with a prefix and without a time zone."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar, cast
from zoneinfo import ZoneInfo

from attrs import AttrsInstance, asdict, evolve, frozen

from fathom_async._core.codec.objects import NAIVE
from fathom_async.errors import ArgumentError, DecodeError

T = TypeVar("T", bound=AttrsInstance)


@frozen
class Dates:
    """Reads and writes dates.

    Attributes:
        zone: The time zone of the account's dates.
    """

    zone: ZoneInfo

    def one(self, decode: Callable[[bytes], T]) -> Callable[[bytes], T]:
        """Return a function that decodes a body to an object, and gives its dates the time zone."""
        return lambda body: self._in_zone(decode(body))

    def many(self, decode: Callable[[bytes], tuple[T, ...]]) -> Callable[[bytes], tuple[T, ...]]:
        """Return a function that decodes a body to several objects, likewise."""
        return lambda body: tuple(map(self._in_zone, decode(body)))

    def _in_zone(self, found: T) -> T:
        naive = {
            name: moment
            for name, moment in asdict(found, recurse=False).items()
            if isinstance(moment, datetime) and moment.tzinfo is None
        }
        try:
            dates = {name: each.replace(tzinfo=self.zone).astimezone(UTC) for name, each in naive.items()}
        except OverflowError:
            raise DecodeError(f"a date is out of range in {self.zone}: {found!r}") from None
        return cast("Callable[..., T]", evolve)(found, **dates)

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
        return f"{NAIVE}{there.replace(tzinfo=None).isoformat(timespec='seconds')}"
