"""Secoda's lists: numbered pages with a link to the next one."""

from collections.abc import Callable
from typing import cast

from fathom_async.connectors._reading import tolerant
from fathom_async.connectors.secoda._models import CatalogPage, Resource
from fathom_async.errors import DecodeError, PagingError
from fathom_async.models import Page
from fathom_async.service import Request, by_link, parse

MAX_RESOURCES = 10_000
"""The most objects of a list on all its pages; the catalog silently leaves out the rest."""

_NO_LINK = (None, "", "None")
"""The server sometimes writes Python's None as a string."""

_to_resource = tolerant(Resource, {"parent_id": "parent", "integration_id": "integration"})


def read_resource(body: bytes) -> Resource:
    return _to_resource(parse(body))


def page_decoder(*, most: int | None = None) -> Callable[[bytes], Page[Resource]]:
    """Return a function that decodes a list's body, in the envelope of newer or older servers, to a page.

    On the last page it raises `PagingError` if the list has more than `most` objects: the server left out some.
    """

    def decode(body: bytes) -> Page[Resource]:
        raw = parse(body)
        extra = cast("dict[str, object]", raw) if isinstance(raw, dict) else {}
        results = extra.pop("results", None)
        if not isinstance(results, list):
            raise DecodeError("the answer is not a list of resources", body=body[:200])
        links = extra.pop("links", None)
        newer = cast("dict[str, object]", links).get("next") if isinstance(links, dict) else None
        older = extra.pop("next", None)
        found = [str(each) for each in (newer, older) if each not in _NO_LINK]
        count, pages = (_number(extra.pop(name, None)) for name in ("count", "total_pages"))
        extra.pop("previous", None)
        if not found and most is not None and (count or 0) > most:
            raise PagingError(f"the catalog returns only {most:,} of {count:,} objects: narrow the filter")
        return CatalogPage(
            tuple(map(_to_resource, cast("list[object]", results))),
            bool(found),
            extra=extra,
            next=found[0] if found else None,
            count=count,
            total_pages=pages,
        )

    return decode


def by_number(request: Request[Page[Resource]], page: Page[Resource]) -> Request[Page[Resource]]:
    """Return the request for the page number of the server's link, at our own address."""
    following = by_link(request, page)
    if not any(each.isdecimal() for each in following.params.get("page", "")):
        raise PagingError(
            f"the link to the next page has no page number: {cast('CatalogPage[Resource]', page).next!r}"
        )
    return following


def _number(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isdecimal() else None
