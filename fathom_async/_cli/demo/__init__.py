"""``fathom demo``: a bulk job against the embedded server, and how close to its limits it came."""

from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators
from rich.console import Console
from rich.text import Text

from fathom_async import FathomClient, LoopClock, Progress
from fathom_async._cli.connection import run_async
from fathom_async._cli.demo.job import DemoJob
from fathom_async._cli.demo.source import Source, source_of
from fathom_async._cli.demo.summary import Standing, summarize
from fathom_async._cli.failures import CommandError
from fathom_async._cli.formatting import counted
from fathom_async._cli.progress import repeating, reporter, situation
from fathom_async.testing import FathomServer

_FRAME = 1 / 12


def demo(
    *,
    access_log: Path | None = None,
    reports: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 42,
    speed: Annotated[float, Parameter(validator=validators.Number(gte=1, lte=60))] = 30.0,
    seed: int = 1,
) -> None:
    """Run a bulk job against an embedded server with the service's real limits: no account is needed.

    Many reports are started at once, with other requests besides, and a line shows what waits and why.
    Afterwards come the figures, and how close the job came to the best time that the limits allow.

    Args:
        access_log: Report on the traffic of this web server's log (combined format, plain or .gz) instead of
            made-up traffic.
        reports: Number of different reports to ask for.
        speed: How many times as fast as real time the clocks run; with 30, a minute lasts 2 seconds.
        seed: Seed of the made-up traffic.
    """
    console = Console(highlight=False)
    source = source_of(access_log, seed)
    title = headline(reports, source.description, speed)
    console.print(title, "", sep="\n", soft_wrap=not console.is_terminal)
    job, verdict = run_async(partial(_demonstrate, source, reports, speed, seed))
    for part in summarize(job.reports, verdict, console.width):
        console.print(part)
    if verdict.problem is not None:
        first_failure = f"; the first failure: {job.failures[0]}" if job.failures else ""
        raise CommandError(f"{verdict.problem}{first_failure}")


def headline(reports: int, description: str, speed: float) -> Text:
    """Return what the demonstration does, and how fast its clocks run."""
    minute = f"{60 / speed:.3g}"
    pace = (
        "The server has the real limits, and a minute lasts a minute."
        if speed == 1
        else f"A minute lasts {minute} second{'' if minute == '1' else 's'} here: "
        f"server and client clocks run {speed:g} times as fast."
    )
    what = f"  {counted(reports, 'report')}, and other requests besides\n{description}\n"
    return Text.assemble(("fathom demo", "bold"), what, (pace, "yellow"))


async def _demonstrate(source: Source, reports: int, speed: float, seed: int) -> tuple[DemoJob, Standing]:
    async with (
        FathomServer(data=source.data, speed=speed, now=source.now, seed=seed) as server,
        FathomClient("demo", base_url=server.url, clock=LoopClock(speed)) as fathom,
    ):
        job = DemoJob(fathom, source, reports)
        latest = Progress(reports)

        def update(progress: Progress) -> None:
            nonlocal latest
            latest = progress
            show(latest, "" if latest.is_over else situation(fathom))

        with reporter(line_every=1.0) as show:
            async with repeating(lambda: update(latest), _FRAME, after=0):
                await job.run(update)
        return job, _judge(job, server, speed)


def _judge(job: DemoJob, server: FathomServer, speed: float) -> Standing:
    reports = sum(hit.lane == "reports" for hit in server.hits)
    throttle = server.throttles["reports"]
    return Standing(
        reports=reports,
        others=len(server.hits) - reports,
        refused=server.refused,
        failed=len(job.failures),
        seconds=job.answered - job.started,
        optimum=throttle.optimum(reports) if throttle else 0.0,
        speed=speed,
    )
