"""Names and modules that load when they are first used. A package's ``__init__.pyi`` lists its public names."""

import ast
import builtins
import sys
from collections.abc import Callable
from importlib import import_module
from pkgutil import get_data
from typing import Any


def public(package: str) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package, as the stub beside its ``__init__.py`` says.

    ``__all__`` leaves out what would hide a name of Python's own.
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


def optional(module: str, *, extra: str) -> Any:  # noqa: ANN401 - a module that may not be there has no type
    """Import a module of an optional dependency; if it is not installed, an `ImportError` names the extra."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        raise ImportError(
            f'{error.name} is not installed; for this, pip install "fathom_async[{extra}]"', name=error.name
        ) from None
