"""Cursor paging over lists that are sorted by `created_at`."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from fathom_async.testing._validation import Form

T = TypeVar("T")


def page(
    items: Sequence[T],
    query: Mapping[str, str],
    *,
    url: str,
    cursor: Callable[[T], str],
    render: Callable[[T], Mapping[str, object]],
) -> dict[str, object]:
    """One page of a list, as the API wraps it.

    `starting_after` walks forwards in chronological order. `ending_before` walks backwards: the newest object
    before the cursor comes first.

    Args:
        items: Every object, oldest first.
        query: `limit`, `starting_after`, `ending_before`.
        url: What the answer calls itself.
        cursor: The name under which an object can be a cursor.
        render: The object in JSON.
    """
    form = Form(query)
    limit = form.integer("limit", 1, 100) or 10
    after, before = form.text("starting_after"), form.text("ending_before")
    if after is not None and before is not None:
        form.fail("starting_after", "The starting after field is prohibited when ending before is present.")
    places = {cursor(item): place for place, item in enumerate(items)}
    for name, value in (("starting_after", after), ("ending_before", before)):
        if value is not None and value not in places:
            form.fail(name, f"The selected {name.replace('_', ' ')} is invalid.")
    form.check()
    if before is not None:
        rest = items[: places[before]][::-1]
    else:
        rest = items[places[after] + 1 :] if after is not None else items
    return {
        "object": "list",
        "url": url,
        "has_more": len(rest) > limit,
        "data": [render(item) for item in rest[:limit]],
    }
