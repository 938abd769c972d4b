"""Change the code in small ways and see whether a test notices: ``make mutants``.

mutmut makes the changes (*mutants*), each in a function of one module, and runs the module's own quick tests. A
mutant that no test notices *survives*. SURVIVORS.md has a reason for each survivor; this command fails if one has
none, if a reason is about none, or if fewer than `SCORE` of a module's mutants are noticed. mutmut leaves out
properties and other decorated methods, and what is outside of functions; this command, the types of casts.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

from tests.mutation.suites import SUITES, Suite

ROOT: Final = Path(__file__).parents[2]
WORK: Final = ROOT / "build" / "mutants"
SURVIVORS: Final = Path(__file__).parent / "SURVIVORS.md"
SCORE: Final = 0.9

_KILLED: Final = {1, 3, 36, -24, 24, 152, 255}
"""Exit codes of mutants that a test notices, or that come to no end."""

_CONFIGURATION: Final = """
[tool.mutmut]
source_paths = ["fathom_async"]
only_mutate = ["{module}"]
pytest_add_cli_args_test_selection = {tests}
pytest_add_cli_args = ["-p", "no:cacheprovider", "-p", "no:xdist", "-p", "tests.mutation.fresh"]
also_copy = ["README.md", "CHANGELOG.md", "docs", "examples", "benchmarks"]
"""
_CAST: Final = re.compile(r'\bcast\((?:None|"[^"]*"), ')
_NAME: Final = re.compile(r"\.(?:x_|xǁ(?P<owner>\w+)ǁ)(?P<function>\w+)__mutmut_\d+$")


@frozen
class Outcome:
    """What became of the mutants of one module.

    Attributes:
        mutants: Number of mutants.
        survivors: Those that no test noticed, as ``function: before -> after``.
        seconds: How long it took.
    """

    mutants: int
    survivors: Sequence[str]
    seconds: float

    @property
    def score(self) -> float:
        """The fraction that a test noticed."""
        return 1 - len(self.survivors) / max(1, self.mutants)


def run(suite: Suite, at_once: int) -> Outcome:
    """Try all mutants of a module."""
    directory = WORK / suite.name
    shutil.rmtree(directory, ignore_errors=True)
    for name in ("fathom_async", "tests", "docs", "examples", "benchmarks"):
        shutil.copytree(ROOT / name, directory / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "CHANGELOG.md"):
        shutil.copy(ROOT / name, directory)
    settings = _CONFIGURATION.format(module=suite.module, tests=json.dumps(suite.tests))
    (directory / "pyproject.toml").write_text(
        (ROOT / "pyproject.toml").read_text("utf-8") + settings, "utf-8"
    )
    begin = time.monotonic()
    with (directory / "log").open("w") as log:
        done = subprocess.run(
            [sys.executable, "-m", "mutmut", "run", "--max-children", str(at_once)],
            cwd=directory,
            stdout=log,
            stderr=log,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"{suite.name}: mutmut failed; see {directory / 'log'}")
    codes: Mapping[str, int | None] = json.loads(
        (directory / "mutants" / f"{suite.module}.meta").read_text("utf-8")
    )["exit_code_by_key"]
    found = [_described(name, directory) for name, code in codes.items() if code not in _KILLED]
    survivors = [each for each in found if not is_cast(each)]
    return Outcome(len(codes) - len(found) + len(survivors), survivors, time.monotonic() - begin)


def is_cast(described: str) -> bool:
    """Whether a mutant changes only the type that a value is cast to, which does nothing."""
    before, _, after = _CAST.sub("cast(", described.partition(": ")[2]).partition(" -> ")
    return before == after


def _described(name: str, directory: Path) -> str:
    """Return what a mutant changes: names have numbers, which change with the code."""
    shown = subprocess.run(
        [sys.executable, "-m", "mutmut", "show", name],
        cwd=directory,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    before, after = (
        " ".join(
            line[1:].strip() for line in shown.splitlines() if re.match(rf"\{sign}(?!\{sign}\{sign} )", line)
        )
        for sign in "-+"
    )
    found = _NAME.search(name)
    assert found is not None
    function = ".".join(part for part in (found["owner"], found["function"]) if part)
    return f"{function}: {before} -> {after}"


def explained(text: str) -> Mapping[str, Sequence[str]]:
    """Return the survivors that SURVIVORS.md explains, by module."""
    found: dict[str, list[str]] = {}
    module = ""
    for line in text.splitlines():
        if line.startswith("## "):
            module = line.removeprefix("## ").strip("`")
        elif line.startswith("    "):
            found.setdefault(module, []).append(line.strip())
    return found


def faults(outcome: Outcome, reasons: Sequence[str]) -> Iterator[str]:
    """Yield what is wrong with the outcome of a module, given the survivors that have a reason."""
    if outcome.score < SCORE:
        yield f"only {outcome.score:.1%} noticed, less than {SCORE:.0%}"
    yield from (f"survived, without a reason: {each}" for each in outcome.survivors if each not in reasons)
    yield from (
        f"has a reason, but does not survive: {each}" for each in reasons if each not in outcome.survivors
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="MODULE", help=f"of {', '.join(SUITES)}; all by default")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1, help="mutants at once")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - SUITES.keys():
        parser.error(f"unknown module: {', '.join(sorted(unknown))}")
    reasons = explained(SURVIVORS.read_text("utf-8"))
    is_good = True
    for name in arguments.names or SUITES:
        outcome = run(SUITES[name], arguments.at_once)
        print(
            f"{SUITES[name].module}: {outcome.mutants} mutants, {outcome.score:.1%} noticed, "
            f"{len(outcome.survivors)} survived, {outcome.seconds:.0f} s",
            flush=True,
        )
        for fault in faults(outcome, reasons.get(SUITES[name].module, ())):
            print(f"  {fault}", flush=True)
            is_good = False
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
