"""``docs/operations.md``: its examples run as shown, and its commands and messages exist."""

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

import fathom_async
from fathom_async import PageviewQuery
from fathom_async.testing import FathomServer
from tests.conftest import until
from tests.support.serving import serving

if TYPE_CHECKING:
    from fastapi import FastAPI

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
PACKAGE = Path(fathom_async.__file__).parent
PROGRAMS = {"uvicorn": ["uvicorn"], "taskiq": ["taskiq", "worker"], "dask": ["distributed.cli.dask_worker"]}


def application(containing: str, **given: object) -> "FastAPI":
    [block] = [
        each
        for each in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf8"), re.DOTALL)
        if containing in each
    ]
    exec(compile(block, PAGE.name, "exec"), given)  # noqa: S102 - ours
    return cast("FastAPI", given["app"])


def print_nothing(*_: object) -> None: ...


@pytest.fixture
def survived() -> Iterator[None]:
    """Let the tests outlive SIGTERM, which uvicorn raises once more when it has stopped."""
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("survived")
async def test_the_stream_ends_when_the_service_is_told_to_stop(
    server: FathomServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FATHOM_API_TOKEN", "any")
    monkeypatch.setenv("FATHOM_BASE_URL", server.url)
    async with serving(application("/ticks")) as visitor, visitor.get("/ticks") as stream:
        assert await stream.content.readline() == b"data: tick\n"
        signal.raise_signal(signal.SIGTERM)
        assert (await stream.content.read()).endswith(b"\n"), (
            "it ends by itself; cut off, it would be an error"
        )


@pytest.mark.virtual_time
async def test_the_job_in_the_service_goes_on_after_a_restart_and_sends_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FATHOM_API_TOKEN", "any")
    monkeypatch.setenv("FATHOM_STORE", f"{tmp_path}/reports.db")
    queries = [
        PageviewQuery("CDBUGS", aggregates=["visits"], date_to=f"2026-{n:02}-01") for n in range(1, 10)
    ]
    job = "nightly"
    async with FathomServer(latency=(2.0, 3.0)) as server:
        monkeypatch.setenv("FATHOM_BASE_URL", server.url)
        async with serving(application(job, queries=queries, print=print_nothing)):
            await until(lambda: len(server.hits) >= 2)
        async with serving(application(job, queries=queries, print=print_nothing)):
            await asyncio.sleep(100)
        assert len({str(sorted(hit.query.items())) for hit in server.hits}) == len(server.hits)
        assert server.refused == 0


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_commands_have_the_options_that_they_are_given(program: str) -> None:
    commands = re.findall(rf"`({program} [^`]*--[^`]*)`", PAGE.read_text("utf8"))
    shown = {option for command in commands for option in re.findall(r"--[a-z-]+", command)}
    told = subprocess.run(
        [sys.executable, "-m", *PROGRAMS[program], "--help"], check=True, capture_output=True, text=True
    )
    assert shown
    assert {option for option in shown if option not in told.stdout} == set()


def test_the_messages_of_the_table_are_those_of_the_log() -> None:
    rows = PAGE.read_text("utf8").partition("## Troubleshooting")[2]
    messages = re.findall(r"^\| `([a-z][^`:]* [^`:]*)`", rows, re.MULTILINE)
    source = "".join(path.read_text("utf8") for path in PACKAGE.rglob("*.py"))
    assert len(messages) == 2
    assert [message for message in messages if message not in source] == []
