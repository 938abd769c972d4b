"""Users may use this package with everything that it installs."""

from importlib.metadata import Distribution
from pathlib import Path

import pytest

from tests.support.licenses import dependencies, is_allowed, licenses

ROOT = Path(__file__).parent.parent


def test_every_dependency_has_a_license_that_is_allowed() -> None:
    found = dependencies(ROOT / "pyproject.toml")
    assert {"aiohttp", "multidict", "dlt", "redis", "keyring"} <= {*found}, (
        "those of extras and of dependencies, too"
    )
    assert "pytest" not in found, "what only developers install is left out"
    assert {name: licenses(each) for name, each in found.items() if not is_allowed(each)} == {}


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("License-Expression", "MIT AND (Apache-2.0 OR GPL-3.0-only)", True),
        ("License-Expression", "MIT AND GPL-3.0-only", False),
        ("Classifier", "License :: OSI Approved :: MIT License", True),
        ("Classifier", "License :: OSI Approved :: GNU General Public License (GPL)", False),
        ("License", "Apache 2.0", True),
        ("License", "Proprietary", False),
        ("Summary", "MIT", False),
    ],
)
def test_what_a_package_names_is_read(field: str, value: str, allowed: bool, tmp_path: Path) -> None:
    (tmp_path / "METADATA").write_text(f"Name: a\n{field}: {value}\n", "utf-8")
    assert is_allowed(Distribution.at(tmp_path)) is allowed
