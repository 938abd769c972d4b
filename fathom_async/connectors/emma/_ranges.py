"""Emma's lists: plain arrays, requested by range."""

from collections.abc import Callable
from typing import TypeVar

from attrs import evolve, frozen

from fathom_async._core.pagination import Listing
from fathom_async._core.request import Request
from fathom_async._core.session import Caller
from fathom_async._util import checks
from fathom_async.errors import ArgumentError
from fathom_async.models import Page

T = TypeVar("T")

MAX_SPAN = 500
"""The most objects in one answer."""


@frozen
class Range:
    """A range of a list.

    Attributes:
        start: Position of the first one, from 0.
        end: Position after the last one; None for all.
    """

    start: int = 0
    end: int | None = None

    def __attrs_post_init__(self) -> None:
        checks.count("start", self.start, least=0)
        if self.end is not None and checks.count("end", self.end) <= self.start:
            raise ArgumentError(f"end must be greater than start={self.start}, not {self.end}")

    @property
    def stop(self) -> int:
        """The end of the first page."""
        most = self.start + MAX_SPAN
        return most if self.end is None else min(self.end, most)

    def page(self, items: tuple[T, ...]) -> Page[T]:
        """Return an answer as a page.

        It is the last page if it is not full, or reaches the end. A server that returns more than the range does not
        page at all; one more object comes from a server that includes `end`.
        """
        span = self.stop - self.start
        is_full = span <= len(items) <= span + 1
        return Page(items, has_more=is_full and self.stop != self.end)


def in_ranges(
    send: Caller, path: str, decode: Callable[[bytes], tuple[T, ...]], wanted: Range, *, lane: str
) -> Listing[T]:
    """Return a list that requests range by range.

    Args:
        send: Sends requests.
        path: Path of the list.
        decode: Decodes a body to a tuple of objects.
        wanted: The range.
        lane: The lane of the requests.
    """

    def ask(part: Range) -> Request[Page[T]]:
        params = {"start": str(part.start), "end": str(part.stop)}
        return Request("GET", path, lambda body: part.page(decode(body)), params, lane=lane)

    def following(request: Request[Page[T]], page: Page[T]) -> Request[Page[T]]:
        return ask(evolve(wanted, start=int(str(request.params["start"])) + len(page.data)))

    return Listing(send, ask(wanted), following)
