"""The fixture `fathom_server`, for pytest-asyncio in auto or strict mode."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, cast

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from fathom_async.testing._server import FathomServer, ServerOptions


@pytest_asyncio.fixture
async def fathom_server(request: pytest.FixtureRequest) -> AsyncIterator["FathomServer"]:
    """A running `FathomServer`, with the options of the marker `fathom_server`.

    Markers add up; the one nearest to the test wins.
    """
    from fathom_async.testing._server import FathomServer  # noqa: PLC0415 - only tests with the fixture need it

    options: dict[str, object] = {}
    for marker in reversed(list(request.node.iter_markers("fathom_server"))):
        options |= marker.kwargs
    async with FathomServer(**cast("ServerOptions", options)) as server:
        yield server
