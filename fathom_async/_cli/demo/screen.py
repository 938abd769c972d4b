"""The screen while the job runs: pure functions from a snapshot to what is drawn."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from attrs import frozen
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fathom_async import LaneStatus
from fathom_async._cli.demo.job import LaneCounts
from fathom_async._cli.formatting import counted, duration, per
from fathom_async._cli.progress import Lines, is_screen
from fathom_async._util.text import printable

_MOST_DOTS = 20
_LINE_EVERY = 1.0


@frozen
class Snapshot:
    """The job at one moment; durations are in server seconds.

    Attributes:
        lanes: Counts and status of each lane.
        elapsed: Since the job began.
        refused: Requests that the server has refused.
        recent: The last answers, in words.
        is_over: Whether the job has ended.
    """

    lanes: Mapping[str, tuple[LaneCounts, LaneStatus]]
    elapsed: float
    refused: int
    recent: Sequence[str]
    is_over: bool = False


@contextmanager
def display(console: Console) -> Generator[Callable[[Snapshot], None]]:
    """Draw snapshots over each other in a terminal, and write a line every second elsewhere."""
    if not is_screen(console):
        lines = Lines(partial(console.print, soft_wrap=True, highlight=False, markup=False), _LINE_EVERY)
        yield lambda snapshot: lines(line(snapshot), is_last=snapshot.is_over)
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        yield lambda snapshot: live.update(draw(snapshot, console.width), refresh=True)


def waiting(status: LaneStatus) -> str:
    """Return what waits in a lane, and why."""
    if not status.queued:
        return "nothing waits"
    who = f"{status.queued} wait{'s' if status.queued == 1 else ''}"
    if status.paused_for:
        return f"{who}: the server asked for a pause of {duration(status.paused_for)} of server time"
    if status.used >= status.limit:
        return f"{who} for the window, next slot in {duration(status.next_slot_in)} of server time"
    if status.in_flight:
        return f"{who} for the first answer, which tells how much of the window is left"
    return f"{who} for the next turn"


def draw(snapshot: Snapshot, width: int) -> RenderableType:
    """Return the live display."""
    lanes = Table.grid(padding=(0, 2, 0, 0))
    lanes.add_column(style="bold", no_wrap=True)
    lanes.add_column(no_wrap=True)
    for name, (counts, status) in snapshot.lanes.items():
        bar = Table.grid(padding=(0, 2, 0, 0))
        bar.add_row(
            ProgressBar(counts.planned, counts.done, width=max(min(width - 50, 44), 10)),
            Text(f"{counts.done}/{counts.planned}", style="bold"),
            f"{status.in_flight} in flight",
            f"{status.queued} queued",
        )
        lanes.add_row(name, bar)
        lanes.add_row("", _window(status))
        lanes.add_row("", Text(f"{waiting(status)}\n", style="yellow" if status.queued else "dim"))
    clock = f"server time {duration(snapshot.elapsed)}   refused {snapshot.refused}"
    recent = [
        Text(f"  {printable(answer)}", style="dim", overflow="ellipsis", no_wrap=True)
        for answer in snapshot.recent
    ]
    return Group(lanes, Text(clock, style="bold red" if snapshot.refused else ""), "", *recent)


def line(snapshot: Snapshot) -> str:
    """Return the same in one line, for where there is no terminal."""
    lanes = "; ".join(
        f"{name} {counts.done}/{counts.planned}, {status.in_flight} in flight, {waiting(status)}"
        for name, (counts, status) in snapshot.lanes.items()
    )
    return f"{duration(snapshot.elapsed)}: {lanes}"


def _window(status: LaneStatus) -> Text:
    """Return how much of the window is used, with a dot per request if they are few."""
    used = f"{status.used:,} of {status.limit:,} {per(status.per)}"
    if status.limit > _MOST_DOTS:
        return Text(used, style="dim")
    return Text.assemble(
        ("●" * status.used, "cyan"), ("○" * (status.limit - status.used), "dim"), f"  {used}"
    )


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
