"""The protocol of stores, for each backend: memory, file and Redis."""

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest

from fathom_async._cache.entry import SKEW, CacheEntry
from fathom_async._cache.open import open_store
from fathom_async._cache.store import MOST_ANSWERS, ReportStore
from fathom_async.errors import ClosedError

pytestmark = pytest.mark.virtual_time

NOW = time.time()
ANSWER = CacheEntry(
    b'[{"pageviews":7}]', NOW, truncated=True, timezone="Europe/Berlin", drop_after=NOW + 900.5
)


async def claims(store: ReportStore, *keys: str) -> frozenset[str]:
    """Return the keys that are free: claim them, and release the claims at once."""
    async with store.claim(keys) as mine:
        return mine


async def test_what_was_put_is_got(store: ReportStore) -> None:
    other = CacheEntry(b"\x00\xff", 1.25)
    await store.put_many({"a": ANSWER, "b": other})
    assert await store.get_many(["a", "b", "c"]) == {"a": ANSWER, "b": other}
    assert await store.get_many([]) == {}


@pytest.mark.parametrize("size", [0, 511, 512, 200_000])
async def test_an_answer_of_any_size_is_got_as_it_was_put(store: ReportStore, size: int) -> None:
    answer = attrs.evolve(ANSWER, body=b"abc" * (size // 3) + b"d" * (size % 3), subject="site:x", query="{}")
    await store.put_many({"a": answer})
    assert await store.get_many(["a"]) == {"a": answer}
    assert await store.find(["site:x"]) == {"a": attrs.evolve(answer, body=b"")}


async def test_a_thousand_answers_are_put_and_got_at_once(store: ReportStore) -> None:
    answers = {f"key {number}": CacheEntry(b"[]", NOW + number / 8) for number in range(1_234)}
    await store.put_many(answers)
    assert await store.get_many(answers) == answers


@pytest.mark.parametrize("stamps", [(1.0, 2.0), (2.0, 1.0)])
async def test_the_answer_that_was_asked_later_stays(store: ReportStore, stamps: Sequence[float]) -> None:
    for asked_at in stamps:
        await store.put_many(
            {"a": CacheEntry(str(asked_at).encode(), asked_at, drop_after=NOW + 900 + asked_at)}
        )
    assert await store.get_many(["a"]) == {"a": CacheEntry(b"2.0", 2.0, drop_after=NOW + 902.0)}


async def test_an_answer_for_good_takes_the_place_of_one_for_a_while(store: ReportStore) -> None:
    await store.put_many({"a": ANSWER})
    for_good = attrs.evolve(ANSWER, asked_at=NOW + 1, timezone=None, drop_after=None)
    await store.put_many({"a": for_good})
    assert await store.get_many(["a"]) == {"a": for_good}


async def test_an_answer_from_the_future_gives_way(store: ReportStore) -> None:
    await store.put_many({"a": CacheEntry(b"asked when the clock was wrong", NOW + SKEW + 3_600)})
    await store.put_many({"a": ANSWER})
    assert await store.get_many(["a"]) == {"a": ANSWER}


async def test_answers_can_be_forgotten(store: ReportStore) -> None:
    await store.put_many(dict.fromkeys("abc", ANSWER))
    await store.delete(["a", "c", "unknown"])
    assert (await store.get_many("abc")).keys() == {"b"}


async def test_old_answers_can_be_forgotten(store: ReportStore) -> None:
    await store.put_many({"a": CacheEntry(b"", 1.0), "b": CacheEntry(b"", 2.0), "c": CacheEntry(b"", 3.0)})
    assert await store.prune(asked_before=3.0) == 2
    assert (await store.get_many("abc")).keys() == {"c"}
    assert await store.prune(asked_before=3.0) == 0


async def test_a_key_is_claimed_once(store: ReportStore) -> None:
    async with store.claim(["a", "b"]) as mine, store.claim(["b", "c", "c"]) as others:
        assert mine == {"a", "b"}
        assert others == {"c"}
        assert await claims(store, *"abcd") == {"d"}
    assert await claims(store, *"abcd") == {"a", "b", "c", "d"}


async def test_an_answer_ends_the_claim_and_its_holder_does_not_end_the_next(store: ReportStore) -> None:
    async with store.claim(["a", "b"]):
        await store.put_many({"a": ANSWER})
        async with store.claim(["a", "b"]) as next_holder:
            assert next_holder == {"a"}
    async with store.claim(["a"]), store.claim(["a"]) as nobody:
        assert nobody == frozenset()


async def test_the_holder_that_was_overtaken_leaves_the_next_its_claim(store: ReportStore) -> None:
    first = store.claim(["a"])
    await first.__aenter__()
    await store.put_many({"a": ANSWER})
    async with store.claim(["a"]) as second:
        assert second == {"a"}
        await first.__aexit__(None, None, None)
        assert await claims(store, "a") == frozenset()


async def test_nobody_waits_for_a_key_that_is_free(store: ReportStore) -> None:
    await store.wait("a")


@pytest.mark.parametrize("answered", [True, False])
async def test_those_who_wait_go_on_when_the_claim_ends(store: ReportStore, *, answered: bool) -> None:
    async with store.claim(["a", "b"]):
        waiting = [asyncio.create_task(store.wait("a")) for _ in range(50)]
        other = asyncio.create_task(store.wait("b"))
        await asyncio.sleep(0.05)
        assert not any(task.done() for task in [*waiting, other])
        if answered:
            await store.put_many({"a": ANSWER})
            await asyncio.gather(*waiting)
            assert not other.done()
    await asyncio.gather(*waiting, other)


async def test_a_holder_that_fails_or_is_cancelled_gives_up_its_claim(store: ReportStore) -> None:
    async def fail() -> None:
        async with store.claim(["a"]):
            raise LookupError

    holds = asyncio.Event()

    async def hold() -> None:
        async with store.claim(["b"]):
            holds.set()
            await asyncio.Event().wait()

    with pytest.raises(LookupError):
        await fail()
    holder = asyncio.create_task(hold())
    await holds.wait()
    assert await claims(store, "a", "b") == {"a"}
    holder.cancel()
    await asyncio.wait([holder])
    assert await claims(store, "a", "b") == {"a", "b"}


async def test_a_waiter_that_is_cancelled_leaves_nothing_behind(store: ReportStore) -> None:
    before = asyncio.all_tasks()
    async with store.claim(["a"]):
        waiting = [asyncio.create_task(store.wait("a")) for _ in range(3)]
        await asyncio.sleep(0.05)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
    assert all(task.cancelled() for task in waiting)
    await store.aclose()
    assert asyncio.all_tasks() == before


async def test_a_closed_store_turns_everybody_away(store: ReportStore) -> None:
    await store.put_many({"a": ANSWER})
    holding = store.claim(["a"])
    await holding.__aenter__()
    waiting = asyncio.create_task(store.wait("a"))
    await asyncio.sleep(0.05)
    await store.aclose()
    with pytest.raises(ClosedError, match="was closed while"):
        await waiting
    await holding.__aexit__(None, None, None)
    for call in (
        store.get_many(["a"]),
        store.put_many({"a": ANSWER}),
        store.delete(["a"]),
        store.prune(1.0),
        store.wait("a"),
        claims(store, "a"),
    ):
        with pytest.raises(ClosedError, match="the store is closed"):
            await call
    await store.aclose()


async def test_a_store_that_was_never_used_closes(place: str) -> None:
    await open_store(place).aclose()
    await open_store("memory://").aclose()


async def test_answers_outlive_the_store_that_put_them(place: str) -> None:
    async with open_store(place) as store:
        await store.put_many({"a": ANSWER})
    async with open_store(place) as store:
        assert await store.get_many(["a"]) == {"a": ANSWER}


async def test_claims_keep_out_other_stores_and_end_for_them_too(place: str) -> None:
    async with open_store(place) as store, open_store(place) as other:
        async with store.claim(["a", "b"]):
            assert await claims(other, "a", "b", "c") == {"c"}
            waiting = [asyncio.create_task(other.wait(key)) for key in "aab"]
            await asyncio.sleep(0.1)
            assert not any(task.done() for task in waiting)
            await store.put_many({"a": ANSWER})
            await asyncio.gather(*waiting[:2])
            assert not waiting[2].done()
        await waiting[2]
        assert await other.get_many(["a", "b"]) == {"a": ANSWER}


async def test_closing_gives_up_claims(place: str) -> None:
    async with open_store(place) as other:
        store = open_store(place)
        holding = store.claim(["a"])
        await holding.__aenter__()
        assert await claims(other, "a") == frozenset()
        await store.aclose()
        assert await claims(other, "a") == {"a"}
        await holding.__aexit__(None, None, None)


async def test_what_nobody_needs_any_more_goes_by_itself(place: str) -> None:
    async with open_store(place) as store:
        await store.put_many({"a": CacheEntry(b"", NOW - 100, drop_after=NOW - 1), "b": ANSWER})
        await asyncio.sleep(0.01)
        assert await store.get_many(["a", "b"]) == {"b": ANSWER}


def about(subject: str, date_to: str | None = None, asked_at: float = NOW) -> CacheEntry:
    query = json.dumps({"entity": "pageview"} | ({"date_to": date_to} if date_to else {}))
    return CacheEntry(b"[]", asked_at, subject=subject, query=query)


async def test_answers_are_found_by_their_subject_without_their_bodies(store: ReportStore) -> None:
    answers = {"a": about("one:x"), "b": about("one:y"), "c": about("one:x"), "d": ANSWER}
    await store.put_many(answers)
    assert await store.get_many("abcd") == answers
    found = await store.find(["one:x", "two:x"])
    assert found == {key: attrs.evolve(answers[key], body=b"") for key in "ac"}
    await store.delete("a")
    assert (await store.find(["one:x", "one:y"])).keys() == {"b", "c"}


async def test_the_newest_answers_of_a_subject_are_found(store: ReportStore) -> None:
    answers = {str(number): about("one:x", asked_at=NOW + number) for number in range(MOST_ANSWERS + 9)}
    await store.put_many(answers)
    newest = {str(number) for number in range(9, MOST_ANSWERS + 9)}
    assert (await store.find(["one:x"])).keys() == newest


async def test_answers_about_a_site_are_forgotten_if_they_are_chosen(store: ReportStore) -> None:
    answers = {
        "open": about("one:x"),
        "before": about("one:y", "2026-01-31 23:59:59"),
        "then": about("one:y", "2026-02-01 00:00:00"),
        "longer name": about("one two:x"),
        "other": about("two:x", "2026-02-28 23:59:59"),
        "none": ANSWER,
    }
    await store.put_many(answers)
    assert await store.forget("one", lambda kept: kept.query != answers["before"].query) == 2
    assert (await store.get_many(answers)).keys() == {"before", "longer name", "other", "none"}
    assert await store.forget("one", lambda _: True) == 1
    assert await store.find(["one:x", "one:y"]) == {}


class Clock:
    """A clock that the test sets."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


async def test_what_was_asked_for_before_a_site_was_forgotten_is_not_stored(place: str) -> None:
    await check_forgetting_meanwhile(place, Clock(), Clock())


async def test_nor_is_it_stored_in_memory() -> None:
    clock = Clock()
    async with open_store("memory://", clock=clock) as store:
        await check_forgetting(store, store, clock, clock)


@pytest.mark.parametrize("where", ["memory://", "file"])
async def test_what_a_clock_that_was_ahead_forgot_is_stored_again(where: str, tmp_path: Path) -> None:
    clock = Clock(NOW + SKEW + 3_600)
    async with open_store(tmp_path / "answers.db" if where == "file" else where, clock=clock) as store:
        await store.forget("one", lambda _: True)
        clock.now = NOW
        answers = {"a": about("one:x", asked_at=NOW)}
        await store.put_many(answers)
        assert await store.get_many("a") == answers


@pytest.mark.parametrize("ahead", [-SKEW, SKEW])
async def test_the_clocks_of_two_machines_may_differ_when_a_site_is_forgotten(
    ahead: float, empty_redis: str
) -> None:
    await check_forgetting_meanwhile(empty_redis, Clock(), Clock(NOW + ahead))


async def check_forgetting_meanwhile(place: str, here: Clock, there: Clock) -> None:
    async with open_store(place, clock=here) as store, open_store(place, clock=there) as other:
        await check_forgetting(store, other, here, there)


async def check_forgetting(store: ReportStore, other: ReportStore, here: Clock, there: Clock) -> None:
    early = {"a": about("one:x", asked_at=here.now), "b": about("two:x", asked_at=here.now)}
    async with store.claim(["a", "b"]):
        waiting = asyncio.create_task(other.wait("a"))
        for clock in {here, there}:
            clock.now += 5.0
        assert await other.forget("one", lambda _: True) == 0
        for clock in {here, there}:
            clock.now += 5.0
        await store.put_many(early)
        await waiting
        assert (await other.get_many("ab")).keys() == {"b"}
    late = {"a": about("one:x", asked_at=here.now)}
    await store.put_many(late)
    assert await other.get_many("a") == late


async def test_the_end_of_a_claim_that_was_answered_releases_no_later_claim(store: ReportStore) -> None:
    later = store.claim(["a"])
    async with store.claim(["a"]):
        await store.put_many({"a": ANSWER})
        assert await later.__aenter__() == {"a"}
    assert await claims(store, "a") == frozenset()
    await later.__aexit__(None, None, None)
    assert await claims(store, "a") == {"a"}
