"""The targets of the Makefile."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)


def test_help_lists_every_target_that_is_for_people() -> None:
    (named,) = re.findall(r"^\.PHONY: (help .*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert {line.split()[0] for line in make("help").stdout.splitlines()} == set(named.split())


@pytest.mark.parametrize(("arguments", "fails"), [((), True), (("MISSING=ok",), False)])
def test_a_python_that_is_missing_is_named_and_fails_unless_it_is_allowed(
    arguments: tuple[str, ...], fails: bool
) -> None:
    done = make("versions", "PYTHONS=3.98 3.99", *arguments)
    assert done.stdout.splitlines()[-1] == "tested: none; missing: 3.98, 3.99"
    assert (done.returncode != 0) is fails


@pytest.mark.parametrize(
    "workflow", sorted((ROOT / ".github" / "workflows").iterdir()), ids=lambda path: path.name
)
def test_workflows_run_targets_that_exist(workflow: Path) -> None:
    phony = re.findall(r"(?m)^\.PHONY: (.*)$", (ROOT / "Makefile").read_text("utf-8"))
    runs = re.findall(r"(?m)run: make (.*)$", workflow.read_text("utf-8"))
    targets = {word for run in runs for word in run.split() if "=" not in word}
    assert targets
    assert targets <= {name for line in phony for name in line.split()}


def test_every_supported_python_has_its_workflow() -> None:
    matrices = re.findall(
        r"(?m)^ +python: \[(.*)\]$", (ROOT / ".github/workflows/systems.yml").read_text("utf-8")
    )
    (pythons,) = re.findall(r"(?m)^PYTHONS := (.*)$", (ROOT / "Makefile").read_text("utf-8"))
    assert [re.findall(r'"([\d.]+)"', each) for each in matrices] == [pythons.split()] * 2
