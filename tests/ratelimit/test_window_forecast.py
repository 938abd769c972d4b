"""How often the more urgent classes come, counted bin by bin."""

import math

import pytest

from fathom_async._ratelimit.plan import Priority
from fathom_async._ratelimit.window import FORECAST_SIZE, MEMORY, SEEN_FOR, Forecast

INTERACTIVE, NORMAL, BULK = Priority
SPAN = 61.0


@pytest.fixture(params=["own", "shared"])
def forecast(request: pytest.FixtureRequest) -> Forecast:
    """A forecast with numbers of its own, or in memory that others share, all zeros when new."""
    return Forecast(SPAN, None if request.param == "own" else [0.0] * FORECAST_SIZE)


def arrivals(forecast: Forecast, now: float, priority: Priority = NORMAL) -> float:
    """Return how many more urgent requests came within the memory."""
    return forecast.rate(priority, now) * MEMORY


def test_nobody_is_expected_who_was_never_seen(forecast: Forecast) -> None:
    for priority in Priority:
        assert forecast.wanted(priority, 10, 5.0) == 0
        assert forecast.rate(priority, 5.0) == 0


def test_requests_of_the_bin_before_fade_as_the_next_one_passes(forecast: Forecast) -> None:
    forecast.note(INTERACTIVE, 10_000.0, 4)
    assert arrivals(forecast, 10_000.0) == 4
    assert arrivals(forecast, 10_000.0 + MEMORY / 2) == 4
    forecast.note(INTERACTIVE, 10_000.0 + 1.5 * MEMORY, 2)
    assert arrivals(forecast, 10_000.0 + 1.5 * MEMORY) == 2 + 4 * 0.5
    assert arrivals(forecast, 10_000.0 + 1.75 * MEMORY) == 2 + 4 * 0.25


def test_a_bin_begins_when_the_one_before_ended(forecast: Forecast) -> None:
    forecast.note(INTERACTIVE, 10_000.0, 4)
    forecast.note(INTERACTIVE, 10_000.0 + 1.25 * MEMORY)
    forecast.note(INTERACTIVE, 10_000.0 + 2.0 * MEMORY)
    assert arrivals(forecast, 10_000.0 + 2.0 * MEMORY) == 1 + 1


def test_without_another_request_a_bin_fades_after_its_end(forecast: Forecast) -> None:
    forecast.note(INTERACTIVE, 10_000.0, 4)
    for passed, left in ((0.75, 4), (1.0, 4), (1.5, 2), (2.0, 0), (3.0, 0)):
        assert arrivals(forecast, 10_000.0 + passed * MEMORY) == left


@pytest.mark.parametrize("passed", [2.0, 2.5, 40.0])
def test_a_bin_of_long_ago_is_forgotten(forecast: Forecast, passed: float) -> None:
    forecast.note(INTERACTIVE, 10_000.0, 4)
    forecast.note(INTERACTIVE, 10_000.0 + passed * MEMORY)
    assert arrivals(forecast, 10_000.0 + passed * MEMORY) == 1
    assert arrivals(forecast, 10_000.0 + (passed + 0.5) * MEMORY) == 1


def test_a_class_is_counted_once_unless_told_otherwise(forecast: Forecast) -> None:
    forecast.note(INTERACTIVE, 10_000.0)
    forecast.note(NORMAL, 10_000.0, 3)
    forecast.note(BULK, 10_000.0, 9)  # nothing is left for it
    assert arrivals(forecast, 10_000.0, INTERACTIVE) == 0
    assert arrivals(forecast, 10_000.0, NORMAL) == 1
    assert arrivals(forecast, 10_000.0, BULK) == 4


def test_a_class_is_left_what_comes_in_a_span_twice_and_a_fiftieth_or_two() -> None:
    forecast = Forecast(SPAN)
    forecast.note(INTERACTIVE, 10_000.0, 90)
    expected = 2 * 90 / MEMORY * SPAN  # 12.2
    assert forecast.wanted(NORMAL, 2_000, 10_000.0) == 2_000 // 50 + math.ceil(expected)
    assert forecast.wanted(NORMAL, 60, 10_000.0) == 2 + math.ceil(expected)
    assert forecast.wanted(NORMAL, 101, 10_000.0) == 2 + math.ceil(expected)
    assert forecast.wanted(NORMAL, 15, 10_000.0) == 14
    assert forecast.wanted(INTERACTIVE, 60, 10_000.0) == 0


def test_a_class_that_came_is_expected_for_a_day(forecast: Forecast) -> None:
    forecast.note(INTERACTIVE, 10_000.0, 0)
    assert forecast.wanted(NORMAL, 10, 10_000.0) == 2
    assert forecast.wanted(BULK, 10, 10_000.0 + SEEN_FOR - 1) == 2
    assert forecast.wanted(NORMAL, 10, 10_000.0 + SEEN_FOR) == 0


def test_the_memory_is_as_long_as_the_window_at_least() -> None:
    forecast = Forecast(3601.0)
    forecast.note(INTERACTIVE, 10_000.0, 36)
    assert forecast.rate(NORMAL, 13_600.0) == 36 / 3601.0


def test_a_bin_that_is_over_counts_nothing_more(forecast: Forecast) -> None:
    forecast.note(INTERACTIVE, 10_000.0, 4)
    forecast.note(INTERACTIVE, 10_000.0 + MEMORY)
    assert arrivals(forecast, 10_000.0 + 1.5 * MEMORY) == 1 + 4 * 0.5


def test_forecasts_on_the_same_numbers_know_of_each_others_requests() -> None:
    numbers = [0.0] * FORECAST_SIZE
    Forecast(SPAN, numbers).note(INTERACTIVE, 10_000.0, 4)
    assert arrivals(Forecast(SPAN, numbers), 10_000.0) == 4
