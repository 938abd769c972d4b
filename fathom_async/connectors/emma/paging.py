"""Emma's lists: plain arrays, of which a range is asked for."""

from collections.abc import Callable
from typing import TypeVar

from attrs import evolve, frozen

from fathom_async.connectors import checks
from fathom_async.errors import ArgumentError, PagingError
from fathom_async.models import Page
from fathom_async.pagination import Listing, Sender
from fathom_async.request import Request

T = TypeVar("T")

MAX_SPAN = 500
"""Objects that Emma answers at once."""


@frozen
class Range:
    """Which objects of a list are wanted.

    Attributes:
        start: Position of the first one, from 0.
        end: Position after the last one; None for all.
    """

    start: int = 0
    end: int | None = None

    def __attrs_post_init__(self) -> None:
        checks.whole("start", self.start, least=0)
        if self.end is not None and checks.whole("end", self.end) <= self.start:
            raise ArgumentError(f"end must be greater than start={self.start}, not {self.end}")

    @property
    def stop(self) -> int:
        """Where the first page ends."""
        most = self.start + MAX_SPAN
        return most if self.end is None else min(self.end, most)

    def page(self, items: tuple[T, ...]) -> Page[T]:
        """Return what was answered as a page.

        It is the last one if it is not full, or if it reaches the end. A server that answers more than was
        asked for does not page at all; one more may come from a server that counts `end` in.
        """
        span = self.stop - self.start
        is_full = span <= len(items) <= span + 1
        return Page(items, has_more=is_full and self.stop != self.end)


class RangedListing(Listing[T]):
    """A list that is asked for range by range.

    Args:
        send: Sends requests.
        path: Path of the list.
        decode: Makes a tuple of objects out of a body.
        wanted: Which objects.
        lane: The rate limit that requests count against.
    """

    def __init__(
        self, send: Sender, path: str, decode: Callable[[bytes], tuple[T, ...]], wanted: Range, lane: str
    ) -> None:
        self._decode = decode
        self._wanted = wanted
        super().__init__(send, self._request(path, wanted, lane), cursor=lambda _: "")

    def _request(self, path: str, part: Range, lane: str) -> Request[Page[T]]:
        params = {"start": str(part.start), "end": str(part.stop)}
        return Request("GET", path, lambda body: part.page(self._decode(body)), params, lane=lane)

    def _page_after(self, cursor: str) -> Request[Page[T]]:
        part = evolve(self._wanted, start=int(cursor))
        return self._request(self._first.path, part, self._first.lane)

    def _next_cursor(self, page: Page[T], seen: set[str]) -> str:
        print_of_page = f"page {hash(repr(page.data))}"
        if print_of_page in seen:
            raise PagingError(f"the server sent the same page of {self._first.path} again")
        starts = [int(mark) for mark in seen if mark.isdecimal()]
        cursor = str(max(starts, default=self._wanted.start) + len(page.data))
        seen |= {print_of_page, cursor}
        return cursor
