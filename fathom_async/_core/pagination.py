"""Lists: awaited for one page, iterated over for everything."""

import re
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from typing import TYPE_CHECKING, Final, Generic, NoReturn, TypeVar
from urllib.parse import parse_qs, urlsplit

from attrs import evolve, frozen

from fathom_async._core.request import Request
from fathom_async._core.session import Caller
from fathom_async.errors import PagingError
from fathom_async.models import Page

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

_ASYNCHRONOUS: Final = "write `async for item in listing` for everything, `(await listing).data` for a page"
_LINKS = re.compile(r'<([^>]*)>((?:[^"<,]|"[^"]*")*)')
_NEXT = re.compile(r';\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next\b)', re.IGNORECASE)


Following = Callable[[Request[Page[T]], Page[T]], Request[Page[T]]]
"""Returns the request for the next page, given a page's request and answer."""


class Listing(Generic[T]):
    """The objects of a list.

    ``await listing`` returns one `Page`. ``async for item in listing`` iterates over all objects, and requests the
    next page when the caller comes to the second half of one. ``async for page in listing.pages()`` iterates over all
    pages, each of which is requested when the caller comes to it.

    A `LinkedPage` says itself what comes next: it may be empty, or have the objects of the page before.

    Args:
        send: Sends requests.
        first: The request for the first page.
        following: Returns the request for the next page.
    """

    def __init__(self, send: Caller, first: Request[Page[T]], following: Following[T]) -> None:
        self._send = send
        self._first = first
        self._following = following

    def __repr__(self) -> str:
        return f"<Listing of {self._first.target}: await it for a page, or use `async for`>"

    if not TYPE_CHECKING:

        def __iter__(self) -> NoReturn:
            raise TypeError(f"a listing is asynchronous; {_ASYNCHRONOUS}")

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(f"a listing has no {name!r}; {_ASYNCHRONOUS}", name=name)

    def __await__(self) -> Generator[object, object, Page[T]]:
        return self._send(self._first).__await__()

    async def __aiter__(self) -> AsyncGenerator[T, None]:
        request, page = self._first, await self._send(self._first)
        seen = {request.target}
        while True:
            upcoming: asyncio.Task[tuple[Request[Page[T]], Page[T]]] | None = None
            try:
                for place, item in enumerate(page.data):
                    if page.has_more and upcoming is None and 2 * place >= len(page.data):
                        upcoming = self._send.session.scope.spawn(self._next(request, page, seen))
                    yield item
                if not page.has_more:
                    return
                request, page = await (upcoming or self._next(request, page, seen))
            finally:
                if upcoming is not None:
                    upcoming.cancel()

    async def pages(self) -> AsyncGenerator[Page[T], None]:
        """Iterate over all pages.

        Raises:
            PagingError: The server announces more but sends an empty page, or the same page again.
        """
        request, page = self._first, await self._send(self._first)
        seen = {request.target}
        yield page
        while page.has_more:
            request, page = await self._next(request, page, seen)
            yield page

    async def _next(
        self, request: Request[Page[T]], page: Page[T], seen: set[str]
    ) -> tuple[Request[Page[T]], Page[T]]:
        """Return the request for the next page, and that page."""
        if not page.data and not isinstance(page, LinkedPage):
            raise PagingError(f"the server sent an empty page of {request.path} that claims to have more")
        request = self._following(request, page)
        if request.target in seen:
            raise PagingError(f"the pages of {request.path} go in circles: {request.target} comes again")
        seen.add(request.target)
        following = await self._send(request)
        if following.data and following.data == page.data and not isinstance(following, LinkedPage):
            raise PagingError(f"the server sent the same page of {request.path} again")
        return request, following


def by_cursor(cursor: Callable[[T], str]) -> Following[T]:
    """Return a `Following` that continues after the last object of a page, in the direction of its request."""

    def following(request: Request[Page[T]], page: Page[T]) -> Request[Page[T]]:
        direction = "ending_before" if "ending_before" in request.params else "starting_after"
        return evolve(request, params={**request.params, direction: cursor(page.data[-1])})

    return following


@frozen
class LinkedPage(Page[T]):
    """A page with a link to the next one, or its cursor; None on the last one."""

    next: str | None = None


def by_link(request: Request[Page[T]], page: Page[T]) -> Request[Page[T]]:
    """Return the request for the page that a `LinkedPage` links to.

    Only the link's query is used, so that nothing is ever sent to another host or endpoint.
    """
    query = parse_qs(urlsplit(_next_of(page)).query, keep_blank_values=True)
    return evolve(request, params={**request.params, **query})


def by_next(parameter: str) -> Following[T]:
    """Return a `Following` that passes a `LinkedPage`'s `next` as a query parameter, such as ``after``."""
    return lambda request, page: evolve(request, params={**request.params, parameter: _next_of(page)})


def with_link(page: Page[T], headers: Mapping[str, str]) -> Page[T]:
    """Return a page with the next one's address from the headers ``Link``, for `Request.with_headers`."""
    lines = ", ".join(value for name, value in headers.items() if name.lower() == "link")
    found = [link for link, terms in _LINKS.findall(lines) if _NEXT.search(terms)]
    return LinkedPage(page.data, bool(found), page.url, page.extra, found[0] if found else None)


def _next_of(page: Page[T]) -> str:
    return (page.next if isinstance(page, LinkedPage) else None) or ""
