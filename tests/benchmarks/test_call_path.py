"""The files that a warm call passes, which a reader has to follow: their number may only fall."""

import asyncio
from pathlib import Path

import pytest

from benchmarks.call_path import CALLS, passed_by, serving

FILES = {
    "sites.get": 10,
    "reports.aggregate": 13,
    "reports.run of 3": 22,
    "reports.run of 3, with a store": 29,
}


@pytest.mark.parametrize("name", CALLS)
def test_a_warm_call_passes_no_more_files_than_it_did(name: str) -> None:
    with serving() as url:
        passed = asyncio.run(passed_by(CALLS[name], url))
    assert next(iter(passed.files)) in {Path("_resources/sites.py"), Path("_resources/reports.py")}
    assert len(passed.files) <= FILES[name], [*map(str, passed.files)]
