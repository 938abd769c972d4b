"""``fathom demo``: a bulk job against the embedded server, and how close to its limits it came."""

import time
from functools import partial
from pathlib import Path
from typing import Annotated

from attrs import evolve
from cyclopts import Parameter, validators
from rich.console import Console

from fathom_async import FathomClient, LoopClock, Priority
from fathom_async._cli.connection import run_async
from fathom_async._cli.demo.job import DemoJob
from fathom_async._cli.demo.screen import Snapshot, display, headline
from fathom_async._cli.demo.source import Source, source_of
from fathom_async._cli.demo.summary import Comparison, summarize
from fathom_async._cli.failures import CommandError
from fathom_async._cli.progress import repeating
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

    Many reports are started at once, with other requests besides, and the screen shows what waits and why.
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
    job, verdict = run_async(partial(_demonstrate, source, reports, speed, seed, console))
    for part in summarize(job.reports, verdict, console.width):
        console.print(part)
    if verdict.problem is not None:
        first_failure = f"; the first failure: {job.failures[0]}" if job.failures else ""
        raise CommandError(f"{verdict.problem}{first_failure}")


async def _demonstrate(
    source: Source, reports: int, speed: float, seed: int, console: Console
) -> tuple[DemoJob, Comparison]:
    async with (
        FathomServer(data=source.data, speed=speed, now=source.now, seed=seed) as server,
        FathomClient("demo", base_url=server.url, clock=LoopClock(speed)) as fathom,
    ):
        job = DemoJob(fathom, source, reports)
        with display(console) as show:
            async with repeating(lambda: show(_snapshot(job, server, speed)), _FRAME, after=0):
                await job.run()
            show(_snapshot(job, server, speed, is_over=True))
        return job, _judge(job, server, speed)


def _snapshot(job: DemoJob, server: FathomServer, speed: float, *, is_over: bool = False) -> Snapshot:
    # The job waits with normal priority, so that an urgent request would be the next one.
    urgent = job.fathom.with_options(priority=Priority.INTERACTIVE)
    limits = job.fathom.limits
    return Snapshot(
        lanes={
            name: (counts, evolve(limits[name], next_slot_in=urgent.eta(lane=name)))
            for name, counts in job.counts.items()
        },
        elapsed=(time.perf_counter() - job.started) * speed,
        refused=server.refused,
        recent=() if is_over else tuple(job.recent),
        is_over=is_over,
    )


def _judge(job: DemoJob, server: FathomServer, speed: float) -> Comparison:
    reports = sum(hit.lane == "reports" for hit in server.hits)
    throttle = server.throttles["reports"]
    counts = job.counts.values()
    return Comparison(
        reports=reports,
        others=len(server.hits) - reports,
        refused=server.refused,
        failed=sum(lane_counts.failed for lane_counts in counts),
        lost=sum(lane_counts.planned - lane_counts.done for lane_counts in counts),
        seconds=job.answered - job.started,
        optimum=throttle.optimum(reports) if throttle else 0.0,
        speed=speed,
    )
