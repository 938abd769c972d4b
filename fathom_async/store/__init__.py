"""Stores of answers: in memory, in a SQLite file, or on a Redis server.

``fathom.reports.run(queries, store="reports.db", keeping=CachePolicy(max_age=300))`` opens a store by its path or
URL; `open_store` opens one to use by hand, or to share between clients.
"""

from fathom_async._cache.entry import CacheEntry, CachePolicy, Freshness, answer_key, freshness, namespace
from fathom_async._cache.memory import MemoryStore
from fathom_async._cache.open import open_store
from fathom_async._cache.redis import RedisStore
from fathom_async._cache.sqlite import SqliteStore
from fathom_async._cache.store import LEASE, ReportStore

__all__ = [
    "LEASE",
    "CacheEntry",
    "CachePolicy",
    "Freshness",
    "MemoryStore",
    "RedisStore",
    "ReportStore",
    "SqliteStore",
    "answer_key",
    "freshness",
    "namespace",
    "open_store",
]
