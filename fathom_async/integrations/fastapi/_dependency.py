"""The dependency that gives a route the application's client, with settings for that route."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends
from fastapi.requests import HTTPConnection

from fathom_async._ratelimit.plan import Priority
from fathom_async._util.checks import MISSING, NotGiven
from fathom_async.client import FathomClient

MAX_WAIT = 5.0
"""Default of `max_wait` for routes, in seconds."""


def fathom(
    *,
    max_wait: float | NotGiven | None = MAX_WAIT,
    priority: Priority | NotGiven = Priority.INTERACTIVE,
    timeout: float | NotGiven = MISSING,
) -> Callable[[HTTPConnection], Awaitable[FathomClient]]:
    """Return a dependency: the application's client with other settings, as in ``Depends(fathom(max_wait=0.5))``.

    A visitor is waiting for the page, so its requests go first by default and fail if they would wait for longer than
    5 seconds. Bulk runs have a ``priority`` of their own: pass it to `reports.run`.

    Args:
        max_wait: Longest wait for admission in seconds, None for no limit; a request that would wait longer raises
            `WaitTooLongError` at once.
        priority: Priority among waiting requests.
        timeout: Seconds from a request's admission to its complete response; the client's setting by default.
    """

    # FastAPI would run a synchronous dependency in a thread.
    async def view(connection: HTTPConnection) -> FathomClient:
        try:
            client: FathomClient = connection.state.fathom
        except AttributeError:
            raise RuntimeError(
                "the application has no Fathom client: write FastAPI(lifespan=fathom_lifespan()), or enter "
                "`async with fathom_lifespan()(app) as state` in your own lifespan and yield the state"
            ) from None
        return client.with_options(max_wait=max_wait, priority=priority, timeout=timeout)

    return view


Fathom = Annotated[FathomClient, Depends(fathom())]
"""The application's client as a parameter of a route: interactive, with a `max_wait` of 5 seconds."""
