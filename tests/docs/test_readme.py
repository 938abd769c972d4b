"""The examples of the README and the guides work as shown."""

import ast
import asyncio
import builtins
import inspect
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from fathom_async import FathomClient, PageviewQuery
from fathom_async.testing import Dataset, FathomServer, LaravelWindow, Site
from tests.support.serving import serving

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from fastapi import FastAPI

README = Path(__file__).parents[2] / "README.md"
GIVEN: Mapping[str, AbstractSet[str]] = {
    "README.md": {"fathom", "token", "queries"},
    "docs/fastapi.md": frozenset(),
    "docs/operations.md": {"queries"},
    "docs/python.md": {"fathom"},
    "docs/many-machines.md": {"queries", "queries_of", "secrets", "REDIS", "fleet", "todo", "engine", "task"},
}
"""Names that the examples of a page assume."""


def blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text("utf8"), re.DOTALL)


def shown(name: str) -> str:
    found = re.search(
        rf"<!-- {name}: start -->\n```python\n(.*?)```\n<!-- {name}: end -->",
        README.read_text("utf8"),
        re.DOTALL,
    )
    assert found is not None
    return found[1]


def environment(server: FathomServer) -> dict[str, str]:
    return {
        **os.environ,
        "FATHOM_API_TOKEN": "any",
        "FATHOM_BASE_URL": server.url,
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "error",
    }


async def started(code: str, folder: Path, server: FathomServer) -> asyncio.subprocess.Process:
    script = folder / "example.py"
    script.write_text(code, "utf8")
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        env=environment(server),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_the_first_example_runs_unchanged_and_shows_the_top_pages(tmp_path: Path) -> None:
    async with FathomServer() as server:
        process = await started(shown("example"), tmp_path, server)
        output, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        assert [hit.status for hit in server.hits] == [200] * 4
        async with FathomClient("any", base_url=server.url) as fathom:
            every = await fathom.reports.aggregate(
                PageviewQuery("CDBUGS", aggregates=["pageviews"], field_grouping=["pathname"])
            )
    tables = dict(re.findall(r"(?m)^(\S.*)\npathname .*\n-.*\n((?:/.*\n?)+)", output.decode()))
    assert tables.keys() == {site.name for site in server.data.sites}
    [name] = [site.name for site in server.data.sites if site.id == "CDBUGS"]
    figures = [int(line.split()[-1].replace(",", "")) for line in tables[name].splitlines()]
    assert figures == sorted((row.pageviews or 0 for row in every), reverse=True)[:10]


async def test_the_first_example_shows_each_site_as_it_comes(tmp_path: Path) -> None:
    data = Dataset.synthetic(sites=4, days=3)
    async with FathomServer(data=data, reports_throttle=LaravelWindow(2, 60)) as server:
        process = await started(shown("example"), tmp_path, server)
        assert process.stdout is not None
        names = {site.name for site in data.sites}
        async for line in process.stdout:
            if line.decode().strip() in names:
                break
        asked = [hit for hit in server.hits if hit.lane == "reports"]
        process.kill()
        await process.communicate()
    assert 1 <= len(asked) <= 2 < len(names), "the window is full before the last site is asked for"


def test_all_extras_are_told_and_no_others() -> None:
    there = tomllib.loads(README.with_name("pyproject.toml").read_text("utf8"))
    told = re.search(r"The extras are (.*?);", README.read_text("utf8"), re.DOTALL)
    assert told is not None
    assert re.findall(r"`(\w+)`", told[1]) == list(there["project"]["optional-dependencies"])


def test_the_first_example_is_twenty_lines() -> None:
    assert len([line for line in shown("example").splitlines() if line.strip()]) <= 20


def test_the_pytest_example_passes_as_it_stands_in_the_default_mode(tmp_path: Path) -> None:
    setting = re.search(
        r"^`(asyncio_default_.*)` in pytest's configuration", README.read_text("utf8"), re.MULTILINE
    )
    assert setting is not None
    (tmp_path / "test_mine.py").write_text(shown("pytest"), "utf8")
    (tmp_path / "pyproject.toml").write_text(f"[tool.pytest.ini_options]\n{setting[1]}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "--strict-markers", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert "asyncio: mode=Mode.STRICT" in done.stdout, done.stdout
    assert "1 passed" in done.stdout, done.stdout
    assert (done.returncode, done.stderr) == (0, "")


async def run(block: str, names: dict[str, object]) -> None:
    """Run a block of code that may await."""
    made: object = eval(compile(block, "README.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)  # noqa: S307 - ours
    if inspect.isawaitable(made):
        await cast("Awaitable[object]", made)


async def test_examples_with_a_client_run_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    queries = [
        PageviewQuery("CDBUGS", aggregates=["visits"]),
        PageviewQuery("CDBUGS", aggregates=["uniques"]),
    ]
    async with (
        FathomServer(data=Dataset.synthetic(days=3), reports_throttle=None) as server,
        FathomClient("any", base_url=server.url) as fathom,
    ):
        names: dict[str, object] = {"fathom": fathom, "queries": queries}
        for beginning in (
            "from fathom_async import EventQuery",
            "from fathom_async import CachePolicy",
            "await fathom.reports.backfill",
        ):
            [block] = [block for block in blocks(README) if block.startswith(beginning)]
            await run(block, names)
    assert "2 queries in 1 request" in capsys.readouterr().out
    assert {"reports.db", "stats.duckdb"} <= set(os.listdir(tmp_path))  # noqa: PTH208


@pytest.mark.parametrize("page", ["README.md", "docs/fastapi.md"])
async def test_the_fastapi_example_answers_for_a_site_with_and_one_without_data(
    page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    [block] = [block for block in blocks(README.parent / page) if "= FastAPI(" in block]
    names: dict[str, object] = {}
    exec(compile(block, page, "exec"), names)  # noqa: S102 - ours
    seen = Dataset.synthetic(sites=1, days=3)
    data = Dataset(sites=[*seen.sites, Site(id="QUIET", name="Quiet")], pageviews=lambda: seen.pageviews)
    async with FathomServer(data=data) as server:
        monkeypatch.setenv("FATHOM_API_TOKEN", "any")
        monkeypatch.setenv("FATHOM_BASE_URL", server.url)
        async with serving(cast("FastAPI", names["app"])) as visitor:
            async with visitor.get(f"/sites/{seen.sites[0].id}/visits") as busy:
                assert (busy.status, await busy.json() > 0) == (200, True)
            async with visitor.get("/sites/QUIET/visits") as quiet:
                assert (quiet.status, await quiet.json()) == (200, 0)


def undefined(code: str, known: set[str]) -> set[str]:
    """Return the names that a block uses and does not define, in any scope."""
    tree = compile(code, "block", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id not in known and not hasattr(builtins, node.id)
    } - defined(code)


def defined(code: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(compile(code, "block", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.ExceptHandler(name=str(name)):
                found.add(name)
            case ast.alias(name=name, asname=other):
                found.add(other or name)
            case _:
                pass
    return found


@pytest.mark.parametrize("page", GIVEN)
def test_examples_use_names_that_they_define_or_import(page: str) -> None:
    known = set(GIVEN[page])
    for block in blocks(README.parent / page):
        assert undefined(block, known) == set()
        known |= defined(block)


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_the_two_commands_are_there(command: str) -> None:
    assert command in README.read_text("utf8")
    target = command.removeprefix("make ")
    assert re.search(rf"^{target}:", README.with_name("Makefile").read_text("utf8"), re.MULTILINE)
