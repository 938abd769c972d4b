"""Import paths of an earlier version, which keep working for one version more."""

from collections.abc import Callable
from importlib import import_module
from warnings import warn


def moved(old: str, new: str) -> Callable[[str], object]:
    """Return the ``__getattr__`` of a module whose public names are in another one now.

    Args:
        old: The module that they were in.
        new: The module that they are in.
    """

    def find(name: str) -> object:
        public = import_module(new)
        if name.startswith("_") or not hasattr(public, name):
            raise AttributeError(f"module {old!r} has no attribute {name!r}")
        message = f"{old}.{name} is {new}.{name} now, and its old place goes away with the next version"
        warn(message, DeprecationWarning, stacklevel=2)
        return getattr(public, name)

    return find
