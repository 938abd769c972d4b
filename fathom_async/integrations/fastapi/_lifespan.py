"""The client of an application, open from its start to its stop."""

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

    In your own lifespan, enter this one and yield its state:

        @asynccontextmanager
        async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, object]]:
            async with fathom_lifespan()(app) as state, open_database() as database:
                yield {**state, "database": database}

    Args:
        make_client: Makes the client in the event loop of the application; `FathomClient.from_env` by default.
            Workers of one account share its limits if the client has a ``budget``.

    Raises:
        ArgumentError: `make_client` cannot make the client; raised when the application starts, which then fails.
    """

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncGenerator[FathomState]:
        async with make_client() as client:
            client.expect(Priority.INTERACTIVE)
            yield FathomState(fathom=client)

    return lifespan
