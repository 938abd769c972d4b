"""What the README shows works as it stands."""

import asyncio
import os
import re
import sys
import tomllib
from pathlib import Path

import pytest

from fathom_async.testing import FathomServer

README = Path(__file__).parent.parent.joinpath("README.md")


def shown(name: str) -> str:
    found = re.search(
        rf"<!-- {name}: start -->\n```python\n(.*?)```\n<!-- {name}: end -->",
        README.read_text("utf8"),
        re.DOTALL,
    )
    assert found is not None
    return found[1]


async def test_the_first_example_runs_unchanged(tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    script.write_text(shown("example"), "utf8")
    async with FathomServer() as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(script),
            env={**os.environ, "FATHOM_API_TOKEN": "any", "FATHOM_BASE_URL": server.url},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        assert [hit.status for hit in server.hits] == [200] * 4
    for site in server.data.sites:
        assert site.name in output.decode()
    assert "/pricing" in output.decode()


def test_all_extras_are_told_and_no_others() -> None:
    there = tomllib.loads(README.with_name("pyproject.toml").read_text("utf8"))
    told = re.search(r"The extras are (.*?);", README.read_text("utf8"), re.DOTALL)
    assert told is not None
    assert re.findall(r"`(\w+)`", told[1]) == list(there["project"]["optional-dependencies"])


def test_the_first_example_is_twenty_lines() -> None:
    assert len([line for line in shown("example").splitlines() if line.strip()]) <= 20


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_the_two_commands_are_there(command: str) -> None:
    assert command in README.read_text("utf8")
    target = command.removeprefix("make ")
    assert re.search(rf"^{target}:", README.with_name("Makefile").read_text("utf8"), re.MULTILINE)
