"""Lists: one page when awaited, everything when iterated."""

from collections.abc import AsyncGenerator, Callable, Generator
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from attrs import evolve

from fathom_async.errors import PagingError
from fathom_async.models import Page
from fathom_async.request import Request

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine

T = TypeVar("T")


class Sender(Protocol):
    """What a list needs of a caller: to send requests, and to fetch ahead."""

    def __call__(self, request: Request[T]) -> "Coroutine[object, object, T]":
        """Carry out a request."""
        ...

    def ahead(self, request: Request[T]) -> "asyncio.Task[T]":
        """Start to carry out a request that will be needed soon."""
        ...


class Listing(Generic[T]):
    """The objects of a list.

    ``await listing`` gives one `Page`. ``async for item in listing`` goes through all objects, and
    ``async for page in listing.pages()`` through all pages; both fetch the next page while the caller is busy
    with the present one.

    Args:
        send: Sends requests.
        first: The request for the first page.
        cursor: Gives the cursor of an object, from which its page is continued in the direction of `first`.
    """

    def __init__(
        self,
        send: Sender,
        first: Request[Page[T]],
        cursor: Callable[[T], str],
    ) -> None:
        self._send = send
        self._first = first
        self._cursor = cursor
        self._direction = "ending_before" if "ending_before" in first.params else "starting_after"

    def __await__(self) -> Generator[object, object, Page[T]]:
        return self._send(self._first).__await__()

    async def __aiter__(self) -> AsyncGenerator[T, None]:
        async for page in self.pages():
            for item in page.data:
                yield item

    async def pages(self) -> AsyncGenerator[Page[T], None]:
        """Go through all pages.

        Raises:
            PagingError: The server says that there is more but sends an empty page or a cursor again.
        """
        seen: set[str] = set()
        page = await self._send(self._first)
        while page.has_more:
            upcoming = self._send.ahead(self._page_after(self._next_cursor(page, seen)))
            try:
                yield page
                page = await upcoming
            finally:
                upcoming.cancel()
        yield page

    def _page_after(self, cursor: str) -> Request[Page[T]]:
        return evolve(self._first, params={**self._first.params, self._direction: cursor})

    def _next_cursor(self, page: Page[T], seen: set[str]) -> str:
        if not page.data:
            raise PagingError(f"the server sent an empty page of {self._first.path} that claims to have more")
        cursor = self._cursor(page.data[-1])
        if cursor in seen:
            raise PagingError(
                f"the server sent the page of {self._first.path} that ends with {cursor!r} again"
            )
        seen.add(cursor)
        return cursor
