"""Connections to Redis servers: who shares them, who closes them, and what a cancellation does."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import asyncio
import random
import signal

import pytest
import redis

from fathom_async import FathomClient, PageviewQuery
from fathom_async._cache.entry import CacheEntry
from fathom_async._cache.redis import RedisStore
from fathom_async._util.redis_pool import SharedRedis
from fathom_async.errors import StoreError
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
        clients = [
            FathomClient("token", base_url=server.url, budget=url, budget_key=f"account {n}")
            for n in range(20)
        ]
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


async def test_what_is_called_while_the_connection_is_closed_fails(mortal_redis: RedisServer) -> None:
    store = RedisStore(mortal_redis.url)
    await store.get_many(["a"])
    mortal_redis.signal(signal.SIGSTOP)
    calling = [asyncio.create_task(store.get_many(["a"])) for _ in range(2)]
    await asyncio.sleep(0.05)
    calling.append(asyncio.create_task(store.get_many(["a"])))
    await asyncio.sleep(0)
    await store.aclose()
    failed = await asyncio.gather(*calling, return_exceptions=True)
    assert [type(each) for each in failed] == [StoreError] * 3


async def test_an_outage_is_heard_by_all_at_the_same_time(mortal_redis: RedisServer) -> None:
    users = [SharedRedis(mortal_redis.url, "a test", timeout=3.0) for _ in range(40)]
    await asyncio.gather(*map(ping, users))
    mortal_redis.signal(signal.SIGSTOP)
    heard = [asyncio.create_task(ping(user)) for user in users]
    done, _ = await asyncio.wait(heard, return_when=asyncio.FIRST_COMPLETED)
    assert len(done) == len(users)
    assert all(isinstance(task.exception(), redis.TimeoutError) for task in done)
    mortal_redis.signal(signal.SIGCONT)
    assert all(await asyncio.gather(*map(ping, users)))
    await asyncio.gather(*(user.aclose() for user in users))


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


async def test_a_program_that_cancels_all_of_its_tasks_waits_for_none_of_them(
    mortal_redis: RedisServer,
) -> None:
    user = shared(mortal_redis.url)
    await ping(user)
    mortal_redis.signal(signal.SIGSTOP)
    before = asyncio.all_tasks()
    sent = asyncio.create_task(ping(user))
    await asyncio.sleep(0.05)
    (sending,) = asyncio.all_tasks() - before - {sent}
    sending.cancel()
    cleaning_up = asyncio.create_task(ping(user))
    with pytest.raises(ConnectionError):
        await sent
    mortal_redis.signal(signal.SIGCONT)
    assert await cleaning_up
    await user.aclose()
