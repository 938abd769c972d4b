import pytest

from benchmarks.figures import Figure, Pair, Turn, figure, standings


def test_a_figure_is_the_median_with_its_quartiles() -> None:
    assert figure([5.0, 1.0, 2.0, 4.0, 3.0]) == Figure(3.0, 2.0, 4.0)


def test_a_single_value_has_no_spread() -> None:
    assert figure([7.0]) == Figure(7.0, 7.0, 7.0)


def test_a_figure_shows_its_spread() -> None:
    assert Figure(1234.5, 1000.0, 2000.4).show(0) == "1,234 (1,000-2,000)"
    assert Figure(0.951, 0.9, 1.0).show(2) == "0.95 (0.90-1.00)"


def test_ratios_are_of_rates_and_made_pair_by_pair() -> None:
    pairs = [
        Pair(baseline=Turn(wall=1.0, cpu=1.0), rival=Turn(wall=2.0, cpu=4.0)),
        Pair(baseline=Turn(wall=10.0, cpu=1.0), rival=Turn(wall=20.0, cpu=4.0)),  # a busy neighbour
        Pair(baseline=Turn(wall=1.0, cpu=1.0), rival=Turn(wall=2.0, cpu=4.0)),
    ]
    baseline, rival = standings("plain", {"fancy": pairs}, units=10)
    assert rival.name == "fancy"
    assert rival.wall_ratio == Figure(0.5, 0.5, 0.5)
    assert rival.cpu_ratio == Figure(0.25, 0.25, 0.25)
    assert baseline.wall_ratio is None
    assert baseline.wall.median == pytest.approx(0.1)
    assert rival.wall.median == pytest.approx(0.2)


def test_the_baseline_is_judged_by_its_turns_against_all_rivals() -> None:
    def duel(wall: float) -> list[Pair]:
        return [Pair(baseline=Turn(wall, wall), rival=Turn(1.0, 1.0))]

    baseline, *rivals = standings("plain", {"a": duel(1.0), "b": duel(3.0)}, units=1)
    assert baseline.wall.median == 2.0
    assert [rival.wall_ratio for rival in rivals] == [figure([1.0]), figure([3.0])]
