"""The licenses of what users install with this package and its extras: `make licenses` lists them.

It looks at the packages that are installed here, and so at those for this system. A package that names no license in
`ALLOWED` is an error.
"""

import sys
import tomllib
from collections.abc import Mapping
from importlib.metadata import Distribution, distribution
from itertools import chain
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ALLOWED: Final = frozenset(
    {"0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0", "MPL-2.0"}
    | {"PSF-2.0", "Zlib"}
)
"""Licenses that let anybody use the package beside code of their own, as SPDX names them; BSD is one of its two."""

KNOWN: Final[Mapping[str, str]] = {"taskiq-dependencies": "MIT"}
"""Licenses of packages whose metadata name none, as their repositories do."""

_NAMES: Final[Mapping[str, str]] = {
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "Apache v2": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
_APPROVED: Final = "License :: OSI Approved :: "


def licenses(package: Distribution) -> frozenset[str]:
    """Return the licenses that a package names in its expression, its classifiers, or in words; all of them hold.

    Each may be a choice, such as ``MIT OR Apache-2.0``.
    """
    fields: dict[str, list[str]] = {
        name: package.metadata.get_all(name) or [] for name in ("License-Expression", "Classifier", "License")
    }
    expressions = (each.split(" AND ") for each in fields["License-Expression"])
    terms = [term.strip("()") for term in chain.from_iterable(expressions)]
    approved = [each.removeprefix(_APPROVED) for each in fields["Classifier"] if each.startswith(_APPROVED)]
    known = [KNOWN.get(canonicalize_name(package.name), "none")]
    return frozenset(_NAMES.get(each, each) for each in terms or approved or fields["License"] or known)


def is_allowed(package: Distribution) -> bool:
    """Return whether everybody may use the package."""
    return all(ALLOWED.intersection(term.split(" OR ")) for term in licenses(package))


def dependencies(pyproject: Path) -> Mapping[str, Distribution]:
    """Return what a project's dependencies and extras install here, with what those need, by name."""
    project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    left = [
        Requirement(each)
        for each in (*project["dependencies"], *(each for extra in extras for each in extra))
    ]
    seen, found = set[str](), dict[str, Distribution]()
    while left:
        requirement = left.pop()
        name = canonicalize_name(requirement.name)
        for extra in {"", *requirement.extras}:
            if f"{name}[{extra}]" in seen:
                continue
            seen.add(f"{name}[{extra}]")
            found[name] = distribution(name)
            needed = map(Requirement, found[name].requires or [])
            left += [each for each in needed if each.marker is None or each.marker.evaluate({"extra": extra})]
    return dict(sorted(found.items()))


def main() -> int:
    """Write each package with its licenses, and return whether one of them is not allowed."""
    refused = 0
    for name, package in dependencies(Path("pyproject.toml")).items():
        refused += not is_allowed(package)
        told = "" if is_allowed(package) else " (not in ALLOWED)"
        sys.stdout.write(f"{name} {package.version}: {', '.join(sorted(licenses(package)))}{told}\n")
    return int(refused > 0)


if __name__ == "__main__":
    sys.exit(main())
