"""The progress bar, drawn into a terminal that is a string."""

import asyncio
import io
import re
import sys
from types import ModuleType

import pytest
from attrs import define, evolve, field
from rich.console import Console

from fathom_async._bulk.results import Progress
from fathom_async._cli.formatting import ASCII
from fathom_async.integrations.rich import ProgressBar

HALF = Progress(30, done=15, kept=10, failed=1, requests=20, answered=5, seconds_left=65.0)


def drawn(progress: Progress, width: int = 100, *, title: str = "reports", waits: str = "") -> str:
    """Return what stands there in the end; the last column of a terminal stays empty."""
    console = Console(file=io.StringIO(), force_terminal=True, width=width + 1, color_system=None)
    with ProgressBar(title, console=console) as bar:
        bar(Progress(progress.queries))
        bar(progress, waits)
    assert isinstance(console.file, io.StringIO)
    shown = re.sub(r"\x1b\[[?0-9]*[a-zA-Z]", "", console.file.getvalue())
    return re.split(r"[\r\n]", shown.rstrip())[-1]


def test_it_tells_how_many_are_done_and_for_how_long_it_goes_on() -> None:
    assert drawn(HALF) == (
        "reports ████████████████████░░░░░░░░░░░░░░░░░░░░ 15/30 1:05 left 5/20 requests 10 kept 1 failed"
    )
    assert drawn(Progress(1, done=1, requests=1, answered=1), 60).endswith("█ 1/1 1/1 requests")
    assert drawn(HALF, title="months").startswith("months █")


@pytest.mark.parametrize("width", range(10, 120, 3))
def test_it_fits(width: int) -> None:
    line = drawn(HALF, width, waits="waiting up to 0:30 for another run's answers")
    assert len(line) <= width
    assert "15/30" in line
    assert "?" not in line.encode("ascii", ASCII).decode()


def test_a_narrow_terminal_still_has_a_bar_and_the_time_left() -> None:
    first = Progress(6, done=3, requests=6, answered=3, seconds_left=65.0)
    assert drawn(first, 39) == "██████░░░░░░ 3/6 1:05 left 3/6 requests"


def test_nothing_is_counted_down_while_nothing_is_to_come() -> None:
    idle = Progress(30, done=10, kept=10)
    assert "left" not in drawn(idle)
    waits = "waiting up to 0:28 for another run's answers"
    assert f"10/30 {waits} 0/0 requests" in drawn(idle, 120, waits=waits)


@define
class Cell:
    """What stands below a cell of a notebook."""

    shown: list[str] = field(factory=list[str])

    def display(self, data: dict[str, str], *, raw: bool, display_id: bool) -> "Cell":
        assert (data, raw, display_id) == ({"text/plain": ""}, True, True)
        return self

    def update(self, data: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.shown.append(data["text/plain"])


@pytest.mark.virtual_time
async def test_a_notebook_has_the_bar_below_its_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = Cell()
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", cell)
    with ProgressBar(console=Console(force_jupyter=True)) as bar:
        bar(evolve(HALF, seconds_left=0.0))
        await asyncio.sleep(1)
        bar(Progress(30, done=30, requests=20, answered=20))
    await asyncio.sleep(1)
    assert len(cell.shown) == 2
    assert "15/30" in cell.shown[0]
    assert cell.shown[1].endswith("30/30 20/20 requests")
