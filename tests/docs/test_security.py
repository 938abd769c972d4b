"""Each promise of ``SECURITY.md`` has tests."""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "SECURITY.md").read_text("utf-8")


def test_every_promise_names_tests_that_exist() -> None:
    tests = "\n".join(file.read_text("utf-8") for file in (ROOT / "tests").rglob("test_*.py"))
    known = set(re.findall(r"^(?:async )?def (test_\w+)", tests, re.MULTILINE))
    promises = re.findall(r"^- (?:.+\n)(?:  .+\n)*", PAGE, re.MULTILINE)
    named = [set(re.findall(r"`(test_\w+)`", promise)) for promise in promises]
    assert len(named) > 10
    assert all(named)
    assert set().union(*named) <= known
