"""An ASGI application on a real socket, with its lifespan."""

import asyncio
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import aiohttp
import uvicorn
from fastapi import FastAPI


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncGenerator[aiohttp.ClientSession]:
    """Run the application while the block runs; yield a session that takes paths."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            assert not task.done(), "the application did not start"
            await asyncio.sleep(0.005)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{listener.getsockname()[1]}") as visitor:
            yield visitor
    finally:
        server.should_exit = True
        await task
