"""The files of a consumer are what they say."""

import ast
import re
from pathlib import Path
from typing import Final

import pytest

from fathom_async.telemetry import Admitted
from tests.typing import accepted

REJECTED: Final = Path(__file__).with_name("rejected.py")
NAMED: Final = re.compile(r"  # type: ignore\[[\w-]+\]  # pyright: ignore\[\w+\]$")


@pytest.mark.virtual_time
async def test_what_is_accepted_runs() -> None:
    assert any(isinstance(event, Admitted) for event in await accepted.main())


def test_every_rejected_line_names_the_error_of_both_checkers() -> None:
    source = REJECTED.read_text("utf-8")
    lines = source.splitlines()
    mistakes = [
        lines[each.lineno - 1]
        for function in ast.parse(source).body
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for each in function.body
        if not lines[each.lineno - 1].startswith("    report = ")
    ]
    assert len(mistakes) > 40
    assert [line for line in mistakes if not NAMED.search(line)] == []
