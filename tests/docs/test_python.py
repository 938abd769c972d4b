"""The blocks of ``docs/python.md`` run in their order, in one namespace, against the embedded server."""

import logging
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from fathom_async import ClosedError, Comparison, FathomClient, Period
from fathom_async.testing import Dataset, FathomServer
from tests.support.documentation import DOCS, blocks, run

BUDGET = "/var/lib/fathom"


async def test_the_blocks_run_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with FathomServer(data=Dataset.synthetic(days=400), reports_throttle=None) as server:
        monkeypatch.setenv("FATHOM_API_TOKEN", "any")
        monkeypatch.setenv("FATHOM_BASE_URL", server.url)
        async with FathomClient.from_env() as fathom:
            names: dict[str, Any] = {"fathom": fathom}
            for block in blocks("python.md"):
                await run(block.replace(BUDGET, str(tmp_path)), names)
            logging.getLogger("fathom_async").setLevel(logging.NOTSET)
            with pytest.raises(ClosedError):
                await names["client"].account.get()
    shown = capsys.readouterr().out
    assert re.search(r"^\d+\.\d visits a day$", shown, re.MULTILINE)
    assert "of 10 used by all processes" in shown
    assert "crud 200" in shown
    assert isinstance(names["comparison"], Comparison)
    assert names["frame"].columns == ["date", "visits"]
    assert len(names["busiest"].fetchall()) == 3
    assert len(names["names"]) == len(server.data.sites)
    assert names["moment"].tzinfo.key == names["site"].timezone


def test_the_words_for_periods_are_those_that_are_read() -> None:
    table = (DOCS / "python.md").read_text("utf8").partition("| words |")[2].partition("\n\n")[0]
    words = [word for row in table.splitlines()[2:] for word in re.findall(r"`([^`]+)`", row.split("|")[1])]
    assert len(words) == 12
    for word in words:
        period = Period.parse(word, date(2026, 11, 30))
        assert period.start < period.end, word
