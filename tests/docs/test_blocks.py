"""Every block of code of the README and the guides is run or parsed, or says here why it is not."""

import asyncio
import configparser
import io
import json
import re
import shlex
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from importlib import import_module
from importlib.metadata import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from attrs import frozen

from fathom_async import FathomClient, PageviewQuery
from fathom_async._cli.app import app
from fathom_async.integrations.batches import batches
from fathom_async.integrations.fleet import Fleet
from fathom_async.integrations.workers import WorkerClients
from fathom_async.jobs import load_jobs
from fathom_async.testing import Dataset, FathomServer
from fathom_async.watch import load_rules
from tests.support.documentation import DOCS, compiled, run

ROOT: Final = DOCS.parent
PAGES: Final = [*(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING")), *sorted(DOCS.rglob("*.md"))]

RUN_BY: Final = {
    "applications.md": "test_guides.py",
    "bulk-jobs.md": "test_guides.py",
    "connectors.md": "test_connectors.py",
    "migrating.md": "test_guides.py",
    "networks.md": "test_networks.py",
    "notebooks.md": "test_guides.py",
    "operations.md": "test_operations.py",
    "python.md": "test_python.py",
    "services.md": "test_services.py",
    "testing.md": "test_guides.py",
    "warehouse.md": "test_guides.py",
    "watch.md": "test_watch.py",
}
"""Pages all of whose Python is run by a test of their own."""

ELSEWHERE: Final = {
    "import asyncio\n\nfrom fathom_async import FathomClient, PageviewQuery, Site": "test_readme.py",
    "import pytest\n": "test_readme.py",
    "# celery_jobs.py": "test_engines.py",
    "# arq_jobs.py": "test_engines.py",
    "# airflow_jobs.py": "test_engines.py",
    "from distributed import Client": "needs a scheduler: tests/integrations/test_dask.py has the same calls",
    "# fathom_worker.py": "needs a scheduler",
    "await broker.startup()": "needs Redis and a worker: tests/integrations/test_taskiq.py has the same calls",
    "from zlib import crc32": "needs Redis and a worker: tests/integrations/test_taskiq.py has the same calls",
}
"""By how it begins, a block that is run elsewhere, or is not run."""

UNREAD: Final = {
    "text": "no code: output, or what is replaced",
    "nginx": "needs nginx",
    "dockerfile": "needs Docker",
    "promql": "test_metrics.py looks its metrics up",
}
"""Languages that are not parsed here."""

OTHER_PROGRAMS: Final = {"arq", "celery", "dask", "docker", "gunicorn", "jq", "pass", "taskiq", "uvicorn"}
"""Programs of others, whose arguments are not checked here; those of operations.md are, in test_operations.py."""


@frozen
class Block:
    """One block: its page, its language and its text."""

    page: Path
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}: {self.text[:30]!r}"


def found() -> Iterator[Block]:
    for page in PAGES:
        for language, text in re.findall(r"(?ms)^ *```([^\n]*)\n(.*?)^ *```$", page.read_text("utf-8")):
            if not language.startswith("{"):
                yield Block(page, language, text)


BLOCKS: Final = [*found()]
PYTHON: Final = [block for block in BLOCKS if block.language == "python"]


def read_toml(text: str) -> None:
    match tomllib.loads(text):
        case {"job": _}:
            assert load_jobs(io.BytesIO(text.encode()), now=datetime(2026, 3, 20))  # noqa: DTZ001
        case {"rule": _}:
            assert load_rules(io.BytesIO(text.encode()))
        case {"tool": tools}:
            assert tools.keys() == {"pytest"}
        case settings:
            assert settings.keys() <= {"site", "plan", "budget", "store", "base_url"}


def read_ini(text: str) -> None:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read_string(re.sub(r"\\\n\s*", "", text))
    assert parser.sections()


def read_shell(text: str) -> None:
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    if any(line.startswith("$ ") for line in lines):  # what does not begin so is output
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    for line in lines:
        for words in commands(line):
            check_command(words)


def commands(line: str) -> Iterator[list[str]]:
    """Yield the words of each command of a line, without variables and redirections."""
    lexer = shlex.shlex(re.sub(r"(^|\s)# .*", "", line), posix=True, punctuation_chars="|<>&;")
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    is_file = False
    for word in [*lexer, ";"]:
        if word in {"|", "&&", ";"}:
            if words:
                yield words
            words = []
        elif not is_file and word not in {"<", ">"} and (words or not re.match(r"[A-Z_]+=", word)):
            words.append(word)
        is_file = word in {"<", ">"}


def check_command(words: list[str]) -> None:
    program, *arguments = words
    match program:
        case "fathom" if arguments != ["--help"]:
            command, *_ = app.parse_args(arguments, exit_on_error=False, print_error=False)
            assert command.__module__.startswith("fathom_async._cli."), "it is no help page"
        case "pip":
            extras = set(re.findall(r"\w+", "".join(re.findall(r"\[(.*?)\]", " ".join(arguments)))))
            assert extras <= set(metadata("fathom_async").get_all("Provides-Extra") or ())
        case "make":
            targets = re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"))
            assert {word for word in arguments if re.fullmatch(r"[a-z-]+", word)} <= {*targets}
        case "export":
            known = (ROOT / "docs").rglob("*.md")
            named = re.findall(r"([A-Z_]+)=", " ".join(arguments))
            assert named
            assert all(any(f"`{name}`" in page.read_text("utf-8") for page in known) for name in named[:1])
        case _:
            assert program in OTHER_PROGRAMS


READERS: Final[Mapping[str, Callable[[str], object]]] = {
    "toml": read_toml,
    "json": json.loads,
    "yaml": lambda text: import_module("yaml").safe_load(text),
    "ini": read_ini,
    "sh": read_shell,
    "console": read_shell,
}


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language in READERS], ids=str)
def test_what_is_not_python_is_read(block: Block) -> None:
    READERS[block.language](block.text)


def test_every_other_block_has_a_reason() -> None:
    assert {block.language for block in BLOCKS} - {*READERS, "python"} == {*UNREAD}
    for start in ELSEWHERE:
        assert any(block.text.startswith(start) for block in PYTHON), start


def test_every_page_with_python_is_run_here_or_named_by_a_test() -> None:
    pages = {block.page.name for block in PYTHON}
    for page, test in RUN_BY.items():
        assert page in (Path(__file__).parent / test).read_text("utf-8"), page
    assert {*RUN_BY} | {*HERE} == pages


HERE: Final = [
    "README.md",
    "engines.md",
    "fastapi.md",
    "many-machines.md",
    "mcp.md",
    "metrics.md",
    "rate-limits.md",
]


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[dict[str, Any]]:
    """The names that the pages assume, and a server that the environment leads to."""
    monkeypatch.chdir(tmp_path)
    async with FathomServer(data=Dataset.synthetic(days=3), reports_throttle=None) as server:
        for name, value in {
            "FATHOM_API_TOKEN": "any",
            "FATHOM_BASE_URL": server.url,
            "FATHOM_BUDGET": f"file://{tmp_path}/budget",
            "FATHOM_STORE": str(tmp_path / "store.db"),
        }.items():
            monkeypatch.setenv(name, value)
        queries = [PageviewQuery("CDBUGS", aggregates=[each]) for each in ("visits", "uniques")]
        clients = WorkerClients()
        fleet, todo = Fleet(clients.answer), batches(queries)
        engine = SimpleNamespace(
            fleet=fleet, connected=partial(asyncio.sleep, 0, "redis"), fleet_on={"redis": fleet}.get
        )
        async with FathomClient.from_env() as fathom:
            yield {
                "FathomClient": FathomClient,
                "arq_jobs": engine,
                "celery_jobs": engine,
                "engine": engine,
                "fathom": fathom,
                "fleet": fleet,
                "queries": queries,
                "task": todo[0].to_json(),
                "todo": todo,
                "token": "any",
            }
        await clients.aclose()


@pytest.mark.parametrize("page", HERE)
async def test_the_python_of_a_page_runs_in_its_order(
    page: str, world: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for block in PYTHON:
        if block.page.name == page and not block.text.startswith(tuple(ELSEWHERE)):
            await run(block.text.replace("/var/lib/app", str(tmp_path)), world)
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_compiles(block: Block) -> None:
    compiled(block.text)
