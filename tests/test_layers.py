"""Imports of the package: no circles, and downwards only, as the table in CONTRIBUTING.md says."""

import ast
import re
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Final

import pytest

import fathom_async

PACKAGE: Final = Path(fathom_async.__file__).parent
CONTRIBUTING: Final = PACKAGE.parent / "CONTRIBUTING.md"
OUTSIDE: Final = {"fathom_async", "fathom_async.__main__"}
"""The package, whose names load when they are used, and the way to run it."""


@cache
def modules() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in PACKAGE.rglob("*.py"):
        parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


@cache
def lazy_names(package: str) -> dict[str, str]:
    """Return the module of each name that a package loads when it is first used."""
    stub = modules()[package].with_suffix(".pyi")
    if not stub.exists():
        return {}
    nodes = [node for node in ast.parse(stub.read_text("utf-8")).body if isinstance(node, ast.ImportFrom)]
    return {each.name: node.module or "" for node in nodes for each in node.names}


def imported_at_once(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield what runs with the module: neither annotations' imports nor those inside of functions."""
    for node in nodes:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            is_negated = isinstance(node.test, ast.UnaryOp)
            yield from imported_at_once(node.body if is_negated else node.orelse)
        elif isinstance(node, ast.ImportFrom) and node.module in modules():
            for each in node.names:
                module = f"{node.module}.{each.name}"
                yield module if module in modules() else lazy_names(node.module).get(each.name, node.module)
        elif isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name in modules())
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from imported_at_once(ast.iter_child_nodes(node))


@cache
def imports() -> dict[str, set[str]]:
    return {
        name: {*imported_at_once(ast.parse(file.read_text("utf-8")).body)} - {name}
        for name, file in modules().items()
    }


def layers() -> dict[str, int]:
    """Return the row of each module or package in the table, from the top."""
    table = CONTRIBUTING.read_text("utf-8").partition("| where |")[2].partition("\n\n")[0]
    rows = [re.findall(r"`([\w/.]+)`", row.split("|")[1]) for row in table.splitlines()[2:]]
    return {
        f"fathom_async.{name.removesuffix('.py').replace('/', '.')}": place
        for place, row in enumerate(rows)
        for name in row
    }


def layer_of(module: str, rows: dict[str, int]) -> int | None:
    while module and module not in rows:
        module = module.rpartition(".")[0]
    return rows.get(module)


def test_no_modules_import_each_other() -> None:
    try:
        TopologicalSorter(imports()).prepare()
    except CycleError as error:
        pytest.fail(f"import circle: {' -> '.join(reversed(error.args[1]))}")


def test_imports_point_down_the_table() -> None:
    rows = layers()
    missing = {name for name in modules() if layer_of(name, rows) is None} - OUTSIDE
    assert not missing, "the table has no row for these"
    upwards = [
        f"{module} imports {other}"
        for module, others in imports().items()
        for other in others - OUTSIDE
        if module not in OUTSIDE and (layer_of(module, rows) or 0) > (layer_of(other, rows) or 0)
    ]
    assert upwards == []


def test_the_embedded_server_and_the_client_know_nothing_of_each_other() -> None:
    testing = {name for name in imports() if name.startswith("fathom_async.testing")}
    used = {each for name in testing for each in imports()[name]} - testing
    values = {"fathom_async._ratelimit.plan", "fathom_async.errors"}
    assert {name for name in used if not name.startswith("fathom_async._util.")} <= values
    users = {name for name, others in imports().items() if others & testing} - testing
    assert all(name.startswith("fathom_async._cli.") for name in users)


def test_imports_are_read() -> None:
    found = imports()
    assert "fathom_async.service" in found["fathom_async.client"]
    assert "fathom_async._reports.report" in found["fathom_async._cli.demo"], "a name that loads lazily"
    assert found["fathom_async._cache.open"] >= {"fathom_async._cache.store"}
