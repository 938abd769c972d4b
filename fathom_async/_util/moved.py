"""Import paths and names of an earlier version, which keep working for one version more."""

from collections.abc import Callable
from importlib import import_module
from warnings import warn


def moved(old: str, new: str, **renamed: str) -> Callable[[str], object]:
    """Return the ``__getattr__`` of a module whose public names are in another one now.

    Args:
        old: The module that they were in.
        new: The module that they are in.
        **renamed: The new name of each that has another name there.
    """

    def find(name: str) -> object:
        public, there = import_module(new), renamed.get(name, name)
        if name.startswith("_") or not hasattr(public, there):
            raise AttributeError(f"module {old!r} has no attribute {name!r}")
        message = f"{old}.{name} is {new}.{there} now, and its old place goes away with the next version"
        warn(message, DeprecationWarning, stacklevel=2)
        return getattr(public, there)

    return find


def renamed(
    module: str, names: dict[str, str], find: Callable[[str], object] | None = None
) -> Callable[[str], object]:
    """Return the ``__getattr__`` of a module in which some names have changed.

    Args:
        module: The module.
        names: The new name of each old one.
        find: The module's own ``__getattr__``, if it has one.
    """

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
