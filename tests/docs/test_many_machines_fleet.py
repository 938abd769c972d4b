"""The blocks of ``docs/many-machines.md`` that need no other machine run as shown."""

import ast
import asyncio
import inspect
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from fathom_async import PageviewQuery
from fathom_async.integrations.fleet import Batch, Fleet, Json, batches, interleaved
from fathom_async.integrations.workers import WorkerClients
from fathom_async.testing import FathomServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

PAGE = (Path(__file__).parents[2] / "docs" / "many-machines.md").read_text("utf8")


class Engine:
    """Carries JSON texts to a worker of this process."""

    def __init__(self) -> None:
        self.tasks: list[Json] = []
        self.clients: WorkerClients | None = None

    async def call(self, function: str, task: Json) -> object:
        self.tasks.append(json.loads(json.dumps(task)))
        return json.loads(json.dumps(await getattr(self.clients, function)(self.tasks[-1])))


def section(title: str) -> str:
    return PAGE.split(f"## {title}\n")[1].split("\n## ")[0]


async def run(text: str, names: dict[str, Any]) -> None:
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        made: object = eval(compile(block, "docs", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)  # noqa: S307 - ours
        if inspect.isawaitable(made):
            await cast("Awaitable[object]", made)


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def test_any_engine_and_what_a_job_tells(
    in_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    days = [
        PageviewQuery(site, aggregates=["visits"], date_to=f"2026-0{month}-28")
        for month in (1, 2)
        for site in ("CDBUGS", "NOBODYS")
    ]
    engine = Engine()
    names: dict[str, Any] = {"engine": engine, "task": batches(days[:1])[0].to_json()}
    async with FathomServer(reports_throttle=None) as server:
        for name, value in {
            "FATHOM_API_TOKEN": "any",
            "FATHOM_BASE_URL": server.url,
            "FATHOM_BUDGET": f"file://{in_folder}/budget",
            "FATHOM_STORE": str(in_folder / "reports.db"),
        }.items():
            monkeypatch.setenv(name, value)
        await run(section("Any engine"), names)
        assert json.loads(names["answer"][0]["rows"])[0]["visits"] is not None
        engine.clients = WorkerClients()
        names["todo"] = interleaved([batches(days)])
        assert isinstance(names["fleet"], Fleet)
        await run(section("Before, during and after a job"), names)
        await engine.clients.aclose()
    assert "4 queries in at most 4 requests" in capsys.readouterr().out
    failed: Sequence[Json] = json.loads((in_folder / "failed.json").read_text())
    assert {query.site_id for each in failed for query in Batch.from_json(each).queries} == {"NOBODYS"}
    assert len(names["ended"]) == len(engine.tasks)
    assert not asyncio.all_tasks() - {asyncio.current_task()}
