"""Parameters, requests and output that the commands for sites, events and milestones share."""

import re
from collections.abc import Callable, Coroutine, Mapping
from contextlib import aclosing
from functools import partial
from typing import Annotated, Final, TypeVar

from cyclopts import Parameter, validators
from cyclopts.completion import CompletionContext

from fathom_async import FathomClient, Listing
from fathom_async._cli.connection import call
from fathom_async._cli.output import Kind, OutputOptions, records_of, write, write_change
from fathom_async._util.checks import MISSING, NotGiven

T = TypeVar("T")

Ask = Callable[[FathomClient], Coroutine[object, object, T]]


def _sites(_: CompletionContext) -> list[tuple[str, str]]:
    """Return the sites that a shell can complete: those that the store knows, and names of one word."""
    from fathom_async._cli.named_sites import known_sites  # noqa: PLC0415 - it loads the client

    known = known_sites()
    return [*known.items(), *((name, each) for each, name in known.items() if _WORD.fullmatch(name))]


_SITE: Final = Parameter(completer=_sites, help="Name, domain or ID of the site; . for that of FATHOM_SITE.")
SiteID = Annotated[str, _SITE]
DefaultSite = Annotated[str | None, _SITE]
Limit = Annotated[int | None, Parameter(validator=validators.Number(gte=1), help="Stop after so many.")]
Yes = Annotated[bool, Parameter(help="Do not ask for confirmation.")]

DELETED: Final[Mapping[str, Kind]] = {"id": "text", "object": "text", "deleted": "flag"}
_MOST_A_PAGE: Final = 100
_WORD: Final = re.compile(r"[\w.-]+")


def given(value: T | None) -> T | NotGiven:
    """Return what the client takes for an option that was not given."""
    return MISSING if value is None else value


def show_list(
    columns: Mapping[str, Kind],
    limit: int | None,
    output: OutputOptions,
    listing: Callable[[FathomClient, int], Listing[T]],
) -> None:
    """Write the first objects of a list, which is made of a client and the number to request at once."""
    output.check(columns)
    write(records_of(columns, call(lambda fathom: _first_of(limit, partial(listing, fathom)))), output)


def show(columns: Mapping[str, Kind], output: OutputOptions, ask: Ask[T]) -> None:
    output.check(columns)
    write(records_of(columns, [call(ask)], is_single=True), output)


def change(columns: Mapping[str, Kind], output: OutputOptions, ask: Ask[T], *, done: str) -> None:
    """Change something, and write what became of it; `done` is such as ``the site {0.id} was deleted``."""
    output.check(columns)
    made = call(ask)
    write_change(records_of(columns, [made], is_single=True), output, done=done.format(made))


async def _first_of(limit: int | None, listing: Callable[[int], Listing[T]]) -> list[T]:
    if limit is not None and limit <= _MOST_A_PAGE:
        return list(await listing(limit))  # iterating would fetch the next page ahead
    found: list[T] = []
    async with aclosing(listing(_MOST_A_PAGE).pages()) as pages:
        async for page in pages:
            found.extend(page)
            if limit is not None and len(found) >= limit:
                break
    return found[:limit]
