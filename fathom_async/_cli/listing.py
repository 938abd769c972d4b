"""The first objects of a list, or all of them; and parameters that were not given."""

from collections.abc import Callable
from contextlib import aclosing
from typing import Annotated, TypeVar

from cyclopts import Parameter, validators

from fathom_async import Listing
from fathom_async._util.checks import MISSING, NotGiven

T = TypeVar("T")

Limit = Annotated[int | None, Parameter(validator=validators.Number(gte=1))]
"""How many objects to stop after."""

_MOST_A_PAGE = 100


async def first_of(limit: int | None, listing: Callable[[int], Listing[T]]) -> list[T]:
    """Return the first objects of a list.

    Args:
        limit: How many at most; None for all.
        listing: Makes the list, given how many objects to ask for at once.
    """
    if limit is not None and limit <= _MOST_A_PAGE:
        return list(await listing(limit))  # iterating would fetch ahead what nobody wants
    found: list[T] = []
    async with aclosing(listing(_MOST_A_PAGE).pages()) as pages:
        async for page in pages:
            found.extend(page)
            if limit is not None and len(found) >= limit:
                break
    return found[:limit]


def given(value: T | None) -> T | NotGiven:
    """Return what the client takes for an option that was not given."""
    return MISSING if value is None else value
