"""Connections to Redis servers: who shares them, who closes them, and what a cancellation does."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import asyncio
import random

import pytest
import redis

from fathom_async import FathomClient, PageviewQuery
from fathom_async._cache.entry import CacheEntry
from fathom_async._cache.redis import RedisStore
from fathom_async._util.redis_pool import SharedRedis
from fathom_async.testing import FathomServer
from tests.conftest import until
from tests.support.redis_server import RedisServer

QUERY = PageviewQuery("CDBUGS", aggregates=["visits"])


def connections(url: str) -> int:
    """Return the number of connections to a server, but for the one that asks."""
    with redis.Redis.from_url(url) as admin:
        return len(admin.client_list()) - 1


async def ping(user: SharedRedis) -> bool:
    return await user.run(lambda line: line.exists("a")) == [0]


def shared(url: str) -> SharedRedis:
    return SharedRedis(url, "a test", timeout=5.0)


async def test_accounts_and_their_stores_share_their_connections(mortal_redis: RedisServer) -> None:
    url = mortal_redis.url
    async with FathomServer(reports_throttle=None) as server:
        clients = [FathomClient(f"token{n}", base_url=server.url, budget=url) for n in range(20)]
        await asyncio.gather(*(client.reports.gather([QUERY], store=url) for client in clients))
        assert connections(url) == 2
        await asyncio.gather(*(client.aclose() for client in clients[1:]))
        await clients[0].reports.gather([QUERY.replace(date_from="2026-01-01")], store=url)
        await clients[0].aclose()
    await until(lambda: not connections(url))


async def test_the_last_user_closes_the_connections_and_the_next_opens_others(
    mortal_redis: RedisServer,
) -> None:
    first, second = shared(mortal_redis.url), shared(mortal_redis.url)
    for user in (first, second):
        await ping(user)
    await asyncio.gather(first.aclose(), first.aclose())
    assert await ping(second)
    closing = asyncio.create_task(second.aclose())
    await asyncio.sleep(0)
    assert await ping(first)
    await closing
    assert await ping(first)
    await first.aclose()
    await until(lambda: not connections(mortal_redis.url))


async def test_who_closes_what_was_never_used_closes_nothing(mortal_redis: RedisServer) -> None:
    used, unused = shared(mortal_redis.url), shared(mortal_redis.url)
    await ping(used)
    await unused.aclose()
    assert await ping(used)
    await used.aclose()


def test_each_event_loop_has_connections_of_its_own(mortal_redis: RedisServer) -> None:
    user, other = shared(mortal_redis.url), shared(mortal_redis.url)

    async def use() -> bool:
        replies = await asyncio.gather(ping(user), ping(other))
        await user.aclose()
        await other.aclose()
        return all(replies)

    assert [asyncio.run(use()) for _ in range(2)] == [True, True]


@pytest.mark.parametrize("seed", range(3))
async def test_users_that_are_cancelled_take_neither_replies_nor_connections_from_others(
    empty_redis: str, seed: int
) -> None:
    chance = random.Random(seed)
    answers = {str(number): CacheEntry(str(number).encode(), 1.0) for number in range(200)}
    async with RedisStore(empty_redis) as mine, RedisStore(empty_redis) as theirs:
        await mine.put_many(answers)
        for _ in range(20):
            some = {key: asyncio.create_task(theirs.get_many([key])) for key in answers}
            others = {key: asyncio.create_task(mine.get_many([key])) for key in chance.sample([*answers], 20)}
            for _ in range(chance.randrange(20)):
                await asyncio.sleep(0)
            for task in some.values():
                task.cancel()
            await asyncio.wait(some.values())
            assert {key: await task for key, task in others.items()} == {
                key: {key: answers[key]} for key in others
            }
        assert connections(empty_redis) == 1
