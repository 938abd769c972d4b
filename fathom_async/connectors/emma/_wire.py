"""Emma's dates, such as ``@D:2025-11-24T10:23:10``, and its lists: plain arrays, requested by range."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar, cast
from zoneinfo import ZoneInfo

from attrs import AttrsInstance, asdict, evolve, frozen

from fathom_async._util import checks
from fathom_async.connectors._reading import array, tolerant
from fathom_async.errors import ArgumentError, DecodeError
from fathom_async.models import Page
from fathom_async.service import Caller, Listing, Request, parse

T = TypeVar("T", bound=AttrsInstance)

MAX_SPAN = 500
"""The most objects in one answer."""

_PREFIX = "@D:"


@frozen
class Dates:
    """Reads and writes dates, which have a prefix and no time zone, but are in that of the account."""

    zone: ZoneInfo

    def one(self, cls: type[T]) -> Callable[[bytes], T]:
        """Return a function that decodes a body to an object, and gives its dates the time zone."""
        read = tolerant(cls)
        return lambda body: self._in_zone(read(parse(body)))

    def many(self, cls: type[T]) -> Callable[[bytes], tuple[T, ...]]:
        """Return a function that decodes a body to several objects, likewise."""
        read = tolerant(cls)
        return lambda body: tuple(self._in_zone(read(raw)) for raw in array(body))

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
        """Return a moment in Emma's form, to the second; fail if it is out of range in the account's time zone."""
        try:
            there = moment.astimezone(self.zone)
        except OverflowError:
            raise ArgumentError(f"{name} is out of range in the time zone {self.zone}: {moment}") from None
        return f"{_PREFIX}{there.replace(tzinfo=None).isoformat(timespec='seconds')}"


def in_ranges(
    send: Caller,
    path: str,
    decode: Callable[[bytes], tuple[T, ...]],
    *,
    start: int,
    end: int | None,
    lane: str,
) -> Listing[T]:
    """Return a list that requests range by range, from `start` up to, and without, `end`.

    Its last page is one that is not full, or reaches the end. A server that returns more than a range, or the same
    again, does not page at all; one more object comes from a server that includes `end`.
    """
    checks.count("start", start, least=0)
    if end is not None and checks.count("end", end) <= start:
        raise ArgumentError(f"end must be greater than start={start}, not {end}")

    def ask(first: int, before: tuple[T, ...] = ()) -> Request[Page[T]]:
        stop = first + MAX_SPAN if end is None else min(end, first + MAX_SPAN)

        def page(body: bytes) -> Page[T]:
            items = decode(body)
            if before and items[: len(before)] == before:
                return Page(items[len(before) :], has_more=False)
            is_full = stop - first <= len(items) <= stop - first + 1
            return Page(items, has_more=is_full and stop != end)

        return Request("GET", path, page, {"start": str(first), "end": str(stop)}, lane=lane)

    def following(request: Request[Page[T]], page: Page[T]) -> Request[Page[T]]:
        return ask(int(str(request.params["start"])) + len(page.data), page.data)

    return Listing(send, ask(start), following)
