"""What benchmarks found is kept, and written into RESULTS.md."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import results
from benchmarks.__main__ import BENCHMARKS
from benchmarks.results import Picture, Result, Table

TABLE = Table(
    "pages a second", ("client", "pages", "lost"), [("ours", "1,200", "0"), ("theirs", "7", "3")], ["a note"]
)
RESULT = Result(
    "pages",
    "How many.",
    "2026-11-30",
    "a machine",
    2.4,
    5,
    ["nosuch"],
    [TABLE],
    [Picture("pages.png", "Pages")],
)


def test_a_result_is_kept_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "DIRECTORY", tmp_path / "results")
    assert results.load("pages") is None
    RESULT.save()
    kept = results.load("pages")
    assert kept is not None
    assert results.render([kept]) == results.render([RESULT])
    assert kept.table("pages").cell("theirs", "lost") == "3"


def test_a_cell_or_a_table_that_is_not_there_is_named() -> None:
    with pytest.raises(KeyError, match="no nobody / lost"):
        TABLE.cell("nobody", "lost")
    with pytest.raises(KeyError, match="no ours / won"):
        TABLE.cell("ours", "won")
    with pytest.raises(KeyError, match="0 tables of pages begin with 'rows'"):
        RESULT.table("rows")


def test_the_report_says_when_where_and_without_whom() -> None:
    text = results.render([RESULT])
    assert "Run on 2026-11-30 in 2 min, 5 rounds: a machine. Not installed there: nosuch." in text
    assert "![Pages](../docs/images/pages.png)" in text
    assert "| client | pages | lost |\n| --- | ---: | ---: |\n| ours | 1,200 | 0 |\n" in text
    assert "- a note" in text


def test_the_report_is_that_of_the_last_runs() -> None:
    last = [results.load(name) for name in BENCHMARKS]
    assert [result.name for result in last if result] == list(BENCHMARKS)
    assert results.REPORT.read_text("utf-8") == results.render([result for result in last if result])
    for result in last:
        for picture in result.pictures if result else ():
            assert (results.PICTURES / picture.name).exists()


def test_an_unknown_benchmark_is_named() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "nosuch"],
        cwd=results.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "unknown benchmark: nosuch" in done.stderr
