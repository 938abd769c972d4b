"""Secoda's lists: pages that are numbered, and linked by addresses."""

from collections.abc import Callable
from typing import Generic, TypeVar, cast
from urllib.parse import parse_qs, urlsplit

from attrs import evolve, field, frozen

from fathom_async._core.codec.objects import object_decoder
from fathom_async._core.pagination import Following
from fathom_async._core.request import Request
from fathom_async.connectors.secoda._models import CatalogPage
from fathom_async.errors import PagingError
from fathom_async.models import Extra, Page

T = TypeVar("T")

MAX_RESOURCES = 10_000
"""How many objects the catalogue brings over all pages of a list; the others it leaves out without a word."""

_NO_LINK = (None, "", "None")
"""The server has been seen to write Python's None as a text."""


@frozen
class _Envelope(Generic[T]):
    """Around a list: ``links``, which are kept in `extra`, in newer servers, and `next` itself in older ones."""

    results: tuple[T, ...]
    next: str | None = None
    count: int | None = None
    total_pages: int | None = None
    extra: Extra = field(factory=dict[str, object])

    @property
    def link(self) -> str | None:
        """Address of the next page, wherever the server has put it."""
        links = self.extra.get("links")
        candidates = [cast("dict[str, object]", links).get("next")] if isinstance(links, dict) else []
        found = [each for each in (*candidates, self.next) if each not in _NO_LINK]
        return str(found[0]) if found else None


def catalog_page_decoder(cls: type[T], *, most: int | None = None) -> Callable[[bytes], Page[T]]:
    """Return a function from a list's body, in the old or the new envelope, to a page.

    Args:
        cls: What the list is of.
        most: How many objects the list brings over all of its pages; None for all.

    The function raises:
        DecodeError: The body is neither.
        PagingError: This is the last page, and the server has left out objects.
    """
    envelope = object_decoder(cast("type[_Envelope[T]]", _Envelope[cls]))  # type: ignore[valid-type]

    def decode(body: bytes) -> Page[T]:
        found = envelope(body)
        link = found.link
        if link is None and most is not None and (found.count or 0) > most:
            raise PagingError(
                f"the catalogue brings {most:,} of {found.count:,} objects: narrow down the filter"
            )
        return CatalogPage(
            found.results,
            link is not None,
            extra={name: value for name, value in found.extra.items() if name != "links"},
            next=link,
            count=found.count,
            total_pages=found.total_pages,
        )

    return decode


def by_number(host: str) -> Following[T]:
    """Return what continues a list with the page whose number is in the server's link, at our own address.

    Args:
        host: The host of the base URL; a link to another one is refused.
    """

    def following(request: Request[Page[T]], page: Page[T]) -> Request[Page[T]]:
        number = page_number(cast("CatalogPage[T]", page).next or "", host)
        if number == request.params.get("page", "1"):
            raise PagingError(f"the pages of {request.path} lead nowhere: page {number} comes again")
        return evolve(request, params={**request.params, "page": number})

    return following


def page_number(link: str, host: str) -> str:
    """Return the number of the page that a link leads to.

    Raises:
        PagingError: The link leads to another host, or to no page.
    """
    parts = urlsplit(link)
    if parts.hostname is not None and parts.hostname != host:
        raise PagingError(
            f"the next page would be at {parts.hostname}, and not at {host}: it is not followed"
        )
    numbers = parse_qs(parts.query).get("page", [])
    if len(numbers) != 1 or not numbers[0].isdecimal():
        raise PagingError(f"the link to the next page has no page number: {link!r}")
    return numbers[0]
