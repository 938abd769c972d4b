"""One client for all routes of an application: open from its start to its stop, with settings for each route."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, TypedDict

from fastapi import Depends
from fastapi.requests import HTTPConnection

from fathom_async._ratelimit.plan import Priority
from fathom_async._util.checks import MISSING, NotGiven
from fathom_async.client import FathomClient

GRACE = 5.0
"""Default of `grace` of a lifespan, in seconds."""


class FathomState(TypedDict):
    """Values that the lifespan adds to the state of every request."""

    fathom: FathomClient


def fathom_lifespan(
    make_client: Callable[[], FathomClient] = FathomClient.from_env, *, grace: float = GRACE
) -> Callable[[object], AbstractAsyncContextManager[FathomState]]:
    """Return a lifespan that keeps one client open, for ``FastAPI(lifespan=...)``.

    In your own lifespan, enter this one and yield its state:

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, object]]:
            async with fathom_lifespan()(app) as state, open_database() as database:
                yield {**state, "database": database}

    Args:
        make_client: Makes the client in the event loop of the application; `FathomClient.from_env` by default.
            Workers of one account share its limits if the client has a ``budget``.
        grace: Seconds for which a worker that stops waits for answers, such as those that background tasks expect;
            nothing more is sent meanwhile.

    Raises:
        ArgumentError: `make_client` cannot make the client; raised when the application starts, which then fails.
    """

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncGenerator[FathomState]:
        async with make_client() as client:
            client.expect(Priority.INTERACTIVE)
            try:
                yield FathomState(fathom=client)
            finally:
                await client.drain(grace)

    return lifespan


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
