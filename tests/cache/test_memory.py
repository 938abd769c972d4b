"""The memory store: least recently used entries are dropped when it is full."""

import pytest

from fathom_async._cache.entry import CacheEntry
from fathom_async._cache.memory import MemoryStore
from fathom_async.errors import ArgumentError

KILOBYTE = CacheEntry(bytes(1_000), 1.0)


async def test_the_answers_that_were_not_used_for_the_longest_time_go_first() -> None:
    async with MemoryStore(max_bytes=4_600) as store:
        for key in "abc":
            await store.put_many({key: KILOBYTE})
        await store.get_many(["a"])
        await store.put_many({"d": KILOBYTE})
        assert (await store.get_many("abcd")).keys() == {"a", "c", "d"}


async def test_room_that_is_given_back_is_used_again() -> None:
    async with MemoryStore(max_bytes=4_600) as store:
        for _ in range(10):
            await store.put_many(dict.fromkeys("abc", KILOBYTE))
            await store.delete("ab")
            assert await store.prune(asked_before=2.0) == 1
        await store.put_many(dict.fromkeys("abc", KILOBYTE))
        assert len(await store.get_many("abc")) == 3


async def test_an_answer_that_is_larger_than_all_room_does_not_push_out_the_others() -> None:
    async with MemoryStore(max_bytes=4_600) as store:
        await store.put_many({"a": KILOBYTE, "b": CacheEntry(bytes(5_000), 1.0)})
        assert (await store.get_many("ab")).keys() == {"a"}


async def test_many_small_answers_count_too() -> None:
    async with MemoryStore(max_bytes=100_000) as store:
        await store.put_many({str(number): CacheEntry(b"", 1.0) for number in range(1_000)})
        assert len(await store.get_many(map(str, range(1_000)))) == 200


def test_a_store_needs_room() -> None:
    with pytest.raises(ArgumentError, match="max_bytes must be a number of bytes such as 67108864, not 0"):
        MemoryStore(max_bytes=0)
