"""``fathom serve``: the embedded server, for trying things out without an account."""

import asyncio
import errno
import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from attrs import frozen
from cyclopts import Parameter, validators

from fathom_async._cli.connection import run_async
from fathom_async._cli.failures import CommandError, ExitCode
from fathom_async._cli.formatting import counted, duration
from fathom_async._cli.output import note

if TYPE_CHECKING:
    from fathom_async._cli.demo.source import Source
    from fathom_async.testing import FathomServer, ServerOptions

_PORTS = 65_535
_FASTEST = 10_000.0


@frozen(kw_only=True)
class Serving:
    """What the command line says.

    Attributes:
        port: Where to listen; 0 for any port.
        access_log: A log whose traffic is served; made-up traffic without one.
        speed: Server seconds in a real one.
        seed: What the made-up traffic follows from.
        is_limited: Whether the service's rate limits hold.
    """

    port: int
    access_log: Path | None
    speed: float
    seed: int
    is_limited: bool


def serve(
    *,
    port: Annotated[int, Parameter(validator=validators.Number(gte=0, lte=_PORTS))] = 8080,
    access_log: Path | None = None,
    speed: Annotated[float, Parameter(validator=validators.Number(gt=0, lte=_FASTEST))] = 1.0,
    seed: int = 1,
    limits: Annotated[bool, Parameter(negative="--no-limits")] = True,
) -> None:
    """Serve the whole Fathom API on this machine, with the real rate limits, over made-up traffic or a log's.

    Any token will do. Figures are really computed; what is created or changed lasts until the server ends.

    Args:
        port: The port; 0 for any that is free.
        access_log: Serve the traffic of this web server's log (combined format, plain or .gz).
        speed: How many times as fast as real time the server's clock runs; with 30, a minute lasts 2 seconds.
        seed: The made-up traffic follows from it.
        limits: Whether to refuse more than 10 reports a minute and 2,000 other requests an hour.
    """
    options = Serving(port=port, access_log=access_log, speed=speed, seed=seed, is_limited=limits)
    run_async(partial(_serve, options))


async def _serve(options: Serving) -> None:
    from fathom_async._cli.demo.source import SourceError, from_log, synthetic  # noqa: PLC0415 - `--help` needs none
    from fathom_async.testing import FathomServer  # noqa: PLC0415

    asked_to_end = _end_signals()
    try:
        source = synthetic(options.seed) if options.access_log is None else from_log(options.access_log)
    except SourceError as error:
        raise CommandError(str(error), ExitCode.USAGE) from None
    settings: ServerOptions = {
        "data": source.data,
        "now": source.now,
        "speed": options.speed,
        "seed": options.seed,
        "port": options.port,
    }
    if not options.is_limited:
        settings |= {"reports_throttle": None, "crud_throttle": None}
    try:
        async with FathomServer(**settings) as server:
            print(told(server.url, source, options), flush=True)  # noqa: T201 - what the command is for
            await asked_to_end.wait()
            note(ended(server))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise CommandError(
            f"something else listens on port {options.port}; choose another one with --port, or --port 0 for any"
        ) from None


def told(url: str, source: "Source", options: Serving) -> str:
    """Return what is served, and how to use it."""
    limits = "10 reports a minute, 2,000 other requests an hour" if options.is_limited else "none"
    lines = [
        f"The Fathom API with {source.description}: {url}",
        f"Limits: {limits}; {_clock(options.speed)}",
        "",
        f"  export FATHOM_BASE_URL={url} FATHOM_API_TOKEN=any",
        "  fathom sites list",
        "",
        "Ctrl-C ends it.",
    ]
    return "\n".join(lines)


def ended(server: "FathomServer") -> str:
    """Return what the server has done."""
    return f"{counted(len(server.hits), 'request')}, {server.refused:,} refused"


def _clock(speed: float) -> str:
    if speed == 1:
        return "a minute lasts a minute"
    return f"a minute lasts {duration(60 / speed)}, for clients with clock=LoopClock({speed:g})"


def _end_signals() -> asyncio.Event:
    """Return what is set when the process is asked to end."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, asked.set)
        except NotImplementedError:  # on Windows, Ctrl-C raises KeyboardInterrupt
            break
    return asked
