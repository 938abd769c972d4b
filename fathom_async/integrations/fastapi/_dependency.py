"""The dependency that gives a route the application's client, with the manners of the route."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends
from fastapi.requests import HTTPConnection

from fathom_async._ratelimit.plan import Priority
from fathom_async._util.checks import MISSING, NotGiven
from fathom_async.client import FathomClient

MAX_WAIT = 5.0
"""Seconds that a visitor is kept waiting for admission unless the route says otherwise."""


def fathom(
    *,
    max_wait: float | NotGiven | None = MAX_WAIT,
    priority: Priority | NotGiven = Priority.INTERACTIVE,
    timeout: float | NotGiven = MISSING,
) -> Callable[[HTTPConnection], Awaitable[FathomClient]]:
    """Return a dependency that gives a view of the application's client: ``Depends(fathom(max_wait=0.5))``.

    Behind a page somebody waits, so that its requests go first by default, and fail when they would have to wait
    for longer than 5 seconds. A run of many reports has a ``priority`` of its own: give it there.

    Args:
        max_wait: Seconds to wait for admission, None for as long as it takes; a longer wait raises
            `WaitTooLongError` at once.
        priority: Who goes first when requests wait.
        timeout: Seconds from a request's admission to its whole answer; the client's unless given.
    """

    # FastAPI would send a dependency that is not async to a thread.
    async def view(connection: HTTPConnection) -> FathomClient:
        try:
            client: FathomClient = connection.state.fathom
        except AttributeError:
            raise RuntimeError(
                "the application has no Fathom client: write FastAPI(lifespan=fathom_lifespan()), or yield what "
                "`async with fathom_lifespan()(app) as state` gives from your own lifespan"
            ) from None
        return client.with_options(max_wait=max_wait, priority=priority, timeout=timeout)

    return view


Fathom = Annotated[FathomClient, Depends(fathom())]
"""The application's client as a parameter of a route: interactive, and waiting for 5 seconds at most."""
