"""``fathom serve``: the embedded server, to try things out without an account."""

import asyncio
import errno
import os
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, validators

from fathom_async import RatePlan
from fathom_async._cli.connection import run_async
from fathom_async._cli.demo.source import FOR_SERVER, source_of
from fathom_async._cli.failures import CommandError
from fathom_async._cli.formatting import duration
from fathom_async._cli.output import note
from fathom_async._cli.settings import PLAN
from fathom_async._util.text import counted
from fathom_async.testing import FathomServer, ServerOptions

_PORTS = 65_535
_FASTEST = 10_000.0


def serve(
    *,
    port: Annotated[int, Parameter(validator=validators.Number(gte=0, lte=_PORTS))] = 8080,
    access_log: Path | None = None,
    speed: Annotated[float, Parameter(validator=validators.Number(gt=0, lte=_FASTEST))] = 1.0,
    seed: int = 1,
    limits: Annotated[bool, Parameter(negative="--no-limits")] = True,
    limit_headers: Literal["all", "allowed", "none"] = "all",
) -> None:
    """Serve the whole Fathom API on this machine, with the real rate limits, over made-up traffic or a log's.

    Any token works. Figures are computed; changes last until the server stops.

    Args:
        port: Port; 0 for any free one.
        access_log: Serve the traffic of this web server's log (combined format, plain or .gz).
        speed: How many times as fast as real time the server's clock runs; with 30, a minute lasts 2 seconds.
        seed: Seed of the made-up traffic.
        limits: Whether to refuse what exceeds the plan: 10 reports a minute and 2,000 other requests an hour, unless
            another one is named.
        limit_headers: Which answers tell the limits: all; those to requests that were allowed, so that a refusal has
            Retry-After alone; or none.
    """
    plan = RatePlan.parse(os.environ.get(PLAN) or "classic")
    settings: ServerOptions = {"plan": plan, "limit_headers": limit_headers}
    if not limits:
        settings = {"reports_throttle": None, "crud_throttle": None}
    with suppress(KeyboardInterrupt):  # Ctrl-C and SIGTERM end it as they should
        run_async(partial(_serve, port, access_log, speed, seed, settings, _told(plan) if limits else "none"))


async def _serve(  # noqa: PLR0917 - the options of `serve`
    port: int, access_log: Path | None, speed: float, seed: int, settings: "ServerOptions", limits: str
) -> None:
    source = source_of(access_log, seed, FOR_SERVER)
    settings |= {"data": source.data, "now": source.now, "port": port, "speed": speed, "seed": seed}
    try:
        async with FathomServer(**settings) as server:
            lines = [
                f"The Fathom API with {source.description}: {server.url}",
                f"Limits: {limits}; {_clock(speed)}",
                "",
                f"  export FATHOM_BASE_URL={server.url} FATHOM_API_TOKEN=any",
                "  fathom sites list",
                "",
                "Ctrl-C ends it.",
            ]
            print(*lines, sep="\n", flush=True)  # noqa: T201 - what the command is for
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                note(f"{counted(len(server.hits), 'request')}, {server.refused:,} refused")
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise CommandError(
            f"port {port} is in use; choose another one with --port, or --port 0 for any that is free"
        ) from None


def _told(plan: RatePlan) -> str:
    if plan.reports is None:
        return f"{plan.crud.requests:,} requests an hour, {plan.concurrency} at once"
    return f"{plan.reports.requests:,} reports a minute, {plan.crud.requests:,} other requests an hour"


def _clock(speed: float) -> str:
    if speed == 1:
        return "a minute lasts a minute"
    return f"a minute lasts {duration(60 / speed)}, for clients with clock=LoopClock({speed:g})"
