"""Import paths and names of an earlier version, which keep working for one version more."""

from collections.abc import Callable
from importlib import import_module
from typing import Final
from warnings import warn

_RENAMED: Final[dict[str, dict[str, str]]] = {}
"""By module, the new name of each old one; a name that was moved and renamed gives one warning."""


def moved(old: str, new: str) -> Callable[[str], object]:
    """Return the ``__getattr__`` of a module whose public names are in another one now, some by other names."""

    def find(name: str) -> object:
        public = import_module(new)
        there = _RENAMED.get(new, {}).get(name, name)
        if name.startswith("_") or not hasattr(public, there):
            raise AttributeError(f"module {old!r} has no attribute {name!r}")
        message = f"{old}.{name} is {new}.{there} now, and its old place goes away with the next version"
        warn(message, DeprecationWarning, stacklevel=2)
        return getattr(public, there)

    return find


def renamed(
    module: str, names: dict[str, str], find: Callable[[str], object] | None = None
) -> Callable[[str], object]:
    """Return the ``__getattr__`` of a module in which old names are new ones, and others are found as by `find`."""
    _RENAMED[module] = names

    def find_renamed(name: str) -> object:
        if name not in names:
            if find is not None:
                return find(name)
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        message = (
            f"{module}.{name} is {module}.{names[name]} now, and its old name goes away with the next version"
        )
        warn(message, DeprecationWarning, stacklevel=2)
        return getattr(import_module(module), names[name])

    return find_renamed
