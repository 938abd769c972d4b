"""The lock files are what ``pyproject.toml`` declares, for every system and Python that it supports."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import chain
from pathlib import Path
from typing import cast

import attrs
import pytest
from packaging.markers import Environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
LOCKS = [ROOT / "locks" / name for name in ("demo.txt", "dev.txt", "lowest.txt")]
DEMO, DEV, LOWEST = LOCKS
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
SYSTEMS = (("linux", "posix", "Linux"), ("darwin", "posix", "Darwin"), ("win32", "nt", "Windows"))

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
CORE = [Requirement(each) for each in PROJECT["project"]["dependencies"]]
EXTRAS = {
    name: [Requirement(each) for each in declared]
    for name, declared in PROJECT["project"]["optional-dependencies"].items()
}
PUBLISHED = [*CORE, *chain.from_iterable(EXTRAS.values())]
PLACES = [
    pytest.param(
        Environment(
            implementation_name="cpython",
            implementation_version=f"{python}.5",
            os_name=name,
            platform_machine="",
            platform_release="",
            platform_system=system,
            platform_version="",
            python_full_version=f"{python}.5",
            platform_python_implementation="CPython",
            python_version=python,
            sys_platform=platform,
        ),
        id=f"{python}-{platform}",
    )
    for python in PYTHONS
    for platform, name, system in SYSTEMS
]


@attrs.frozen
class Entry:
    """One package of a lock file."""

    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def version(self) -> Version:
        (pin,) = self.requirement.specifier
        assert pin.operator == "=="
        return Version(pin.version)


def entries(lock: Path) -> Iterator[Entry]:
    """Read a lock file, each of whose lines without comments is an exact version with its hashes."""
    text = re.sub(r"^ *#.*\n", "", lock.read_text("utf-8"), flags=re.MULTILINE)
    for line in text.replace("\\\n", "").splitlines():
        pin, *hashes = line.split(" --hash=sha256:")
        yield Entry(Requirement(pin), tuple(each.strip() for each in hashes))


def pins(lock: Path, place: Environment | None = None) -> dict[str, Version]:
    """Return what is installed in one place (None: in any)."""
    return {
        entry.requirement.name: entry.version
        for entry in entries(lock)
        if place is None
        or entry.requirement.marker is None
        or entry.requirement.marker.evaluate(written(place))
    }


def written(place: Environment) -> dict[str, str | AbstractSet[str]]:
    return {name: str(value) for name, value in place.items()}


def group(name: str) -> Iterator[Requirement]:
    """Return a dependency group with those that it includes."""
    for each in PROJECT["dependency-groups"][name]:
        if isinstance(each, Mapping):
            yield from group(str(cast("Mapping[str, object]", each)["include-group"]))
        else:
            yield Requirement(each)


def assert_satisfied(declared: Iterable[Requirement], installed: Mapping[str, Version]) -> None:
    for each in declared:
        assert each.specifier.contains(installed[canonicalize_name(each.name)]), f"make lock: {each}"


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_file_has_exact_versions_and_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text("utf-8")
    assert [entry for entry in entries(lock) if not entry.hashes] == []
    assert re.findall(r"://|^-|--(?!hash=sha256:[0-9a-f]{64}\b)|(?<= )/|@", text, re.MULTILINE) == []


@pytest.mark.parametrize("place", PLACES)
def test_the_development_environment_is_what_is_declared(place: Environment) -> None:
    assert_satisfied([*PUBLISHED, *group("dev")], pins(DEV, place))


@pytest.mark.parametrize("place", PLACES)
def test_the_demo_has_the_command_line_and_what_installs_the_project(place: Environment) -> None:
    assert_satisfied([*CORE, *EXTRAS["cli"], *group("install")], pins(DEMO, place))


@pytest.mark.parametrize("place", PLACES)
def test_the_tests_install_nothing_of_the_demo_again(place: Environment) -> None:
    assert pins(DEMO, place).items() <= pins(DEV, place).items()


def test_the_lowest_versions_are_tested_and_not_only_declared() -> None:
    locked = pins(LOWEST) | pins(ROOT / "locks" / "floors.txt")  # see `make test-floors`
    for each in PUBLISHED:
        (bound,) = each.specifier
        assert bound.operator == ">="
        assert locked[canonicalize_name(each.name)] == Version(bound.version), f"make lock: {each}"


def test_every_supported_python_is_tested() -> None:
    prefix = "Programming Language :: Python :: 3."
    classified = [each.removeprefix(prefix) for each in PROJECT["project"]["classifiers"] if prefix in each]
    assert tuple(f"3.{minor}" for minor in classified) == PYTHONS
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert f"PYTHONS := {' '.join(PYTHONS)}\n" in makefile


def test_zone_data_come_along_on_every_system() -> None:
    assert [each.marker for each in CORE if each.name == "tzdata"] == [None]
