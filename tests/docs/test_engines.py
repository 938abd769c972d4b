"""The modules of ``docs/engines.md`` work: Celery with a real worker, the others with stand-ins for their engines.

Arq needs an older redis than taskiq-redis does, and Airflow has hundreds of requirements.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from fathom_async import NotFoundError, PageviewQuery
from fathom_async._bulk.results import Outcome
from fathom_async.testing import FathomServer
from tests.support.redis_server import RedisServer

if TYPE_CHECKING:
    from fathom_async.integrations.fleet import Fleet

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "engines.md").read_text("utf8")
QUERIES = [
    PageviewQuery(site, aggregates=["visits"], date_to=f"2026-0{month}-28", limit=month)
    for month in (1, 2, 3)
    for site in ("CDBUGS", "NOBODYS")
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the modules of the page, which can be imported."""
    names: list[str] = []
    for name, text in re.findall(r"```python\n# (\w+)\.py\n(.*?)```", PAGE, re.DOTALL):
        (tmp_path / f"{name}.py").write_text(text)
        names.append(name)
    assert names == ["celery_jobs", "arq_jobs", "airflow_jobs"]
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    for name in names:
        sys.modules.pop(name, None)


def set_up(monkeypatch: pytest.MonkeyPatch, server: FathomServer, queue: str, folder: Path) -> None:
    for name, value in {
        "FATHOM_API_TOKEN": "any",
        "FATHOM_BASE_URL": server.url,
        "FATHOM_BUDGET": f"file://{folder}/budget",
        "FATHOM_STORE": str(folder / "reports.db"),
        "QUEUE": queue,
    }.items():
        monkeypatch.setenv(name, value)


def check(outcomes: Sequence[Outcome[Any]], server: FathomServer) -> None:
    assert [type(each.error) for each in outcomes] == [type(None), NotFoundError] * 3
    assert [outcome.query for outcome in outcomes] == QUERIES
    assert sum(hit.lane == "reports" for hit in server.hits) == 6


@pytest.mark.slow
@pytest.mark.xdist_group("workers")
@pytest.mark.filterwarnings("default")  # of Celery
async def test_celery(folder: Path, mortal_redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FathomServer(reports_throttle=None) as server:
        set_up(monkeypatch, server, mortal_redis.url, folder)
        command = ["celery", "-A", "celery_jobs", "worker", "--pool", "threads", "--concurrency", "8"]
        worker = subprocess.Popen(  # noqa: ASYNC220 - it only starts
            [sys.executable, "-m", *command, "-l", "WARNING"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        try:
            fleet: Fleet = import_module("celery_jobs").fleet
            check(await fleet.outcomes(QUERIES), server)
        finally:
            worker.terminate()
            assert await asyncio.to_thread(worker.wait, 60) == 0


class Pool:
    """Stands in for a connection of arq, and for its worker."""

    def __init__(self, settings: Any, dumps: Callable[[object], bytes]) -> None:
        self._settings = settings
        self._dumps = dumps
        self.context: dict[str, Any] = {}

    async def enqueue_job(self, name: str, task: object) -> object:
        async def result(timeout: float) -> object:  # noqa: ASYNC109 - as arq does
            assert timeout > 120
            (function,) = self._settings.functions
            assert function.__name__ == name
            answer = await function(self.context, self._settings.job_deserializer(self._dumps(task)))
            return json.loads(self._dumps(answer))

        return SimpleNamespace(result=result)


async def test_arq(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def create_pool(
        settings: object, job_serializer: Callable[[object], bytes], job_deserializer: object
    ) -> Any:
        assert (settings, job_deserializer) == ("settings of redis://queue", json.loads)
        return asyncio.sleep(0, Pool(import_module("arq_jobs").WorkerSettings, job_serializer))

    dsn = SimpleNamespace(from_dsn="settings of {}".format)
    stand_in(monkeypatch, "arq", create_pool=create_pool)
    stand_in(monkeypatch, "arq.connections", RedisSettings=dsn, ArqRedis=Pool)
    async with FathomServer(reports_throttle=None) as server:
        set_up(monkeypatch, server, "redis://queue", folder)
        jobs: Any = import_module("arq_jobs")
        pool = await jobs.connected()
        await jobs.WorkerSettings.on_startup(pool.context)
        check(await jobs.fleet_on(pool).outcomes(QUERIES), server)
        await jobs.WorkerSettings.on_shutdown(pool.context)


class Mapped:
    """Stands in for a task of Airflow, which runs at once; what it is given and returns must be JSON."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *values: object) -> object:
        return json.loads(json.dumps(self._function(*json.loads(json.dumps(values)))))

    def expand(self, *, value: Sequence[object]) -> list[object]:
        return [self(each) for each in value]


async def test_airflow(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def task(function: Callable[..., object] | None = None, **_: object) -> object:
        return Mapped if function is None else Mapped(function)

    def dag(**_: object) -> Callable[[object], object]:
        return lambda function: function

    stand_in(monkeypatch, "airflow")
    stand_in(monkeypatch, "airflow.sdk", task=task, dag=dag)
    async with FathomServer(reports_throttle=None) as server:
        set_up(monkeypatch, server, "", folder)
        await asyncio.to_thread(import_module, "airflow_jobs")
        assert sum(hit.lane == "reports" for hit in server.hits) == 1
    assert re.search(r"^\[\{'site': 'CDBUGS', 'visits': \d+\}\]$", capsys.readouterr().out, re.MULTILINE)


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **names: object) -> None:
    module = ModuleType(name)
    vars(module).update(cast("dict[str, Any]", names))
    monkeypatch.setitem(sys.modules, name, module)
