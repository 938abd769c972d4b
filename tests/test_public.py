"""The public modules: users import only these."""

import ast
import re
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import fathom_async

ROOT = Path(__file__).parent.parent
PACKAGE = Path(fathom_async.__file__).parent
PUBLIC = [
    "fathom_async",
    "fathom_async.backfill",
    "fathom_async.client",
    "fathom_async.connectors",
    "fathom_async.connectors.emma",
    "fathom_async.connectors.secoda",
    "fathom_async.connectors.sync",
    "fathom_async.errors",
    "fathom_async.integrations",
    "fathom_async.integrations.batches",
    "fathom_async.integrations.charts",
    "fathom_async.integrations.dask",
    "fathom_async.integrations.dlt",
    "fathom_async.integrations.fastapi",
    "fathom_async.integrations.fleet",
    "fathom_async.integrations.mcp",
    "fathom_async.integrations.opentelemetry",
    "fathom_async.integrations.prometheus",
    "fathom_async.integrations.rich",
    "fathom_async.integrations.stopping",
    "fathom_async.integrations.taskiq",
    "fathom_async.integrations.workers",
    "fathom_async.jobs",
    "fathom_async.models",
    "fathom_async.reports",
    "fathom_async.service",
    "fathom_async.store",
    "fathom_async.telemetry",
    "fathom_async.testing",
    "fathom_async.testing.plugin",
    "fathom_async.watch",
]
# Class names with more than one definition, and why; everything else has one name for one thing.
SAME_NAME = {
    "Batch": "public in two packages that nobody imports together: events of Emma, queries of a worker",
    "Change": "public in two packages: of a report against another, and of a sync",
    "Destination": "public in two packages: of a backfill's rows, and of a sync's events",
    "Event": "the API's object, and its record in the embedded server's dataset",
    "Milestone": "the API's object, and its record in the embedded server's dataset",
    "Site": "the API's object, and its record in the embedded server's dataset",
    "Health": "a model of the FastAPI integration; private in the shared budget",
    "RedisStore": "public: of answers; private: of budgets, beside FileStore",
}


def modules() -> Iterator[str]:
    for file in PACKAGE.rglob("*.py"):
        parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(source: str) -> Iterator[str]:
    """Yield each module of the package that some code imports from."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (each.name for each in node.names)


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_everything_that_is_not_listed_is_private() -> None:
    shown = {name for name in modules() if not any(part.startswith("_") for part in name.split("."))}
    assert shown == {*PUBLIC}


def test_no_class_name_has_two_meanings() -> None:
    defined = Counter(
        node.name
        for file in PACKAGE.rglob("*.py")
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert {name for name, times in defined.items() if times > 1} == {*SAME_NAME}


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_documentation_imports_what_is_public_only(page: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    used = {name for block in blocks for name in imported(block) if name.startswith("fathom_async")}
    assert used <= {*PUBLIC}


def test_examples_import_what_is_public_only() -> None:
    sources = [file.read_text("utf-8") for file in (ROOT / "examples").rglob("*.py")]
    used = {name for source in sources for name in imported(source) if name.startswith("fathom_async")}
    assert used <= {*PUBLIC}
    assert used


def test_the_command_line_imports_what_is_public_only() -> None:
    """It uses what users can use, besides itself and `_util`."""
    sources = [file.read_text("utf-8") for file in (PACKAGE / "_cli").rglob("*.py")]
    used = {name for source in sources for name in imported(source) if name.startswith("fathom_async")}
    own = {name for name in used if name.startswith(("fathom_async._cli", "fathom_async._util."))}
    assert used - own <= {*PUBLIC}
    assert own, "it is looked at"


def test_clients_of_other_services_are_written_with_what_is_public() -> None:
    """They show that `fathom_async.service` is enough."""
    sources = [file.read_text("utf-8") for file in (PACKAGE / "connectors").rglob("*.py")]
    used = {name for source in sources for name in imported(source) if name.startswith("fathom_async")}
    own = {name for name in used if name.startswith(("fathom_async.connectors", "fathom_async._util"))}
    assert used - own <= {*PUBLIC}
    assert "fathom_async.service" in used


def test_a_service_of_ones_own_needs_nothing_private() -> None:
    service = import_module("fathom_async.service")
    assert {"Request", "Response", "ServiceClient", "Service", "Transport"} <= {*service.__all__}
    assert all(hasattr(service, name) for name in service.__all__)


def run(code: str, path: Path) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(path)},
    )
    return ended.stdout.strip()


@pytest.mark.parametrize("package", ["fathom_async", "fathom_async.testing"])
def test_every_name_of_a_stub_loads_from_where_the_stub_says(package: str) -> None:
    module = import_module(package)
    stub = ast.parse((Path(str(module.__file__)).parent / "__init__.pyi").read_text("utf-8"))
    names = [
        (node.module, each) for node in stub.body if isinstance(node, ast.ImportFrom) for each in node.names
    ]
    for home, each in names:
        assert home is not None
        assert each.asname == each.name, "what has no `as` is private to type checkers"
        assert getattr(module, each.name) is getattr(import_module(home), each.name)
    assert {each.name for _, each in names} - {"TimeoutError"} == {*module.__all__} <= {*dir(module)}
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'Nothing'"):
        _ = module.Nothing


def test_a_wildcard_import_leaves_the_names_of_python_alone() -> None:
    names: dict[str, object] = {}
    exec("from fathom_async import *", names)  # noqa: S102 - there is no other place for it than a module
    assert "FathomClient" in names
    assert "TimeoutError" not in names


def test_importing_the_package_loads_nothing_that_it_does_not_need() -> None:
    code = "import sys, fathom_async.testing; print([*{'aiohttp', 'attrs', 'msgspec', 'asyncio'} & {*sys.modules}])"
    assert run(code, ROOT) == "[]"


def test_names_load_from_a_zip_file_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        for file in PACKAGE.rglob("*.py*"):
            if file.suffix in (".py", ".pyi"):
                archive.write(file, file.relative_to(PACKAGE.parent))
    code = "from fathom_async import Priority; print(Priority.BULK.name, Priority.__module__)"
    assert run(code, tmp_path / "app.zip") == "BULK fathom_async._ratelimit.plan"
