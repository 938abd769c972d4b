"""``docs/command-line.md``, ``docs/command-line-bulk.md``, ``docs/watch.md`` and the command agree."""

import re
import shlex
from pathlib import Path

import pytest

from fathom_async._cli.app import app
from fathom_async._cli.failures import ExitCode

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "command-line.md").read_text("utf-8")
BULK = (DOCS / "command-line-bulk.md").read_text("utf-8")
WATCH = (DOCS / "watch.md").read_text("utf-8")
FATHOM = re.compile(r"^\$ (?:.*\| |(?:\w+=\S+ )+)?fathom (?P<arguments>.+)$", re.MULTILINE)


def arguments(line: str) -> list[str]:
    """Return the arguments that the shell would pass."""
    lexer = shlex.shlex(re.sub(r"\s+# .*", "", line), posix=True, punctuation_chars="|<>")
    lexer.whitespace_split, lexer.commenters = True, ""
    found: list[str] = []
    for word in lexer:
        if re.fullmatch(r"[|<>]+", word):
            break
        found.append(word)
    return found


@pytest.mark.parametrize("line", FATHOM.findall(TEXT + BULK + WATCH))
def test_every_example_is_understood(line: str) -> None:
    command, *_ = app.parse_args(arguments(line), exit_on_error=False, print_error=False)
    assert command.__module__.startswith("fathom_async._cli."), "it is no help page"


def test_every_exit_code_is_told() -> None:
    told = [int(code) for code in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)]
    assert told == sorted(ExitCode)


def test_every_command_is_told() -> None:
    documented = {line.split()[0] for line in FATHOM.findall(TEXT)}
    assert {name for name in app if not name.startswith("-")} <= documented | {"completion"}
