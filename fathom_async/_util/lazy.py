"""Public names that load when they are first used; ``__init__.pyi`` is the only list of them."""

import ast
import builtins
import sys
from collections.abc import Callable
from importlib import import_module
from pkgutil import get_data


def public(package: str) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package, as its stub says.

    ``__all__`` leaves out what would hide a name of Python's own.

    Args:
        package: Name of the package; the stub beside its ``__init__.py`` imports every public name from its module.
    """
    stub = ast.parse(get_data(package, "__init__.pyi") or b"")
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    homes = {each.name: node.module or "" for node in imports for each in node.names}
    shown = sorted(name for name in homes if not hasattr(builtins, name))

    def find(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(import_module(homes[name]), name)
        setattr(sys.modules[package], name, found)
        return found

    def listed() -> list[str]:
        return sorted({*vars(sys.modules[package]), *shown})

    return find, listed, shown
