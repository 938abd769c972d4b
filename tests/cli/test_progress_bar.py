"""The progress bar: one line, however narrow the terminal is."""

import pytest

from fathom_async import Progress
from fathom_async._cli.formatting import ASCII
from fathom_async._cli.progress import bar_of

HALF = Progress(30, done=15, kept=10, failed=1, requests=20, answered=5, seconds_left=65.0)


def test_it_tells_how_many_are_done_and_for_how_long_it_goes_on() -> None:
    assert bar_of(HALF, 100) == (
        "reports ████████████████████░░░░░░░░░░░░░░░░░░░░ 15/30 1:05 left 5/20 requests 10 kept 1 failed"
    )
    assert bar_of(Progress(1, done=1, requests=1, answered=1), 60).endswith("█ 1/1 1/1 requests")


@pytest.mark.parametrize("width", range(10, 120))
def test_it_fits(width: int) -> None:
    line = bar_of(HALF, width, waits="waiting up to 0:30 for another run's answers")
    assert len(line) <= width
    assert "15/30" in line
    assert "?" not in line.encode("ascii", ASCII).decode()


def test_a_narrow_terminal_still_has_a_bar_and_the_time_left() -> None:
    first = Progress(6, done=3, requests=6, answered=3, seconds_left=65.0)
    assert bar_of(first, 39) == "██████░░░░░░ 3/6 1:05 left 3/6 requests"


def test_nothing_is_counted_down_while_nothing_is_to_come() -> None:
    idle = Progress(30, done=10, kept=10)
    assert "left" not in bar_of(idle, 100)
    waits = "waiting up to 0:28 for another run's answers"
    assert f"10/30 {waits} 0/0 requests" in bar_of(idle, 120, waits=waits)
