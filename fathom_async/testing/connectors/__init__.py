"""Servers of the connectors' services, inside the process, like `FathomServer`.

The names load when they are first used, as those of `fathom_async.testing` do.
"""

from fathom_async._util.lazy import public

__getattr__, __dir__, __all__ = public(__name__)
