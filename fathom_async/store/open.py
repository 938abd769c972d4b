"""The former place of names that are in `fathom_async.store` now."""

from fathom_async._util.moved import moved

__getattr__ = moved(__name__, "fathom_async.store")
