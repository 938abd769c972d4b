"""``fathom demo``."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators


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
    from fathom_async._cli.demo import DemoOptions, run_demo  # noqa: PLC0415 - it imports the server

    return run_demo(DemoOptions(access_log=access_log, reports=reports, speed=speed, seed=seed))
