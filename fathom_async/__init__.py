"""Async client for the Fathom Analytics API with a rate-limit-aware scheduler."""

from fathom_async._util.lazy import public

__getattr__, __dir__, __all__ = public(__name__)
