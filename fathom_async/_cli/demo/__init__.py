"""``fathom demo``: a bulk job against the embedded server, and how close to its limits it came."""

import asyncio
import sys
import time
from pathlib import Path

from attrs import frozen
from rich.console import Console

from fathom_async import FathomClient, FathomError, LoopClock, Priority
from fathom_async._cli.demo.display import Display, display_for
from fathom_async._cli.demo.job import Job, TooFewReportsError
from fathom_async._cli.demo.screen import LaneView, Snapshot, headline
from fathom_async._cli.demo.source import Source, SourceError, from_log, synthetic
from fathom_async._cli.demo.summary import Verdict, summarize
from fathom_async.testing import FathomServer

_FRAME = 1 / 12
_FAILED = 1
_USAGE = 2


@frozen(kw_only=True)
class DemoOptions:
    """What the command line says.

    Attributes:
        access_log: A log to report on; made-up traffic without one.
        reports: How many reports.
        speed: Server seconds in a real one.
        seed: What the made-up traffic follows from.
    """

    access_log: Path | None
    reports: int
    speed: float
    seed: int


def run_demo(options: DemoOptions) -> int:
    """Carry out the demonstration, and return its exit code."""
    console = Console(highlight=False)
    try:
        source = synthetic(options.seed) if options.access_log is None else from_log(options.access_log)
        title = headline(options.reports, source.description, options.speed)
        console.print(title, "", sep="\n", soft_wrap=not console.is_terminal)
        job, verdict = asyncio.run(_demonstrate(source, options, display_for(console)))
    except (SourceError, TooFewReportsError) as error:
        return _ended(str(error), _USAGE)
    except (FathomError, OSError) as error:
        return _ended(f"the demonstration failed: {error}", _FAILED)
    width, ascii_only = console.options.max_width, console.options.ascii_only
    for part in summarize(job.findings, verdict, source.first, source.last, width, ascii_only=ascii_only):
        console.print(part)
    if verdict.problem is None:
        return 0
    first_failure = f"; the first failure: {job.failures[0]}" if job.failures else ""
    return _ended(f"{verdict.problem}{first_failure}", _FAILED)


async def _demonstrate(source: Source, options: DemoOptions, display: Display) -> tuple[Job, Verdict]:
    speed = options.speed
    async with (
        FathomServer(data=source.data, speed=speed, now=source.now, seed=options.seed) as server,
        FathomClient("demo", base_url=server.url, clock=LoopClock(speed)) as fathom,
    ):
        job = Job(fathom, source, options.reports)
        with display:
            work = asyncio.create_task(job.run())
            try:
                while not work.done():
                    display.show(_snapshot(job, server, speed))
                    await asyncio.wait({work}, timeout=_FRAME)
            finally:
                work.cancel()
            await work
            display.show(_snapshot(job, server, speed), is_last=True)
        return job, _judge(job, server, speed)


def _snapshot(job: Job, server: FathomServer, speed: float) -> Snapshot:
    # The job waits with normal priority, so that an urgent request would be the next one.
    urgent = job.fathom.with_options(priority=Priority.INTERACTIVE)
    limits = job.fathom.limits
    return Snapshot(
        lanes=[
            LaneView(name, tally.done, tally.planned, limits[name], urgent.eta(lane=name))
            for name, tally in job.tallies.items()
        ],
        elapsed=(time.perf_counter() - job.started) * speed,
        refused=server.refused,
        recent=tuple(job.recent),
    )


def _judge(job: Job, server: FathomServer, speed: float) -> Verdict:
    reports = sum(hit.lane == "reports" for hit in server.hits)
    throttle = server.throttles["reports"]
    tallies = job.tallies.values()
    return Verdict(
        reports=reports,
        others=len(server.hits) - reports,
        refused=server.refused,
        failed=sum(tally.failed for tally in tallies),
        lost=sum(tally.planned - tally.done for tally in tallies),
        seconds=job.answered - job.started,
        optimum=throttle.optimum(reports) if throttle else 0.0,
        speed=speed,
    )


def _ended(reason: str, code: int) -> int:
    sys.stderr.write(f"fathom demo: {' '.join(reason.split())}\n")
    return code
