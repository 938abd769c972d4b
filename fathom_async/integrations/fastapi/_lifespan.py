"""The client of an application: opened when it starts, closed when it stops."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypedDict

from fathom_async._ratelimit.plan import Priority
from fathom_async.client import FathomClient


class FathomState(TypedDict):
    """Values that the lifespan adds to the state of every request."""

    fathom: FathomClient


def fathom_lifespan(
    make_client: Callable[[], FathomClient] = FathomClient.from_env,
) -> Callable[[object], AbstractAsyncContextManager[FathomState]]:
    """Return a lifespan that keeps one client open, for ``FastAPI(lifespan=...)``.

    An application with a lifespan of its own enters this one there, and hands on what it yields:

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, object]]:
            async with fathom_lifespan()(app) as state, open_database() as database:
                yield {**state, "database": database}

    Args:
        make_client: Makes the client, in the event loop of the application; `FathomClient.from_env` by default.
            Workers of one account share its limits if the client has a ``budget``.

    Raises:
        ArgumentError: When the application starts: the client cannot be made, so that the worker does not start.
    """

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncGenerator[FathomState]:
        async with make_client() as client:
            client.expect(Priority.INTERACTIVE)
            yield FathomState(fathom=client)

    return lifespan
