"""Pictures are drawn of the tables that are kept."""

from pathlib import Path

import pytest

from benchmarks import results
from benchmarks.plots import CHARTS, Chart, Panel, draw, number
from benchmarks.results import Result, Table


@pytest.mark.parametrize(
    ("cell", "figure"), [("7", 7), ("1,234.5 (1,200-1,300)", 1234.5), ("0.79 (0.77-0.82)", 0.79), ("97%", 97)]
)
def test_the_number_of_a_cell_is_its_first_one(cell: str, figure: float) -> None:
    assert number(cell) == figure


def test_a_cell_without_a_number_is_named() -> None:
    with pytest.raises(ValueError, match="no number in '-'"):
        number("-")


@pytest.mark.parametrize("name", CHARTS)
def test_the_last_run_has_what_its_charts_show(name: str, tmp_path: Path) -> None:
    result = results.load(name)
    assert result is not None
    assert [chart.picture for chart in CHARTS[name]] == list(result.pictures)
    for chart in CHARTS[name]:
        draw(chart, result, tmp_path / chart.name)
        assert (tmp_path / chart.name).read_bytes().startswith(b"\x89PNG")


def test_the_figures_of_a_row_are_at_its_name(tmp_path: Path) -> None:
    table = Table(
        "pages a second", ("client", "pages", "lost"), [("fathom_async", "1,200", "0"), ("b", "7", "3")]
    )
    result = Result("pages", "", "", "", 1, 1, [], [table])
    chart = Chart(
        "pages.svg", "Pages", [Panel("pages", ("pages",), "Pages"), Panel("pages", ("lost", "pages"), "Both")]
    )
    draw(chart, result, tmp_path / "pages.svg")
    drawn = (tmp_path / "pages.svg").read_text("utf-8")
    assert [drawn.count(f"<!-- {text} -->") for text in ("fathom_async", "b", "Pages", "Both", "lost")] == [
        1,
        1,
        1,
        1,
        1,
    ]
