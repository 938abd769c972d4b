"""Examples in docstrings run, and return what they show."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import fathom_async

PACKAGE = Path(fathom_async.__file__).parent
MODULES = sorted(
    ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
    for file in PACKAGE.rglob("*.py")
    if ">>> " in file.read_text("utf-8")
)


def test_what_users_write_first_has_examples() -> None:
    assert {*MODULES} >= {
        "fathom_async._bulk.results",
        "fathom_async._reports.filters",
        "fathom_async._reports.periods",
        "fathom_async._reports.query",
        "fathom_async._reports.report",
        "fathom_async.jobs._file",
    }


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name: str) -> None:
    result = doctest.testmod(import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
