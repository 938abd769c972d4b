"""A server that answers with bytes of the test's choice, on a real socket."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from attrs import define, field

Act = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
"""Answers a request, of which it gets the whole text; the connection is closed afterwards."""


@define
class Scripted:
    """A running server.

    Attributes:
        url: Base URL of its API.
        requests: What it was sent, in order: head and body.
    """

    url: str
    requests: list[bytes] = field(factory=list[bytes])


@asynccontextmanager
async def scripted(act: Act | bytes) -> AsyncGenerator[Scripted]:
    """Run a server that answers each request on a connection of its own.

    Args:
        act: What it does with a request, or the bytes that it answers.
    """
    at_work: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        at_work.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                running.requests.append(request := await _request(reader))
                if isinstance(act, bytes):
                    writer.write(act)
                    await writer.drain()
                else:
                    await act(request, writer)
        finally:
            at_work.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    running = Scripted(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
    try:
        yield running
    finally:
        server.close()
        for task in at_work:
            task.cancel()
        await asyncio.gather(*at_work, return_exceptions=True)


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + (await reader.readexactly(int(lengths[0].partition(b":")[2])) if lengths else b"")


def http(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    """Return a whole answer."""
    named = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in (named | headers).items()]
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode() + body
