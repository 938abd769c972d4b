"""Charts as SVG: within their frame, and told in words."""

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fathom_async.integrations.charts import Scale, bars, column_chart, line_chart, meter, round_up

VALUES = st.lists(st.none() | st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9), max_size=40)


def numbers(text: str) -> list[float]:
    return [float(each) for each in re.findall(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?", text)]


def check_frame(svg: str) -> None:
    """Check that nothing of a chart is outside of its view box."""
    root = ET.fromstring(svg)  # noqa: S314 - our own
    assert root.attrib["viewBox"] == "0 0 100 100"
    for rect in root.iter("rect"):
        x, y, width, height = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
        assert 0 <= x <= x + width <= 100.001
        assert -0.001 <= y <= y + height <= 100.011
    for path in root.iter("path"):
        assert all(-0.01 <= number <= 100.01 for number in numbers(path.attrib["d"].replace("h0", "")))


@given(VALUES, st.booleans())
def test_nothing_is_outside_of_the_frame(values: list[int | float | None], is_running: bool) -> None:
    scale = Scale.of(values)
    tips = ["<tip>"] * len(values)
    columns = column_chart(values, scale, title="<&>", description="d", tips=tips, is_running=is_running)
    line = line_chart(values, scale, title="<&>", description="d", is_running=is_running)
    for svg in (columns, line):
        check_frame(svg)
        assert [ET.fromstring(svg)[place].text for place in (0, 1)] == ["<&>", "d"]  # noqa: S314 - our own
    drawn = [each for each in ET.fromstring(columns).iter("rect") if each.attrib["class"] != "reach"]  # noqa: S314
    assert len(drawn) == sum(value is not None for value in values)


@given(VALUES)
def test_a_scale_has_round_ends_around_all_values(values: list[int | float | None]) -> None:
    top, middle, low = Scale.of(values).ticks
    known = [value for value in values if value is not None]
    assert low <= min(known, default=0)
    assert top >= max(known, default=0) * (1 - 1e-9)
    assert low <= 0 <= top
    assert middle == (top + low) / 2
    assert top > low


@pytest.mark.parametrize(
    ("number", "top"),
    [
        (0, 4),
        (4, 4),
        (5, 6),
        (38, 38),
        (39, 40),
        (1201, 1400),
        (0.444, 0.46),
        (121.2, 140.0),
        (61.5, 62.0),
        (0.0, 1),
    ],
)
def test_ends_are_round(number: float, top: float) -> None:
    assert round_up(number) == top


def test_bars_stand_in_their_places_and_a_little_is_more_than_nothing() -> None:
    scale = Scale.of([0, 50, 100])
    zero, half, whole = bars([0, 50, 100], scale)
    assert zero is not None
    assert half is not None
    assert whole is not None
    assert [bar.height for bar in (zero, half, whole)] == [0, 50, 100]
    assert [bar.y for bar in (zero, half, whole)] == [100, 50, 0]
    (little,) = bars([1], Scale(0, 100_000))
    assert little is not None
    assert little.height > 0.5
    assert bars([None], scale) == [None]
    (alone,) = bars([5], scale)
    assert alone is not None
    assert (alone.width, alone.x + alone.width / 2) == (12, 50), "one day is no wall"


def test_values_below_zero_hang_from_the_line_of_zero() -> None:
    scale = Scale.of([-50, 100])
    below, above = bars([-50, 100], scale)
    assert below is not None
    assert above is not None
    assert below.y == above.y + above.height == scale.y(0)


def test_a_line_breaks_where_nothing_is_known_and_what_is_running_is_dashed() -> None:
    svg = line_chart([1, None, 2, 3, 4], Scale(0, 4), title="", description="", is_running=True)
    lines = {path.attrib["class"]: path.attrib["d"] for path in ET.fromstring(svg).iter("path")}  # noqa: S314
    assert lines["front"] == "M10 75h0M50 50L70 25"
    assert lines["front unfinished"] == "M70 25L90 0"
    assert lines["area"].count("Z") == 1


def test_a_meter_keeps_to_its_width() -> None:
    assert ['width="0"' in meter(-1), 'width="100"' in meter(7), 'width="25.0"' in meter(0.25)] == [True] * 3
