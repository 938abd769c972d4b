"""``fathom demo``: a bulk job against the embedded server, and how close to its limits it came."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated, Final

from attrs import frozen
from cyclopts import Parameter, validators
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fathom_async import FathomClient, LoopClock, PageviewRow, Progress, Report
from fathom_async._cli.connection import run_async
from fathom_async._cli.demo.job import DemoJob
from fathom_async._cli.demo.source import FOR_JOB, Source, source_of
from fathom_async._cli.drawing import drawn
from fathom_async._cli.failures import CommandError
from fathom_async._cli.figures import Line, Ranking, TimeSeries
from fathom_async._cli.formatting import duration
from fathom_async._cli.progress import repeating, reporter, situation
from fathom_async._util.text import columns, counted, cut, printable
from fathom_async.reports import CalendarUnit, DateGrouping
from fathom_async.testing import FathomServer

Reports = Mapping[str, Sequence[Report[PageviewRow]]]
"""Reports over all days, by the site's name."""

_FRAME: Final = 1 / 12
_SITE_WIDTH: Final = 20
_PAGES_SHOWN: Final = 9
_BESIDE_PAGE: Final = 34
"""Characters of a line that the figure and the bar take from a page's label."""


@frozen
class Standing:
    """Measurements of the job: requests as the server counted them, real seconds, and at best server seconds."""

    reports: int
    others: int
    refused: int
    failed: int
    seconds: float
    optimum: float
    speed: float

    @property
    def ratio(self) -> float | None:
        """The time taken over the best possible; None where nothing had to wait."""
        return self.seconds * self.speed / self.optimum if self.optimum else None

    @property
    def problem(self) -> str | None:
        """The requests that went wrong, in words, if any."""
        wrong = {"refused": self.refused, "failed": self.failed}
        told = [f"{number} {what}" for what, number in wrong.items() if number]
        return f"of {self.reports + self.others} requests, {', '.join(told)}" if told else None


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
    source = source_of(access_log, seed, FOR_JOB)
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


def summarize(reports: Reports, verdict: Standing, width: int) -> Iterator[RenderableType]:
    """Return the parts of the summary, from top to bottom; those without data are left out."""
    for figure in (traffic_of(chain.from_iterable(reports.values())), _pages(reports)):
        if figure is not None:
            label = max(width - _BESIDE_PAGE, _SITE_WIDTH)
            title, *lines = drawn(figure, width, label_width=label)
            yield Text(f"\n{title[0].upper()}{title[1:]}", style="bold")
            yield Text("\n".join(lines), style="cyan", no_wrap=True)
    yield Text("\nHow it went", style="bold")
    yield Padding(_account(verdict), (0, 0, 0, 2), expand=False)


def traffic_of(reports: Iterable[Report[PageviewRow]]) -> TimeSeries | None:
    """Return the pageviews of several reports by date, without a gap; None of none."""
    total = Counter[date]()
    for report in reports:
        if report.query.date_grouping is not None:
            total.update({row.date: row.pageviews or 0 for row in report})
    if not total:
        return None
    unit: DateGrouping = "hour" if any(isinstance(each, datetime) for each in total) else "day"
    calendar = CalendarUnit(unit)
    places = range(calendar.index(min(total)), calendar.index(max(total)) + 1)
    dates = tuple(map(calendar.value, places))
    return TimeSeries("pageviews", unit, dates, (Line("", tuple(total[each] for each in dates)),))


def _pages(reports: Reports) -> Ranking | None:
    most = max(_PAGES_SHOWN // max(len(reports), 1), 1)
    found = [
        ("" if place else cut(printable(name), _SITE_WIDTH), printable(row.pathname or ""), row.pageviews)
        for name, of_site in reports.items()
        for report in of_site
        if report.query.field_grouping == ("pathname",)
        for place, row in enumerate(report.rows[:most])
    ]
    labels = columns([(site, page) if len(reports) > 1 else (page,) for site, page, _ in found])
    return Ranking("top pages", tuple(labels), tuple(views for *_, views in found)) if found else None


def _account(verdict: Standing) -> Table:
    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    reports, others = counted(verdict.reports, "report"), f"{verdict.others:,} others"
    table.add_row("requests sent", f"{verdict.reports + verdict.others:,}", f"{reports} and {others}")
    table.add_row("refused", _to_be_zero(verdict.refused), "as the server counted them")
    table.add_row("failed", _to_be_zero(verdict.failed), "")
    for what, seconds in (
        ("best possible", verdict.optimum),
        ("time taken", verdict.seconds * verdict.speed),
    ):
        table.add_row(what, duration(seconds), f"of server time, {seconds / verdict.speed:.2f} s here")
    if verdict.ratio is None:
        table.add_row("", "", "all fit into one window: nothing had to wait")
    else:
        table.add_row("ratio", Text(f"{verdict.ratio:.3f}", style="bold"), "times the best possible")
    return table


def _to_be_zero(number: int) -> Text:
    return Text(f"{number:,}", style="bold red" if number else "bold green")
