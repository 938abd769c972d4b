"""A server in its own process: one small JSON object, and rate-limit headers that never limit.

``python -m benchmarks.server`` prints its port and serves until its standard input closes.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from benchmarks.machine import keep_memory

LIMIT = 20_000
"""Requests in one window: several times as many as one Python process can send."""

PER = 1.0
"""Seconds of a window: short, so that measurements see the steady state, in which requests leave the window."""

SITE = "CDBUGS"
_BODY = json.dumps(
    {
        "id": SITE,
        "object": "site",
        "name": "Acme Inc",
        "sharing": "none",
        "created_at": "2026-01-28 12:34:56",
        "timezone": "Europe/Berlin",
    }
).encode()


class _Service:
    """Counts the requests of each token in fixed windows and answers all of them."""

    def __init__(self) -> None:
        self._windows: dict[str, tuple[float, int]] = {}

    async def answer(self, request: web.BaseRequest) -> web.Response:
        if request.path != f"/v1/sites/{SITE}":
            return web.json_response({"error": "Not found"}, status=404)
        remaining = max(1, LIMIT - self._count(request.headers.get("Authorization", "")))
        return web.Response(
            body=_BODY,
            content_type="application/json",
            headers={"X-RateLimit-Limit": str(LIMIT), "X-RateLimit-Remaining": str(remaining)},
        )

    def _count(self, token: str) -> int:
        now = time.monotonic()
        ends, count = self._windows.get(token, (0.0, 0))
        if now >= ends:
            ends, count = now + PER, 0
        self._windows[token] = (ends, count + 1)
        return count + 1


@asynccontextmanager
async def serving() -> AsyncGenerator[str, None]:
    """Run the server in another process; yield its base URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.server",
        cwd=Path(__file__).parent.parent,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = int(await process.stdout.readline())
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.stdin.close()
        await process.wait()


async def _serve() -> None:
    runner = web.ServerRunner(web.Server(_Service().answer, access_log=None))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    keep_memory()
    asyncio.run(_serve())
