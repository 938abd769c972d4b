"""``fathom mcp``."""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Annotated, Final

from cyclopts import Parameter, validators

from fathom_async._cli.connection import connect, run_async
from fathom_async._cli.failures import DEBUG
from fathom_async._cli.output import note
from fathom_async._cli.settings import STORE
from fathom_async.integrations.mcp import mcp_server

_CHUNK: Final = 65_536


def mcp(*, max_requests: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 100) -> None:
    """Let a language model read the account's figures: an MCP server on standard input and output.

    Args:
        max_requests: Requests that it sends until it ends, each of which is a pageview on the bill.
    """
    if sys.stdin.isatty():
        note("an assistant's program starts this command and speaks MCP with it; Ctrl-D ends it")
    logging.basicConfig(level=logging.DEBUG if os.environ.get(DEBUG) else logging.WARNING)
    logging.getLogger("fathom_async").addHandler(logging.NullHandler())  # it goes where all logs go
    run_async(partial(_serve, max_requests))


async def _serve(max_requests: int) -> None:
    """Serve until the input ends. A read of it cannot be cancelled, so that a signal ends the input."""
    async with connect() as fathom:
        server = mcp_server(fathom, store=os.environ.get(STORE) or "memory://", max_requests=max_requests)
        end_input = _endable_input()
        serving = asyncio.create_task(server.run_stdio_async())
        try:
            await asyncio.shield(serving)
        finally:
            end_input()
            await serving


def _endable_input() -> Callable[[], None]:
    """Put a pipe between standard input and its reader, and return what closes it: the reader then sees the end."""
    source = os.dup(sys.stdin.fileno())
    reader, writer = os.pipe()
    os.dup2(reader, sys.stdin.fileno())
    os.close(reader)
    pipe = os.fdopen(writer, "wb", buffering=0)

    def copy() -> None:
        with suppress(OSError, ValueError), pipe:  # it was closed here or there
            while data := os.read(source, _CHUNK):
                pipe.write(data)

    threading.Thread(target=copy, name="standard input", daemon=True).start()
    return pipe.close
