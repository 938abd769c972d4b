"""``docs/errors.md`` has all errors that the package exports."""

import re
from pathlib import Path

import fathom_async
from fathom_async import backfill, jobs

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"


def test_every_public_error_is_listed_and_no_other() -> None:
    exported = {name for module in (fathom_async, backfill, jobs) for name in module.__all__}
    listed = set(re.findall(r"\b[A-Z]\w+(?:Error|Warning)\b", PAGE.read_text("utf-8")))
    builtin = {"ValueError", "ConnectionError"}
    errors = {name for name in exported if name.endswith(("Error", "Warning"))}
    assert listed - builtin == errors | {"TimeoutError"}
