"""The subcommands, and what they take; what they do is imported when they run."""

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, cast

from cyclopts import App, CycloptsError, Parameter, validators

from fathom_async import __version__

_USAGE = 2
_DEMO_EXAMPLES = """\
Examples:

  fathom demo
  fathom demo --access-log access.log.gz --reports 60
"""

app = App(
    name="fathom",
    help="Async client for the Fathom Analytics API with a rate-limit-aware scheduler.",
    version=__version__,
    suppress_keyboard_interrupt=False,
    help_format="plaintext",
)


def run(arguments: Sequence[str]) -> int:
    """Carry out one command line, and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="replace"
            )  # a bar that an old terminal cannot show is no reason to fail
    try:
        code: object = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        sys.stderr.write(f"fathom: {' '.join(str(error).split())}\n")
        return _USAGE
    return cast("int | None", code) or 0


@app.command(help_epilogue=_DEMO_EXAMPLES)
def demo(
    *,
    access_log: Path | None = None,
    reports: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 42,
    speed: Annotated[float, Parameter(validator=validators.Number(gte=1, lte=60))] = 30.0,
    seed: int = 1,
) -> int:
    """Run a bulk job against an embedded server with the service's real limits: no account is needed.

    Many reports are started at once, with other requests besides, and the screen shows what waits and why.
    In the end come the figures, and how close the job came to the best time that the limits allow.

    Args:
        access_log: Report on the traffic of this web server's log (combined format, plain or .gz) instead of
            made-up traffic.
        reports: How many different reports to ask for.
        speed: How many times as fast as real time the clocks run; with 30, a minute lasts 2 seconds.
        seed: The made-up traffic follows from it.
    """
    from fathom_async.cli.demo import DemoOptions, run_demo  # noqa: PLC0415 - it imports the server

    return run_demo(DemoOptions(access_log=access_log, reports=reports, speed=speed, seed=seed))
