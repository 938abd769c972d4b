"""Ask once for all concurrent callers of the same answer: tasks, and processes that share a store."""

from collections.abc import Awaitable, Callable

from fathom_async._cache.entry import CacheEntry
from fathom_async._cache.store import ReportStore


async def ask_once(
    store: ReportStore,
    key: str,
    ask: Callable[[], Awaitable[CacheEntry]],
    is_servable: Callable[[CacheEntry], bool],
) -> CacheEntry:
    """Return a kept answer, or ask for it unless somebody else is about to.

    When the one who asks fails, is cancelled or killed, the next of those who wait asks.

    Args:
        store: Where it is kept.
        key: The key of the answer.
        ask: Asks the server.
        is_servable: Whether a kept answer will do. What was asked after the call should: otherwise those who wait
            ask one after the other.

    Raises:
        StoreError: The store cannot be used.
    """
    while True:
        kept = await _servable(store, key, is_servable)
        if kept is not None:
            return kept
        async with store.claim([key]) as mine:
            if mine:
                # Whoever held the claim until now may have put the answer since we looked.
                kept = await _servable(store, key, is_servable)
                if kept is None:
                    kept = await ask()
                    await store.put_many({key: kept})
                return kept
        await store.wait(key)


async def _servable(
    store: ReportStore, key: str, is_servable: Callable[[CacheEntry], bool]
) -> CacheEntry | None:
    kept = (await store.get_many([key])).get(key)
    return kept if kept is not None and is_servable(kept) else None
