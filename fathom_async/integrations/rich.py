"""A progress bar for bulk reports, drawn with rich; needs the extra ``fathom_async[cli]``."""

from types import TracebackType
from typing import Self

from fathom_async._bulk.results import Progress

try:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn
    from rich.progress import Progress as Bar
    from rich.text import Text
except ImportError as _error:
    raise ImportError('a progress bar needs rich: pip install "fathom_async[cli]"') from _error


class ProgressBar:
    """A bar in the terminal: ``with ProgressBar() as bar: … reports.gather(queries, on_progress=bar)``.

    The time left follows from the rate limit: it runs until the lane admits the last request, and does not
    extrapolate from the speed of the first ones.

    Args:
        title: Text in front of the bar.
        console: Console to draw on; standard error by default, which leaves standard output to the program.
    """

    def __init__(self, title: str = "reports", *, console: Console | None = None) -> None:
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _TimeLeft(),
            TextColumn("{task.fields[note]}", style="dim"),
            console=console or Console(stderr=True),
        )
        self._task = self._bar.add_task(title, total=None, note="", over_at=0.0)

    def __call__(self, progress: Progress) -> None:
        """Update the bar."""
        over_at = self._bar.get_time() + progress.seconds_left
        self._bar.update(
            self._task,
            total=progress.queries,
            completed=progress.done,
            note=_note(progress),
            over_at=over_at,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


class _TimeLeft(ProgressColumn):
    """The time left, counting down between two updates."""

    def render(self, task: Task) -> Text:
        left = max(0, round(task.fields["over_at"] - task.get_time()))
        minutes, seconds = divmod(left, 60)
        return Text(f"{minutes}:{seconds:02} left", style="cyan")


def _note(progress: Progress) -> str:
    parts = [f"{progress.answered}/{progress.requests} requests"]
    if progress.kept:
        parts.append(f"{progress.kept} kept")
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    return ", ".join(parts)
