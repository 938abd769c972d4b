"""The Redis store: expiry, claims, and an unreachable server."""

# pyright: reportPrivateUsage=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import asyncio
import time

import pytest
import redis

from fathom_async._cache import single_flight as claims
from fathom_async._cache.entry import CacheEntry
from fathom_async._cache.redis import RedisStore
from fathom_async.errors import StoreError
from tests.conftest import until
from tests.support.redis_server import RedisServer

NOW = time.time()


@pytest.fixture
def often_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renew claims long before they lapse, however busy the machine is."""
    monkeypatch.setattr(claims, "_RENEWALS", 10_000)


async def test_open_answers_expire_soon_and_those_for_good_in_ten_years(empty_redis: str) -> None:
    async with RedisStore(empty_redis, clock=lambda: NOW) as store:
        await store.put_many(
            {"open": CacheEntry(b"", NOW, drop_after=NOW + 900), "over": CacheEntry(b"", NOW)}
        )
    with redis.Redis.from_url(empty_redis) as server:
        assert server.ttl("fathom:1:answer:{open}") in range(780, 901)
        assert server.ttl("fathom:1:answer:{over}") in range(9 * 365 * 86_400, 10 * 365 * 86_400 + 1)


@pytest.mark.parametrize("order", [1, -1])
async def test_an_answer_is_found_as_long_as_it_is_kept_though_others_of_its_subject_expire(
    empty_redis: str, order: int
) -> None:
    answers = {
        "open": CacheEntry(b"", NOW, drop_after=NOW + 900, subject="site:x"),
        "over": CacheEntry(b"", NOW + 1, drop_after=NOW + 90_000, subject="site:x"),
    }
    async with RedisStore(empty_redis, clock=lambda: NOW) as store:
        for key in list(answers)[::order]:
            await store.put_many({key: answers[key]})
        with redis.Redis.from_url(empty_redis) as server:
            assert server.ttl("fathom:1:about:{site:x}") in range(89_000, 90_001)
            server.expire("fathom:1:answer:{open}", 0)
        assert (await store.find(["site:x"])).keys() == {"over"}


@pytest.mark.usefixtures("often_renewed")
async def test_claims_expire_unless_they_are_renewed(empty_redis: str) -> None:
    async with RedisStore(empty_redis, lease=600) as store:
        with redis.Redis.from_url(empty_redis) as server:
            async with store.claim(["a"]) as mine:
                assert mine
                assert server.ttl("fathom:1:claim:{a}") in range(500, 601)
                server.expire("fathom:1:claim:{a}", 400)
                await until(lambda: server.ttl("fathom:1:claim:{a}") > 400)
            await store.aclose()
            assert server.keys() == []


@pytest.mark.usefixtures("often_renewed")
async def test_the_claim_of_somebody_else_is_neither_renewed_nor_ended(empty_redis: str) -> None:
    async with RedisStore(empty_redis, lease=600) as store:
        with redis.Redis.from_url(empty_redis) as server:
            async with store.claim(["a", "b"]):
                server.set("fathom:1:claim:{a}", "somebody else", ex=60_000)
                server.expire("fathom:1:claim:{b}", 400)
                await until(lambda: server.ttl("fathom:1:claim:{b}") > 400)
            async with store.claim(["b"]):
                assert server.get("fathom:1:claim:{a}") == b"somebody else"
                assert server.ttl("fathom:1:claim:{a}") > 600


async def test_those_who_wait_share_one_connection(empty_redis: str) -> None:
    async with RedisStore(empty_redis) as store:
        async with store.claim(map(str, range(300))):
            waiting = [asyncio.create_task(store.wait(str(number))) for number in range(300)]
            with redis.Redis.from_url(empty_redis) as server:
                await until(lambda: len(server.client_list(_type="pubsub")) == 1)
                assert len(server.client_list()) <= 4
            assert not any(task.done() for task in waiting)
        await asyncio.gather(*waiting)


async def test_whatever_ends_a_claim_is_published(empty_redis: str) -> None:
    with (
        redis.Redis.from_url(empty_redis) as server,
        server.pubsub(ignore_subscribe_messages=True) as listener,
    ):
        listener.subscribe("fathom:1:ended")
        async with RedisStore(empty_redis) as store, store.claim(["given up", "answered"]):
            await store.put_many({"answered": CacheEntry(b"", 1.0)})
        said = [listener.get_message(timeout=60.0) for _ in range(3)]
    assert [message["data"] for message in said if message] == [b"answered", b"given up"]


async def test_those_who_wait_listen(empty_redis: str) -> None:
    async with RedisStore(empty_redis) as store:
        with redis.Redis.from_url(empty_redis) as server:
            server.set("fathom:1:claim:{a}", "somebody else")  # so that only the message can end the wait
            waiting = asyncio.create_task(store.wait("a"))
            await until(lambda: len(server.client_list(_type="pubsub")) == 1)
            assert not waiting.done()
            server.publish("fathom:1:ended", "a")
            await waiting


async def test_a_message_that_was_lost_only_costs_a_second(empty_redis: str) -> None:
    async with RedisStore(empty_redis) as store:
        with redis.Redis.from_url(empty_redis) as server:
            server.set("fathom:1:claim:{a}", "somebody else")
            waiting = asyncio.create_task(store.wait("a"))
            await asyncio.sleep(0.1)
            server.delete("fathom:1:claim:{a}")
            await waiting


async def test_other_things_on_the_server_are_left_alone(empty_redis: str) -> None:
    with redis.Redis.from_url(empty_redis) as server:
        server.set("fathom:1:answers", "mine")
        async with RedisStore(empty_redis) as store:
            await store.put_many({"a": CacheEntry(b"", 1.0)})
            assert await store.prune(asked_before=2.0) == 1
        assert server.keys() == [b"fathom:1:answers"]


async def test_a_server_that_is_away_is_told_and_used_again_when_it_is_back(
    mortal_redis: RedisServer,
) -> None:
    async with RedisStore(mortal_redis.url) as store:
        async with store.claim(["a"]):
            waiting = asyncio.create_task(store.wait("a"))
            await asyncio.sleep(0.1)
            mortal_redis.kill()
            message = rf"the store redis://127\.0\.0\.1:{mortal_redis.port}/0 cannot be used: ConnectionError"
            with pytest.raises(StoreError, match=message):
                await waiting
            with pytest.raises(StoreError, match=message):
                await store.get_many(["a"])
            with pytest.raises(StoreError, match=message):
                async with store.claim(["b"]):
                    raise AssertionError
            mortal_redis.start()
            await store.put_many({"a": CacheEntry(b"x", 1.0)})
        assert await store.get_many(["a"]) == {"a": CacheEntry(b"x", 1.0)}


async def test_a_password_is_in_no_message() -> None:
    async with RedisStore("redis://me:hush@127.0.0.1:1/0?password=hush2") as store:
        with pytest.raises(StoreError) as caught:
            await store.get_many(["a"])
    assert "hush" not in str(caught.value)
    assert "redis://127.0.0.1:1/0" in str(caught.value)
