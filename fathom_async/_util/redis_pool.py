"""Connections to Redis servers, shared by all that a process has to do with the same server.

1. Budgets and stores of one event loop share a pool if they name the same URL and have the same timeout. So a worker
   has as many connections with forty accounts as with one.
2. The first command opens a pool, and its last user closes it.
3. Whoever finds all connections in use waits for one, and so takes its turn.
4. redis-py's pools lose connections when a task is cancelled that waits for one, or that gives one back. So commands
   are carried out in tasks that nobody cancels: a caller that is cancelled leaves its own to the timeout.
5. Subscriptions hold their connection for as long as they last; those are not of the pool, or they could use it up.
"""

import asyncio
from typing import TYPE_CHECKING, Any, Final, TypeVar
from weakref import WeakKeyDictionary

from attrs import define, field

from fathom_async._util.secrets import told, without_secrets
from fathom_async.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from redis.asyncio import Redis

T = TypeVar("T")

_Key = tuple[str, float, int]


@define
class _Pool:
    commands: "Redis"
    subscriptions: "Redis"
    siblings: "dict[_Key, _Pool]"
    users: int = 0
    tasks: set[asyncio.Task[object]] = field(factory=set[asyncio.Task[object]])


_pools: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, dict[_Key, _Pool]]] = WeakKeyDictionary()


class SharedRedis:
    """One user of a Redis server.

    Args:
        url: Where the server is.
        what: What is in it, for messages.
        timeout: Seconds to wait for a connection, and for a reply.
        most: How many connections to use at most.

    Raises:
        ConfigurationError: The redis library is not installed, or cannot read the URL.
    """

    def __init__(self, url: str, what: str, *, timeout: float, most: int) -> None:
        try:
            from redis.asyncio import ConnectionPool  # noqa: PLC0415 - an optional dependency
        except ImportError:
            raise ConfigurationError(
                f'{what} in Redis needs the redis library: pip install "fathom_async[redis]"'
            ) from None
        self.where: str = without_secrets(url)
        url = (
            url.replace("valkey", "redis", 1) if url.startswith("valkey") else url
        )  # it is the same protocol
        try:
            ConnectionPool.from_url(url)  # pyright: ignore[reportUnknownMemberType]
        except ValueError as error:
            raise ConfigurationError(f"{self.where} is not a Redis URL: {told(error, url)}") from None
        self._key: _Key = url, timeout, most
        self._pool: _Pool | None = None

    async def run(self, work: "Callable[[Redis], Coroutine[object, object, T]]") -> T:
        """Return what commands bring; they are carried out even if the caller is cancelled (rule 4)."""
        pool = self._open()
        task = asyncio.create_task(work(pool.commands))
        pool.tasks.add(task)
        task.add_done_callback(pool.tasks.discard)
        return await asyncio.shield(task)

    @property
    def subscriptions(self) -> "Redis":
        """The client for subscriptions."""
        return self._open().subscriptions

    async def aclose(self) -> None:
        """Close the connections, unless others use them."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.users -= 1
            if not pool.users:
                del pool.siblings[self._key]  # from here on, another user opens a pool of its own
                for task in pool.tasks:
                    task.cancel()
                try:
                    await pool.commands.aclose()
                finally:
                    await pool.subscriptions.aclose()

    def _open(self) -> _Pool:
        if self._pool is None:
            pools = _pools.setdefault(asyncio.get_running_loop(), {})
            if self._key not in pools:
                pools[self._key] = _Pool(*_clients(*self._key), pools)
            self._pool = pools[self._key]
            self._pool.users += 1
        return self._pool


def _clients(url: str, timeout: float, most: int) -> tuple["Redis", "Redis"]:
    from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis  # noqa: PLC0415 - an optional dependency
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415

    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
    }
    commands = BlockingConnectionPool.from_url(url, max_connections=most, timeout=timeout, **options)  # pyright: ignore[reportUnknownMemberType]
    subscriptions = ConnectionPool.from_url(url, **options)  # pyright: ignore[reportUnknownMemberType]
    return Redis.from_pool(commands), Redis.from_pool(subscriptions)
