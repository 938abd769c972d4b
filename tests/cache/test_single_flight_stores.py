"""Claims in stores: one of all concurrent callers asks, whichever of them are cancelled or fail."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fathom_async import FathomClient, PageviewQuery
from fathom_async._cache.entry import CacheEntry, CachePolicy, answer_key, freshness, namespace
from fathom_async._cache.memory import MemoryStore
from fathom_async._cache.open import open_store
from fathom_async._cache.sqlite import SqliteStore
from fathom_async._cache.store import ReportStore
from fathom_async._reports.report import Report
from fathom_async._reports.rows import PageviewRow
from fathom_async.testing import FathomServer, run_virtual
from tests.cache.once import ask_once


class Server:
    """Answers after a while, and counts."""

    def __init__(self, seconds: float = 0.05, *, failures: int = 0) -> None:
        self.asked = Counter[str]()
        self.answered = Counter[str]()
        self._seconds = seconds
        self._failures = failures

    def ask(self, key: str) -> Callable[[], Awaitable[CacheEntry]]:
        async def answer() -> CacheEntry:
            self.asked[key] += 1
            await asyncio.sleep(self._seconds)
            if self.asked.total() <= self._failures:
                raise LookupError(key)
            self.answered[key] += 1
            return CacheEntry(key.encode(), 1.0)

        return answer

    async def once(self, store: ReportStore, key: str) -> CacheEntry:
        return await ask_once(store, key, self.ask(key), lambda _: True)


async def test_one_asks_for_all(store: ReportStore) -> None:
    server = Server()
    answers = await asyncio.gather(*(server.once(store, f"key {number % 3}") for number in range(60)))
    assert server.asked == {"key 0": 1, "key 1": 1, "key 2": 1}
    assert [kept.body for kept in answers[:3]] == [b"key 0", b"key 1", b"key 2"]
    assert await server.once(store, "key 1") == answers[1]
    assert server.asked.total() == 3


async def test_one_asks_for_the_tasks_of_several_stores(place: str) -> None:
    server = Server()
    async with open_store(place) as store, open_store(place) as other:
        await asyncio.gather(*(server.once(each, "a") for each in [store, other] * 10))
    assert server.asked.total() == 1


async def test_when_the_one_who_asks_fails_the_next_one_asks(store: ReportStore) -> None:
    server = Server(0.01, failures=2)
    outcomes = await asyncio.gather(*(server.once(store, "a") for _ in range(6)), return_exceptions=True)
    assert Counter(type(outcome) for outcome in outcomes) == {LookupError: 2, CacheEntry: 4}
    assert server.asked.total() == 3


async def test_an_answer_that_will_not_do_is_asked_for_anew_by_one(store: ReportStore) -> None:
    await store.put_many({"a": CacheEntry(b"old", 0.0)})
    server = Server()
    calls = (ask_once(store, "a", server.ask("a"), lambda kept: kept.asked_at >= 1.0) for _ in range(9))
    assert set(await asyncio.gather(*calls)) == {CacheEntry(b"a", 1.0)}
    assert server.asked.total() == 1


CALLS = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.integers(0, 12),  # when it begins
        st.none() | st.integers(0, 30),  # after how long it is cancelled
    ),
    min_size=1,
    max_size=8,
)
Calls = list[tuple[str, int, int | None]]


async def carry_out(store: ReportStore, calls: Calls, tick: float, seconds: float) -> None:
    """Make calls and cancel some; check that the others are served, and that nothing is left behind."""
    server = Server(seconds)

    async def call(key: str, begin: int, cancel_after: int | None) -> bool:
        await asyncio.sleep(begin * tick)
        task = asyncio.create_task(server.once(store, key))
        if cancel_after is not None:
            await asyncio.wait([task], timeout=cancel_after * tick)
            task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            assert task.result() == CacheEntry(key.encode(), 1.0)
        return task.cancelled()

    async with store:
        cancelled = await asyncio.gather(*(call(*each) for each in calls))
        async with store.claim("ab") as mine:
            assert mine == {"a", "b"}
    for key in "ab":
        lost = sum(is_lost for is_lost, each in zip(cancelled, calls, strict=True) if each[0] == key)
        assert server.answered[key] <= 1 + lost
        assert server.asked[key] <= 1 + lost
    assert asyncio.all_tasks() == {asyncio.current_task()}


@given(CALLS)
def test_cancelled_callers_leave_nothing_behind_in_memory(calls: Calls) -> None:
    run_virtual(carry_out(MemoryStore(), calls, tick=1.0, seconds=4.5))


@settings(max_examples=25)
@given(CALLS)
def test_cancelled_callers_leave_nothing_behind_in_a_file(calls: Calls) -> None:
    with TemporaryDirectory() as directory:
        store = SqliteStore(Path(directory, "reports.db"), poll_seconds=0.002)
        asyncio.run(carry_out(store, calls, tick=0.0005, seconds=0.003))


async def test_a_call_that_is_cancelled_at_any_step_gives_up_its_claim(store: ReportStore) -> None:
    server = Server(0.0)
    for steps in range(40):
        task = asyncio.create_task(server.once(store, f"key {steps}"))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        async with store.claim([f"key {steps}"]) as mine:
            assert mine


@pytest.mark.parametrize("cancel_at", [0.0, 0.01])
async def test_a_waiter_takes_over_from_a_holder_that_was_cancelled(
    store: ReportStore, cancel_at: float
) -> None:
    server = Server(0.02)
    first = asyncio.create_task(server.once(store, "a"))
    second = asyncio.create_task(server.once(store, "a"))
    await asyncio.sleep(cancel_at)
    first.cancel()
    assert await second == CacheEntry(b"a", 1.0)
    assert server.answered.total() == 1


async def test_an_answer_of_the_server_serves_every_query_that_asks_for_the_same(
    server: FathomServer, fathom: FathomClient, store: ReportStore
) -> None:
    query = PageviewQuery("CDBUGS", aggregates=["pageviews", "visits"], date_to="2020-12-31")
    same = query.replace(aggregates=["visits", "pageviews"])
    space = namespace(server.url, "any")

    async def ask() -> CacheEntry:
        asked_at = time.time()
        return CacheEntry.of(await fathom.reports.aggregate(query), asked_at)

    async def report_of(wanted: PageviewQuery) -> Report[PageviewRow]:
        def is_fresh(kept: CacheEntry) -> bool:
            return freshness(kept, wanted, CachePolicy(), now=time.time(), zone=None) == "fresh"

        return (await ask_once(store, answer_key(space, wanted), ask, is_fresh)).report(wanted)

    reports = await asyncio.gather(*(report_of(each) for each in [query, same] * 5))
    assert len(server.hits) == 1
    assert reports[0] == await fathom.reports.aggregate(query)
    assert reports[1] == await fathom.reports.aggregate(same)
