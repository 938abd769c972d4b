"""Secoda's lists: numbered pages with a link to the next one."""

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
"""The most objects of a list on all its pages; the catalog silently leaves out the rest."""

_NO_LINK = (None, "", "None")
"""The server sometimes writes Python's None as a string."""


@frozen
class _Envelope(Generic[T]):
    """The envelope of a list: newer servers have ``links`` (in `extra`), older ones `next` itself."""

    results: tuple[T, ...]
    next: str | None = None
    count: int | None = None
    total_pages: int | None = None
    extra: Extra = field(factory=dict[str, object])

    @property
    def link(self) -> str | None:
        """Address of the next page, in either envelope."""
        links = self.extra.get("links")
        candidates = [cast("dict[str, object]", links).get("next")] if isinstance(links, dict) else []
        found = [each for each in (*candidates, self.next) if each not in _NO_LINK]
        return str(found[0]) if found else None


def catalog_page_decoder(cls: type[T], *, most: int | None = None) -> Callable[[bytes], Page[T]]:
    """Return a function that decodes a list's body, in either envelope, to a page.

    Args:
        cls: The type of the objects.
        most: The most objects on all pages; None for no limit.

    The function raises:
        DecodeError: The body has another shape.
        PagingError: The last page is reached, and the server left out objects.
    """
    envelope = object_decoder(cast("type[_Envelope[T]]", _Envelope[cls]))  # type: ignore[valid-type]

    def decode(body: bytes) -> Page[T]:
        found = envelope(body)
        link = found.link
        if link is None and most is not None and (found.count or 0) > most:
            raise PagingError(
                f"the catalog returns only {most:,} of {found.count:,} objects: narrow the filter"
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
    """Return a function that requests the page number of the server's link, at our own address.

    Args:
        host: The host of the base URL; links to other hosts are rejected.
    """

    def following(request: Request[Page[T]], page: Page[T]) -> Request[Page[T]]:
        number = page_number(cast("CatalogPage[T]", page).next or "", host)
        if number == request.params.get("page", "1"):
            raise PagingError(f"the pages of {request.path} form a loop: page {number} links to itself")
        return evolve(request, params={**request.params, "page": number})

    return following


def page_number(link: str, host: str) -> str:
    """Return the page number of a link.

    Raises:
        PagingError: The link has another host, or no page number.
    """
    parts = urlsplit(link)
    if parts.hostname is not None and parts.hostname != host:
        raise PagingError(
            f"the link to the next page has the host {parts.hostname}, not {host}: not followed"
        )
    numbers = parse_qs(parts.query).get("page", [])
    if len(numbers) != 1 or not numbers[0].isdecimal():
        raise PagingError(f"the link to the next page has no page number: {link!r}")
    return numbers[0]
