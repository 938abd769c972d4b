"""How far a run has come, without a terminal."""

import asyncio

import pytest
from attrs import define

from fathom_async import FathomClient, Progress
from fathom_async._cli.progress import Lines, line_of, repeating, reporter, telling, together


@define
class Hand:
    """A clock that the test sets."""

    seconds: float = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_line_tells_all() -> None:
    progress = Progress(1200, done=40, failed=1, kept=12, requests=31, answered=9, seconds_left=125.4)
    assert line_of(progress) == "40 of 1,200 reports, 9 of 31 requests, 12 kept, 1 failed, 2:05 left"
    assert line_of(Progress(1, done=1, requests=1, answered=1)) == "1 of 1 report, 1 of 1 request"


def test_a_line_comes_every_ten_seconds_and_in_the_end() -> None:
    hand, told = Hand(), list[str]()
    show = Lines(told.append, 10.0, hand)
    for second in range(25):
        hand.seconds = float(second)
        show(str(second))
    show("30", is_last=True)
    assert told == ["10", "20", "30"]


def test_the_end_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    with reporter() as show:
        for _ in range(2):
            show(Progress(2, done=2, requests=1, answered=1))
    assert capsys.readouterr().err == "fathom: 2 of 2 reports, 1 of 1 request\n"


def test_no_time_is_left_to_tell_while_nothing_is_to_come() -> None:
    idle = Progress(30, done=10, kept=10)
    assert line_of(idle) == "10 of 30 reports, 0 of 0 requests, 10 kept"
    assert line_of(idle, "waiting for another").endswith("10 kept, waiting for another")


def test_several_runs_are_one_whose_reports_are_counted_apart() -> None:
    before = Progress(10, done=4, failed=1, kept=2, requests=3, answered=3)
    part = Progress(6, done=1, kept=1, requests=2, answered=0, seconds_left=30.0)
    assert together(before, part) == Progress(
        10, done=4, failed=1, kept=3, requests=5, answered=3, seconds_left=30.0
    )


@pytest.mark.virtual_time
async def test_what_is_shown_is_kept_current_until_the_end() -> None:
    ticks, twice = list[int](), asyncio.Event()

    def refresh() -> None:
        ticks.append(len(ticks))
        if len(ticks) == 2:
            twice.set()

    async with repeating(refresh, 1.0):
        await twice.wait()
    seen = len(ticks)
    await asyncio.sleep(10)
    assert len(ticks) == seen


@pytest.mark.virtual_time
@pytest.mark.parametrize(("seconds", "told"), [(2, 0), (60, 1)])
async def test_without_a_terminal_a_long_wait_has_one_line(
    fathom: FathomClient, capsys: pytest.CaptureFixture[str], seconds: float, told: int
) -> None:
    fathom.pause(seconds)
    async with telling(fathom):
        await fathom.account.get()
        await fathom.reports.current_visitors("CDBUGS")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == told
    assert all("the next request goes in 1 min" in line or "59 s" in line for line in lines)
