"""Answers stored on a Redis server, for processes on any number of machines.

The moment of `RedisStore.forget` is that of the server's clock, and the age of an answer is measured by the clock of
the machine that requested it, so that their difference does not matter.

redis-py's own `Lock` takes a round trip for each key, and a fused request claims dozens: claims are ``SET NX PX``
here, in one pipeline, and are renewed and ended by their owner alone, as its locks are.

An ended claim is published, and one connection listens for all who wait. Messages can be lost, and a claim that
lapses sends none, so that there is a look every second too.
"""

import asyncio
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from time import time
from typing import Final, TypeVar, cast

from fathom_async._cache.entry import SKEW, CacheEntry, packed, unpacked
from fathom_async._cache.single_flight import FlightStore, StoreFlight
from fathom_async._cache.store import FORGOTTEN_FOR, LEASE, MOST_ANSWERS
from fathom_async._util.redis_pool import Pipeline, SharedRedis
from fathom_async._util.secrets import told
from fathom_async.errors import ClosedError, StoreError

T = TypeVar("T")

_TIMEOUT = 5.0
_LOOK_SECONDS = 1.0
_AT_ONCE = 500
_IN_SCRIPT = 100
_FOR_GOOD = 10 * 365 * 86_400.0
"""Seconds for which an answer without a `CacheEntry.drop_after` is kept: a server can evict only what expires."""

Call = tuple[Sequence[str], Sequence[str | bytes]]
"""The keys and arguments of a script for one of many."""

_PREFIX: Final = "fathom:1:"
_ENDED: Final = f"{_PREFIX}ended"

# Of each answer, four keys and six arguments.
_PUT: Final = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
for i = 0, #KEYS / 4 - 1 do
  local answer, claim, forgotten, subject = unpack(KEYS, 4 * i + 1, 4 * i + 4)
  local key, asked_at, age, ttl, entry, body = unpack(ARGV, 6 * i + 4, 6 * i + 9)
  local old = redis.call('HGET', answer, 'asked_at')
  local forgotten_at = redis.call('GET', forgotten)
  local is_forgotten = forgotten_at and now - age < tonumber(forgotten_at)
  if not is_forgotten and (not old or tonumber(asked_at) >= tonumber(old) or tonumber(old) > tonumber(ARGV[1])) then
    redis.call('DEL', answer)
    redis.call('HSET', answer, 'asked_at', asked_at, 'entry', entry, 'body', body)
    redis.call('PEXPIRE', answer, ttl)
  end
  if subject ~= '' then
    redis.call('ZADD', subject, asked_at, key)
    redis.call('ZREMRANGEBYRANK', subject, 0, -1 - tonumber(ARGV[2]))
    redis.call('PEXPIRE', subject, math.max(tonumber(ttl), redis.call('PTTL', subject)))
  end
  if redis.call('DEL', claim) == 1 then redis.call('PUBLISH', ARGV[3], key) end
end
"""
_FORGET: Final = """
local clock = redis.call('TIME')
redis.call('SET', KEYS[1], string.format('%d.%06d', clock[1], clock[2]), 'EX', ARGV[1])
"""
_RENEW: Final = """
for i, claim in ipairs(KEYS) do
  if redis.call('GET', claim) == ARGV[i + 1] then redis.call('PEXPIRE', claim, ARGV[1]) end
end
"""
_RELEASE: Final = """
for i, claim in ipairs(KEYS) do
  if redis.call('GET', claim) == ARGV[2 * i] then
    redis.call('DEL', claim)
    redis.call('PUBLISH', ARGV[1], ARGV[2 * i + 1])
  end
end
"""


class RedisStore(FlightStore):
    """A `ReportStore` on a Redis server.

    Answers expire after their `CacheEntry.drop_after`, or after ten years. The server bounds their size: give it a
    ``maxmemory`` and the ``maxmemory-policy volatile-lru``. To keep them over a restart, it must be told to persist.

    Args:
        url: Where the server is, ``redis://``, ``rediss://`` or ``unix://``.
        clock: Returns the current Unix time; see `open_store`.
        lease: Seconds that a claim lasts unless it is renewed.

    Raises:
        ConfigurationError: The redis library is not installed, or cannot read the URL.
    """

    def __init__(self, url: str, *, clock: Callable[[], float] = time, lease: float = LEASE) -> None:
        self._server = _Server(url)
        self._clock = clock
        self._flight = StoreFlight(_ClaimKeys(self._server, lease), lease, self._server.listen)

    def __repr__(self) -> str:
        return f"<RedisStore {self._server.where}>"

    async def get_many(self, keys: Iterable[str]) -> dict[str, CacheEntry]:
        return await self._read(keys, "entry", "body")

    async def find(self, subjects: Iterable[str]) -> dict[str, CacheEntry]:
        found = await self._server.do(
            subjects, lambda line, subject: line.zrevrange(_subject(subject), 0, MOST_ANSWERS - 1)
        )
        keys = [key.decode(errors="replace") for names in cast("list[list[bytes]]", found) for key in names]
        return await self._read(keys, "entry")

    async def put_many(self, answers: Mapping[str, CacheEntry]) -> None:
        now = self._clock()

        def put(key: str) -> Call:
            kept = answers[key]
            seconds = _FOR_GOOD if kept.drop_after is None else kept.drop_after - now
            age, ttl = repr(max(0.0, now - kept.asked_at)), str(max(1, round(seconds * 1000)))
            subject = "" if kept.subject is None else _subject(kept.subject)
            keys = (_answer(key), _claim(key), _forgotten(kept.site or ""), subject)
            return keys, (key, repr(kept.asked_at), age, ttl, *packed(kept))

        common = (repr(now + SKEW), str(MOST_ANSWERS), _ENDED)
        await self._flight.answer(answers, self._server.run(_PUT, common, map(put, answers)))

    async def _read(self, keys: Iterable[str], *fields: str) -> dict[str, CacheEntry]:
        wanted = tuple(keys)
        found = await self._server.do(wanted, lambda line, key: line.hmget(_answer(key), fields))
        rows = zip(wanted, cast("list[list[bytes]]", found), strict=True)
        read = {key: unpacked(self, entry, *body or [b""]) for key, (entry, *body) in rows if entry}
        return {key: kept for key, kept in read.items() if kept is not None}

    async def delete(self, keys: Iterable[str]) -> None:
        await self._server.do(keys, lambda line, key: line.delete(_answer(key)))

    async def forget(self, site: str, is_gone: Callable[[CacheEntry], bool]) -> int:
        await self._server.run(_FORGET, (str(round(FORGOTTEN_FOR)),), [((_forgotten(site),), ())])
        names = await self._server.names(_answer("*"))
        kept = await self._read([name.partition("{")[2][:-1] for name in names], "entry")
        gone = [key for key, each in kept.items() if each.site == site and is_gone(each)]
        await self.delete(gone)
        return len(gone)

    async def prune(self, asked_before: float) -> int:
        names = await self._server.names(_answer("*"))
        found = await self._server.do(names, lambda line, name: line.hmget(name, ("asked_at",)))
        stamps = (values[0] for values in cast("list[list[bytes | None]]", found))
        old = [name for name, at in zip(names, stamps, strict=True) if at and _is_before(at, asked_before)]
        await self._server.do(old, lambda line, name: line.delete(name))
        return len(old)

    async def aclose(self) -> None:
        """Give up all claims, and close the connections."""
        try:
            await self._flight.aclose()
        finally:
            await self._server.aclose()


class _ClaimKeys:
    """The backend of claims: a key each, which the server lets lapse by its own clock."""

    def __init__(self, server: "_Server", lease: float) -> None:
        self._server = server
        self._lease = max(1, round(lease * 1000))

    async def acquire(self, keys: Collection[str], owner: str) -> Collection[str]:
        made = await self._server.do(
            keys, lambda line, key: line.set(_claim(key), owner, nx=True, px=self._lease)
        )
        return [key for key, is_made in zip(keys, made, strict=True) if is_made]

    async def renew(self, held: Mapping[str, str]) -> None:
        calls = (((_claim(key),), (owner,)) for key, owner in held.items())
        await self._server.run(_RENEW, (str(self._lease),), calls)

    async def release(self, held: Mapping[str, str]) -> None:
        calls = (((_claim(key),), (owner, key)) for key, owner in held.items())
        await self._server.run(_RELEASE, (_ENDED,), calls)

    async def held(self, keys: Collection[str]) -> Collection[str]:
        found = await self._server.do(keys, lambda line, key: line.exists(_claim(key)))
        return [key for key, is_there in zip(keys, found, strict=True) if is_there]


class _Server:
    """A Redis server, as far as it is needed here; `where` is its URL, without secrets."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._redis = SharedRedis(url, "a store", timeout=_TIMEOUT)
        self.where: str = self._redis.where
        self._is_closed = False

    async def do(self, wanted: Iterable[T], command: Callable[[Pipeline, T], object]) -> list[object]:
        """Carry out a command for each key or call; return the replies in their order."""
        wanted = tuple(wanted)

        def queue(line: Pipeline, some: Iterable[T]) -> None:
            for each in some:
                command(line, each)

        replies: list[object] = []
        with self._errors():
            for start in range(0, len(wanted), _AT_ONCE):
                some = wanted[start : start + _AT_ONCE]
                replies += await self._redis.run(partial(queue, some=some))
            for reply in replies:
                if isinstance(reply, Exception):
                    raise reply
        return replies

    async def run(self, script: str, common: Iterable[str], calls: Iterable["Call"]) -> None:
        """Run a script for many keys, with the arguments that all have in common first."""
        rest = iter(calls)
        some = iter(lambda: tuple(islice(rest, _IN_SCRIPT)), ())
        calls_of_many = ([*zip(*each, strict=True)] for each in some)
        lines = (
            (tuple(chain.from_iterable(keys)), (*common, *chain.from_iterable(own)))
            for keys, own in calls_of_many
        )
        await self.do(lines, lambda line, call: line.eval(script, len(call[0]), *call[0], *call[1]))

    async def names(self, pattern: str) -> set[str]:
        """Return the names of all keys of a pattern."""
        found: set[str] = set()
        cursors = [0]
        while cursors:
            replies = await self.do(cursors, lambda line, cursor: line.scan(cursor, pattern, _AT_ONCE))
            cursor, names = cast("list[tuple[int, list[bytes]]]", replies)[0]
            found.update(name.decode() for name in names)
            cursors = [int(cursor)] if int(cursor) else []
        return found

    async def listen(self, flight: StoreFlight) -> None:
        """Report released claims as long as any task waits."""
        loop = asyncio.get_running_loop()
        with self._errors():
            subscription = self._redis.pubsub()
            try:
                await subscription.subscribe(_ENDED)
                while flight.keys:
                    await flight.check()
                    look_at = loop.time() + _LOOK_SECONDS
                    while flight.keys and (left := look_at - loop.time()) > 0:
                        message = await subscription.get_message(ignore_subscribe_messages=True, timeout=left)
                        if message is not None:
                            flight.ended([message["data"].decode()])
            finally:
                await subscription.aclose()

    async def aclose(self) -> None:
        """Close all connections that nobody else uses."""
        self._is_closed = True
        await self._redis.aclose()

    @contextmanager
    def _errors(self) -> "Generator[None]":
        from redis.exceptions import RedisError  # noqa: PLC0415 - an optional dependency

        if self._is_closed:
            raise ClosedError("the store is closed")
        try:
            yield
        except (RedisError, OSError) as error:
            raise StoreError(f"the store {self.where} cannot be used: {told(error, self._url)}") from None


def _is_before(stamp: bytes, moment: float) -> bool:
    try:
        return float(stamp) < moment
    except ValueError:  # damaged: of no use
        return True


def _answer(key: str) -> str:
    return f"{_PREFIX}answer:{{{key}}}"


def _claim(key: str) -> str:
    return f"{_PREFIX}claim:{{{key}}}"


def _forgotten(site: str) -> str:
    return f"{_PREFIX}forgotten:{{{site}}}"


def _subject(subject: str) -> str:
    return f"{_PREFIX}about:{{{subject}}}"
