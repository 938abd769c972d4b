"""The blocks of each guide run in their order, in one namespace, against the embedded server."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from fathom_async import FathomClient
from fathom_async.testing import Dataset, FathomServer
from tests.support.documentation import DOCS, blocks, run

DATA: Final = Dataset.synthetic(days=400)


async def played(
    page: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, Any], FathomServer]:
    """Run the blocks of a page, and return their names and the server that they asked."""
    monkeypatch.chdir(folder)
    async with FathomServer(data=DATA, reports_throttle=None) as server:
        monkeypatch.setenv("FATHOM_API_TOKEN", "any")
        monkeypatch.setenv("FATHOM_BASE_URL", server.url)
        monkeypatch.setenv("SOURCES__FATHOM__BASE_URL", server.url)
        async with FathomClient.from_env() as fathom:
            names: dict[str, Any] = {"fathom": fathom}
            for block in blocks(page):
                if "import pytest" in block:
                    continue
                if "pipeline.run" in block:  # it has an event loop of its own
                    await asyncio.to_thread(exec, block, names)
                else:
                    await run(block, names)
    return names, server


async def test_an_application_serves_its_page_beside_its_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, server = await played("applications.md", tmp_path, monkeypatch)
    assert names["seen"] > 0
    assert names["figures"].keys() == {site.id for site in DATA.sites}
    assert server.refused == 0


async def test_a_bulk_job_is_planned_run_and_found_in_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names, _ = await played("bulk-jobs.md", tmp_path, monkeypatch)
    shown = capsys.readouterr().out
    assert "6 queries in 3 requests" in shown
    assert re.search(r"^\d+ rows; 0 queries failed$", shown, re.MULTILINE)
    assert shown.endswith("{'kept'}\n")
    assert not names["everything"].truncated


async def test_tables_are_filled_and_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    monkeypatch.setenv("SOURCES__FATHOM__TOKEN", "any")
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    names, _ = await played("warehouse.md", tmp_path, monkeypatch)
    assert "2026-01-01 to 2026-01-31; 31 periods requested" in capsys.readouterr().out
    assert len(names["top"]) == 3
    assert {file.stem for file in (tmp_path / "pages").rglob("*.parquet")} == {site.id for site in DATA.sites}
    with names["pipeline"].sql_client() as client:
        ((sales,),) = client.execute_sql("SELECT count(*) FROM sales")
    assert sales > 0


async def test_a_notebook_goes_on_with_other_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, _ = await played("notebooks.md", tmp_path, monkeypatch)
    assert len(names["frame"]) == len(names["weekly"]) == len(names["report"])
    assert len(names["reports"]) == 6


async def test_what_replaces_a_script_gives_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names, _ = await played("migrating.md", tmp_path, monkeypatch)
    (total,) = names["totals"]
    assert total >= 0


async def test_a_test_knows_its_figures_and_its_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names, _ = await played("testing.md", tmp_path, monkeypatch)
    assert names["site"].name == "Acme"
    assert "there is no such site" in capsys.readouterr().out


def test_the_tests_pass_as_they_stand(tmp_path: Path) -> None:
    [block] = [block for block in blocks("testing.md") if "import pytest" in block]
    [settings] = re.findall(r"```toml\n(.*?)```", (DOCS / "testing.md").read_text("utf-8"), re.DOTALL)
    (tmp_path / "test_mine.py").write_text(block, "utf8")
    (tmp_path / "pyproject.toml").write_text(settings)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--strict-markers", "-q", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert "2 passed" in done.stdout, done.stdout
    assert done.stderr == ""


def test_every_page_with_code_has_a_test_that_names_it() -> None:
    tests = "\n".join(file.read_text("utf-8") for file in Path(__file__).parent.glob("test_*.py"))
    pages = {page.name for page in DOCS.rglob("*.md") if "```python" in page.read_text("utf-8")}
    assert {page for page in pages if page not in tests} == set()


def test_the_words_of_other_clients_become_names_that_exist() -> None:
    text = (DOCS / "migrating.md").read_text("utf-8")
    called = set(re.findall(r"fathom\.(\w+\.\w+)\(", text))
    client = FathomClient("any")
    for name in called:
        resource, method = name.split(".")
        assert callable(getattr(getattr(client, resource), method)), name
    assert len(called) > 4
