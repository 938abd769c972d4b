"""The progress bar, drawn into a terminal that is a string."""

import io

from rich.console import Console

from fathom_async._bulk.results import Progress
from fathom_async.integrations.rich import ProgressBar


def drawn(*states: Progress) -> str:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    with ProgressBar("months", console=console) as bar:
        for state in states:
            bar(state)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_it_tells_how_many_are_done_and_how_long_the_rate_limit_takes() -> None:
    text = drawn(
        Progress(queries=110, done=40, failed=1, kept=12, requests=31, answered=9, seconds_left=125.4)
    )
    assert "months" in text
    assert "40/110" in text
    assert "2:05 left" in text
    assert "9/31 requests, 12 kept, 1 failed" in text


def test_at_the_end_nothing_is_left() -> None:
    text = drawn(Progress(queries=3), Progress(queries=3, done=3, requests=1, answered=1))
    last = text.splitlines()[-2]
    assert "3/3" in last
    assert "0:00 left" in last
