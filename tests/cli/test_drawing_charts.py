"""What is drawn from which figures."""

import pytest

from fathom_async._cli.drawing import axis, bundle, column_chart, sparkline
from fathom_async._cli.formatting import ASCII, clock_time, duration
from fathom_async._util.text import bar, counted, printable


def test_sparkline_rises_with_the_values() -> None:
    assert sparkline([0, 1, 4, 8]) == " ▁▄█"
    assert sparkline([]) == ""
    assert sparkline([0, 0]) == ""


def test_bundles_leave_no_more_columns_than_fit() -> None:
    assert bundle(365, 60) == 7
    assert bundle(5, 3) == 2
    assert bundle(3, 5) == 1


def test_columns_from_top_to_bottom() -> None:
    assert column_chart([1, 2], height=2, thickness=2) == ["  █", "█ █"]
    assert column_chart([1, 0, 3], height=1, thickness=3) == ["▃▃    ██"]


def test_a_little_is_more_than_nothing() -> None:
    assert column_chart([1, 100_000], height=1) == ["▁█"]


def test_a_terminal_that_knows_only_ascii_gets_marks_that_it_can_show() -> None:
    columns = column_chart([1, 2, 4, 8], height=1)
    assert [line.encode("ascii", ASCII) for line in columns] == [b"  .#"]
    assert bar(5, 10, 4).encode("ascii", ASCII) == b"##"
    assert bar(7, 16, 4).encode("ascii", ASCII) == b"##"
    assert "Käse · 5…".encode("ascii", ASCII) == b"K?se - 5~"


def test_axis_leaves_out_what_would_touch() -> None:
    assert axis(["aaa", "bbb", "ccc", "ddd"], width=20, thickness=3) == "aaa   ccc"
    assert axis(["aaa", "bbb"], width=8, thickness=6) == "aaa"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0.0 s"), (0.44, "0.4 s"), (12.2, "12 s"), (59.7, "1 min 00 s"), (185, "3 min 05 s")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_wording() -> None:
    assert clock_time(118.4) == "1:58"
    assert counted(1, "site") == "1 site"
    assert counted(1200, "site") == "1,200 sites"
    assert printable("/café") == "/café"
    assert printable("/\x1b[2J") == r"/\x1b[2J"
