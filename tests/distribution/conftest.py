"""The built distributions, as users install them. `make dist` runs these tests, which need a package index."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parents[2]
DIST = os.environ.get("DIST")

collect_ignore_glob = [] if DIST else ["test_*.py"]


@attrs.frozen
class CleanEnvironment:
    """A virtual environment with only the distribution and its dependencies, in the locked versions.

    Args:
        directory: Where it is.
        constraints: The locked versions.
    """

    directory: Path
    constraints: Path

    def run(self, *command: str, within: Path | None = None) -> str:
        """Run one of its programs, away from this repository, and return what it writes."""
        hidden = ("PYTHON", "COVERAGE", "VIRTUAL_ENV", "FATHOM")
        environ = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        environ |= {"PIP_CONSTRAINT": str(self.constraints), "PIP_BUILD_CONSTRAINT": str(self.constraints)}
        program, *arguments = command
        done = subprocess.run(
            [str(self.directory / "bin" / program), *arguments],
            cwd=within or self.directory,
            env=environ,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="session")
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], CleanEnvironment]:
    """Make an environment with pip alone."""
    constraints = tmp_path_factory.mktemp("locked") / "constraints.txt"
    locked = re.findall(
        r"^[\w.-]+==.*?(?= \\$)", (ROOT / "locks" / "dev.txt").read_text("utf-8"), re.MULTILINE
    )
    constraints.write_text("\n".join(locked), "utf-8")

    def make() -> CleanEnvironment:
        directory = tmp_path_factory.mktemp("clean")
        subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True)
        return CleanEnvironment(directory, constraints)

    return make


def built(pattern: str) -> Path:
    """Return the one distribution that `make dist` has built of this kind."""
    (found,) = Path(DIST or "").resolve().glob(pattern)
    return found


@pytest.fixture(scope="session")
def wheel() -> Path:
    """The wheel."""
    return built("*.whl")


@pytest.fixture(scope="session")
def sdist() -> Path:
    """The source distribution."""
    return built("*.tar.gz")
