"""Measured figures in the README and in the documentation are those of benchmarks/results."""

import pytest

from benchmarks import claims
from benchmarks.claimed import CLAIMS
from benchmarks.claims import Claim

CLAIM = Claim("README.md", "waits {} s in the mean, and {} of 100 are lost", [lambda: "0.5", lambda: "3"])


def test_every_measured_figure_is_what_was_measured() -> None:
    assert list(claims.faults(CLAIMS)) == []


def test_figures_are_put_in_place_and_lines_stay_as_they_are() -> None:
    assert CLAIM.fill("It waits 7 s in\nthe mean, and 9 of 100\nare lost.") == (
        "It waits 0.5 s in\nthe mean, and 3 of 100\nare lost."
    )
    assert CLAIM.fill("Something else.") == "Something else."


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It waits 7 s in the mean, and 9 of 100 are lost.", []),
        ("It waits 7 s in the mean, and 9 of 100 are lost. 12 others.", ["12"]),
        ("![5 pages](pages-2.png) waits 7 s", ["7"]),
    ],
)
def test_a_number_in_a_measured_section_belongs_to_a_claim(text: str, found: list[str]) -> None:
    section = f"99 <!-- measured -->{text}<!-- end of measured --> 99"
    assert [each.split("'")[1] for each in claims.unclaimed(section, [CLAIM])] == found
