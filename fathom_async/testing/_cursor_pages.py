"""Cursor pagination of lists that are sorted by `created_at`."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from aiohttp import web

from fathom_async.testing._validation import Form

T = TypeVar("T")


def page(
    items: Sequence[T],
    request: web.Request,
    *,
    url: str,
    cursor: Callable[[T], str],
    render: Callable[[T], Mapping[str, object]],
) -> web.Response:
    """Return one page of a list that is given oldest first.

    `starting_after` goes forwards in chronological order, `ending_before` backwards: the newest object before the
    cursor comes first.
    """
    form = Form(request.query)
    limit = form.integer("limit", 1, 100) or 10
    after, before = form.text("starting_after"), form.text("ending_before")
    if after is not None and before is not None:
        form.fail("starting_after", "The starting after field is prohibited when ending before is present.")
    positions = {cursor(item): position for position, item in enumerate(items)}
    for name, value in (("starting_after", after), ("ending_before", before)):
        if value is not None and value not in positions:
            form.fail(name, f"The selected {name.replace('_', ' ')} is invalid.")
    form.check()
    if before is not None:
        rest = items[: positions[before]][::-1]
    else:
        rest = items[positions[after] + 1 :] if after is not None else items
    data = [render(item) for item in rest[:limit]]
    return web.json_response({"object": "list", "url": url, "has_more": len(rest) > limit, "data": data})
