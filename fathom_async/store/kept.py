"""The former place of names that are in `fathom_async.store` now."""

from collections.abc import Callable

from fathom_async._util.moved import moved

__getattr__: Callable[[str], object] = moved(__name__, "fathom_async.store")
