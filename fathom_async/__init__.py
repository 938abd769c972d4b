"""Async client for the Fathom Analytics API with a rate-limit-aware scheduler."""

from fathom_async._util.lazy import public
from fathom_async._util.moved import renamed

_find, __dir__, __all__ = public(__name__)
__getattr__ = renamed(__name__, {"Keeping": "CachePolicy"}, _find)
