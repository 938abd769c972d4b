"""Where answers are kept: in memory, in a SQLite file, or on a Redis server.

async with open_store("reports.db") as store:
async for outcome in fathom.reports.run(queries, store=store, keeping=Keeping(max_age=300)): ...
"""

from fathom_async._cache.entry import Kept, answer_key, namespace
from fathom_async._cache.memory import MemoryStore
from fathom_async._cache.open import open_store
from fathom_async._cache.policy import Freshness, Keeping, freshness
from fathom_async._cache.protocol import LEASE, ReportStore
from fathom_async._cache.redis import RedisStore
from fathom_async._cache.sqlite import SqliteStore

__all__ = [
    "LEASE",
    "Freshness",
    "Keeping",
    "Kept",
    "MemoryStore",
    "RedisStore",
    "ReportStore",
    "SqliteStore",
    "answer_key",
    "freshness",
    "namespace",
    "open_store",
]
