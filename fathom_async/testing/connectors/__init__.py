"""Servers of the connectors' services, inside the process, like `FathomServer`.

The names load when they are first used, as those of `fathom_async.testing` do.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fathom_async.testing.connectors._emma import EmmaServer
    from fathom_async.testing.connectors._secoda import SecodaServer

__all__ = ["EmmaServer", "SecodaServer"]

_HOMES = {"EmmaServer": "_emma", "SecodaServer": "_secoda"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
