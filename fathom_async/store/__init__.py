"""Where answers are kept: in memory, in a SQLite file, or on a Redis server.

async with open_store("reports.db") as store:
async for outcome in fathom.reports.run(queries, store=store, keeping=Keeping(max_age=300)): ...
"""

from fathom_async._cache.entry import Keeping, Kept, namespace
from fathom_async._cache.memory import MemoryStore
from fathom_async._cache.redis import RedisStore
from fathom_async._cache.sqlite import SqliteStore
from fathom_async._cache.store import ReportStore, open_store

__all__ = [
    "Keeping",
    "Kept",
    "MemoryStore",
    "RedisStore",
    "ReportStore",
    "SqliteStore",
    "namespace",
    "open_store",
]
