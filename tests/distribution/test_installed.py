"""The distributions work in clean environments."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fathom_async._version import __version__
from tests.distribution.conftest import ROOT, CleanEnvironment

REQUEST = """
import asyncio, sys
from importlib.resources import files

from fathom_async import FathomClient, PageviewQuery
from fathom_async.testing import FathomServer

async def main():
    async with FathomServer() as server, FathomClient("any", base_url=server.url) as fathom:
        report = await fathom.reports.aggregate(PageviewQuery("CDBUGS", aggregates=["pageviews"]))
        assert report.rows[0].pageviews > 0

asyncio.run(main())
assert files("fathom_async").joinpath("py.typed").is_file()
print(sys.modules["fathom_async"].__file__)
"""
USE = """
import pytest
from fathom_async import FathomClient

@pytest.mark.asyncio
async def test_it(fathom_server):
    async with FathomClient("any", base_url=fathom_server.url) as fathom:
        assert (await fathom.account.get()).name
"""
INSTALL = re.compile(r"^pip install ([^#\n]+)", re.MULTILINE)


@pytest.fixture(scope="module")
def installed(clean_environment: Callable[[], CleanEnvironment], wheel: Path) -> CleanEnvironment:
    """The wheel without extras."""
    environment = clean_environment()
    environment.run("pip", "install", "--quiet", str(wheel))
    return environment


def test_a_request_is_answered_with_the_core_alone(installed: CleanEnvironment) -> None:
    where = installed.run("python", "-c", REQUEST).strip()
    assert Path(where).is_relative_to(installed.directory)
    assert "No broken requirements" in installed.run("pip", "check")


def test_an_extra_is_added_as_the_messages_say(installed: CleanEnvironment) -> None:
    installed.run("pip", "install", "--quiet", "fathom_async[cli]")
    assert installed.run("fathom", "--version").strip() == __version__
    assert "report" in installed.run("fathom", "--help")


def test_the_fixture_is_there_wherever_pytest_is(installed: CleanEnvironment, tmp_path: Path) -> None:
    installed.run("pip", "install", "--quiet", "pytest", "pytest-asyncio")
    (tmp_path / "test_use.py").write_text(USE, "utf-8")
    assert "1 passed" in installed.run("pytest", "-q", within=tmp_path)


def test_a_clone_is_installed_as_the_documentation_says(
    clean_environment: Callable[[], CleanEnvironment],
) -> None:
    lines = [line.strip() for line in INSTALL.findall((ROOT / "README.md").read_text("utf-8"))]
    assert lines == [".", '".[cli]"']
    environment = clean_environment()
    for line in lines:
        environment.run("pip", "install", "--quiet", line.strip('"'), within=ROOT)
    assert environment.run("fathom", "--version").strip() == __version__


def test_the_types_of_the_wheel_are_those_that_users_rely_on(
    installed: CleanEnvironment, tmp_path: Path
) -> None:
    """The files of a consumer, which `make types` checks beside the source, checked where only the wheel is."""
    files = [tmp_path / name for name in ("accepted.py", "rejected.py")]
    for file in files:
        shutil.copy(ROOT / "tests" / "typing" / file.name, file)
    (tmp_path / "pyrightconfig.json").write_text(
        '{"enableTypeIgnoreComments": false, "typeCheckingMode": "strict"}'
    )
    python = str(installed.directory / "bin" / "python")
    for command in (["mypy", "--strict", "--python-executable", python], ["pyright", "--pythonpath", python]):
        done = subprocess.run(
            [sys.executable, "-m", *command, *(file.name for file in files)],
            cwd=tmp_path,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
