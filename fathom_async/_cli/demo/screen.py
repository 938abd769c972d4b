"""The screen while the job runs: pure functions from a snapshot to what is drawn."""

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial

from attrs import frozen
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from fathom_async import LaneStatus
from fathom_async._cli.formatting import counted, duration
from fathom_async._cli.progress import Lines, is_screen
from fathom_async._util.text import printable

_MOST_DOTS = 20
_LINE_EVERY = 1.0


@frozen
class LaneView:
    """One lane at one moment.

    Attributes:
        name: The lane.
        done: Requests of the job that have ended.
        planned: Requests of the job in all.
        status: The lane's status.
        next_slot_in: Server seconds until the first waiting request is admitted.
    """

    name: str
    done: int
    planned: int
    status: LaneStatus
    next_slot_in: float


@frozen
class Snapshot:
    """The job at one moment.

    Attributes:
        lanes: The lanes.
        elapsed: Server seconds since the job began.
        refused: Requests that the server has refused.
        recent: The last answers, in words.
        is_over: Whether the job has ended.
    """

    lanes: Sequence[LaneView]
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
    options = console.options
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        yield lambda snapshot: live.update(
            draw(snapshot, options.max_width, ascii_only=options.ascii_only), refresh=True
        )


def waiting(lane: LaneView) -> str:
    """Return what waits in a lane, and why."""
    status = lane.status
    if not status.queued:
        return "nothing waits"
    who = f"{status.queued} wait{'s' if status.queued == 1 else ''}"
    if status.paused_for:
        return f"{who}: the server asked for a pause of {duration(status.paused_for)} of server time"
    if status.used >= status.limit:
        return f"{who} for the window, next slot in {duration(lane.next_slot_in)} of server time"
    if status.in_flight:
        return f"{who} for the first answer, which tells how much of the window is left"
    return f"{who} for the next turn"


def draw(snapshot: Snapshot, width: int, *, ascii_only: bool = False) -> RenderableType:
    """Return the live display."""
    lanes = Table.grid(padding=(0, 2, 0, 0), expand=False)
    lanes.add_column(style="bold", no_wrap=True)
    lanes.add_column(no_wrap=True)
    for number, lane in enumerate(snapshot.lanes):
        if number:
            lanes.add_row("", "")
        lanes.add_row(lane.name, _bar(lane, min(width - 50, 44)))
        lanes.add_row("", _window(lane, ascii_only=ascii_only))
        lanes.add_row("", Text(waiting(lane), style="yellow" if lane.status.queued else "dim"))
    clock = Text.assemble(
        ("server time ", "dim"),
        duration(snapshot.elapsed),
        ("   refused ", "dim"),
        (str(snapshot.refused), "bold red" if snapshot.refused else "bold green"),
    )
    return Group(lanes, "", clock, *_recent(snapshot.recent))


def line(snapshot: Snapshot) -> str:
    """Return the same in one line, for where there is no terminal."""
    lanes = "; ".join(
        f"{lane.name} {lane.done}/{lane.planned}, {lane.status.in_flight} in flight, {waiting(lane)}"
        for lane in snapshot.lanes
    )
    return f"{duration(snapshot.elapsed)}: {lanes}"


def _bar(lane: LaneView, width: int) -> RenderableType:
    row = Table.grid(padding=(0, 2, 0, 0))
    row.add_row(
        ProgressBar(lane.planned, lane.done, width=max(width, 10), finished_style="green"),
        Text(f"{lane.done}/{lane.planned}".rjust(2 * len(str(lane.planned)) + 1), style="bold"),
        Text.assemble(f"{lane.status.in_flight:>2}", (" in flight", "dim")),
        Text.assemble(f"{lane.status.queued:>3}", (" queued", "dim")),
    )
    return row


def _window(lane: LaneView, *, ascii_only: bool) -> Text:
    """Return how much of the window is used, with a dot per request if they are few."""
    status = lane.status
    every = f"{status.used:,} of {status.limit:,} {_per(status.per)}"
    if status.limit > _MOST_DOTS:
        return Text.assemble(("window ", "dim"), every)
    full, empty = ("#", ".") if ascii_only else ("●", "○")
    return Text.assemble(
        ("window ", "dim"),
        (full * status.used, "cyan"),
        (empty * (status.limit - status.used), "dim"),
        f"  {every}",
    )


def _per(seconds: float) -> str:
    return {60.0: "a minute", 3600.0: "an hour"}.get(seconds, f"in {duration(seconds)}")


def _recent(answers: Sequence[str]) -> list[RenderableType]:
    if not answers:
        return []
    lines = [
        Text(f"  {printable(answer)}", style="dim", overflow="ellipsis", no_wrap=True) for answer in answers
    ]
    return [Text("\nlast answers", style="dim"), *lines]


def headline(reports: int, description: str, speed: float) -> Text:
    """Return what the demonstration does, and how fast its clocks run."""
    text = Text.assemble(
        ("fathom demo", "bold"),
        f"  {counted(reports, 'report')}, and other requests besides\n",
        f"{description}\n",
    )
    if speed == 1:
        return text.append("The server has the real limits, and a minute lasts a minute.", style="yellow")
    minute = f"{60 / speed:.3g}"
    return text.append(
        f"A minute lasts {minute} second{'' if minute == '1' else 's'} here: "
        f"server and client clocks run {speed:g} times as fast.",
        style="yellow",
    )
