"""The contents of the wheel and of the source distribution."""

import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.distribution.conftest import ROOT


def package_files() -> set[str]:
    found = (ROOT / "fathom_async").rglob("*")
    return {
        path.relative_to(ROOT).as_posix()
        for path in found
        if path.is_file() and path.parent.name != "__pycache__"
    }


@pytest.fixture
def unpacked(sdist: Path, tmp_path: Path) -> Path:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (directory,) = tmp_path.iterdir()
    return directory


def test_the_wheel_has_the_whole_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name for name in names if ".dist-info/" not in name} == package_files()
    others = (
        "py.typed",
        "__init__.pyi",
        "_cli/commands.toml",
        "_cli/html/page.html",
        "_cli/completion/_fathom",
        "_cli/completion/fathom.bash",
        "_cli/completion/fathom.fish",
        "_ratelimit/shared/step.lua",
        "integrations/mcp_fields.txt",
        "testing/access_log.toml",
        "testing/synthetic.toml",
    )
    assert {f"fathom_async/{name}" for name in others} <= set(names)


def test_the_wheel_is_the_same_from_the_source_distribution_and_from_the_repository(
    wheel: Path, unpacked: Path, tmp_path: Path
) -> None:
    for source in (unpacked, ROOT):
        command = [
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            "--outdir",
            str(tmp_path),
            str(source),
        ]
        subprocess.run(command, check=True, capture_output=True)
        assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_the_source_distribution_has_the_documentation_and_no_tests(unpacked: Path) -> None:
    assert {path.name for path in unpacked.iterdir()} == {
        *("fathom_async", "docs", "benchmarks", "README.md", "CHANGELOG.md", "LICENSE"),
        *("pyproject.toml", "hatch_build.py", "PKG-INFO", ".gitignore"),
    }
    assert [path.name for path in (unpacked / "benchmarks").iterdir()] == ["RESULTS.md"]
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", (unpacked / "README.md").read_text("utf-8"))
    assert links
    assert [link for link in links if not (unpacked / link).is_file()] == []


def test_the_page_of_an_index_has_no_link_that_leads_nowhere(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (metadata,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    text = archive.read(metadata).decode()
    assert "Description-Content-Type: text/markdown\n" in text
    assert re.findall(r"\]\((?!https?://|#)([^)]+)", text) == []
