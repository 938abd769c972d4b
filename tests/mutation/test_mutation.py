"""What the command does with the mutants that no test noticed."""

from tests.mutation.__main__ import ROOT, SURVIVORS, Outcome, explained, faults, is_cast
from tests.mutation.suites import SUITES

TEXT = """\
# Survivors

## fathom_async/a.py

Because they are the same.

    f: return 1 -> return +1
    C.g: a -> b

## fathom_async/b.py

    f: x -> y
"""


def test_reasons_are_read_by_module() -> None:
    assert explained(TEXT) == {
        "fathom_async/a.py": ["f: return 1 -> return +1", "C.g: a -> b"],
        "fathom_async/b.py": ["f: x -> y"],
    }


def test_a_survivor_needs_a_reason_and_a_reason_a_survivor() -> None:
    outcome = Outcome(20, ["f: x -> y", "f: y -> z"], 1.0)
    assert [*faults(outcome, ["f: x -> y", "f: gone -> z"])] == [
        "survived, without a reason: f: y -> z",
        "has a reason, but does not survive: f: gone -> z",
    ]
    assert [*faults(outcome, outcome.survivors)] == []


def test_nine_of_ten_are_to_be_noticed() -> None:
    outcome = Outcome(19, ["f: x -> y", "f: y -> z"], 1.0)
    assert [*faults(outcome, outcome.survivors)] == ["only 89.5% noticed, less than 90%"]


def test_modules_and_tests_are_there() -> None:
    for suite in SUITES.values():
        for name in (suite.module, *suite.tests):
            assert (ROOT / name).exists(), name
    assert explained(SURVIVORS.read_text("utf-8")).keys() <= {suite.module for suite in SUITES.values()}


def test_the_types_of_casts_are_no_code() -> None:
    assert is_cast('f: return cast("int", one) -> return cast("INT", one)')
    assert is_cast('f: return cast("int", one) -> return cast(None, one)')
    assert not is_cast('f: return cast("int", one) -> return cast("int", None)')
    assert not is_cast("f: x -> y")
