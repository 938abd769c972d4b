"""``docs/command-line.md`` and the command agree; ``test_blocks.py`` parses every example."""

import re
from pathlib import Path

from fathom_async._cli.app import app
from fathom_async._cli.failures import ExitCode

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "command-line.md").read_text("utf-8")
FATHOM = re.compile(r"^\$ (?:.*\| |(?:\w+=\S+ )+)?fathom (?P<arguments>.+)$", re.MULTILINE)


def test_every_exit_code_is_told() -> None:
    told = [int(code) for code in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)]
    assert told == sorted(ExitCode)


def test_every_command_is_told() -> None:
    documented = {line.split()[0] for line in FATHOM.findall(TEXT)}
    assert {name for name in app if not name.startswith("-")} <= documented | {"completion"}
