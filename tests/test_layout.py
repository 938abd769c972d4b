"""Tests are where CONTRIBUTING.md says: `tests/<folder>/test_<module>.py`, with an aspect behind the name."""

from pathlib import Path
from typing import Final

import fathom_async

PACKAGE: Final = Path(fathom_async.__file__).parent
TESTS: Final = Path(__file__).parent
OF_NO_MODULE: Final = {
    "benchmarks",
    "browser",
    "distribution",
    "docs",
    "examples",
    "mutation",
    "site",
    "typing",
}
OF_SEVERAL_MODULES: Final = {
    "backfill/test_time_zones.py",
    "bulk/fusing/test_properties.py",
    "cache/test_processes.py",
    "cli/test_command.py",
    "connectors/sync/test_processes.py",
    "connectors/sync/test_sync.py",
    "ratelimit/shared/test_look.py",
    "ratelimit/shared/test_processes.py",
    "ratelimit/shared/test_stores.py",
    "ratelimit/test_concurrency.py",
    "resources/test_arguments.py",
    "resources/test_single_calls.py",
}


def modules_beside(tests: Path) -> set[str]:
    """Return the modules that the tests of a folder are named after, without underscores."""
    top, *rest = tests.relative_to(TESTS).parts
    folders = [PACKAGE.joinpath(top, *rest), PACKAGE.joinpath(f"_{top}", *rest)]
    folders += [PACKAGE.joinpath(top, *(f"_{name}" for name in rest))]
    found = (file for folder in folders if folder.is_dir() for file in folder.iterdir())
    return {file.stem.lstrip("_") for file in found if not file.stem.startswith("__")}


def test_every_test_is_named_after_a_module() -> None:
    strays = {
        str(file.relative_to(TESTS))
        for file in TESTS.glob("*/**/test_*.py")
        if file.relative_to(TESTS).parts[0] not in OF_NO_MODULE
        and not any(f"{file.stem}_".startswith(f"test_{module}_") for module in modules_beside(file.parent))
    }
    assert strays <= OF_SEVERAL_MODULES
