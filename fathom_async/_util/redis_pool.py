"""Connections to Redis servers, shared by all that a process has to do with the same server.

1. Budgets and stores of one event loop share a connection if they name the same URL and have the same timeout. So a
   worker has as many connections with forty accounts as with one.
2. What is called while others wait for their replies is sent after them, all at once: a server that is busy is sent
   fewer and larger messages, and nobody waits for a connection. An outage is heard by all who wait.
3. The first call connects, and the last user disconnects.
4. redis-py loses connections, and its blocking pools more than that, when the task that uses them is cancelled. So a
   task of its own does; a caller that is cancelled does not hear its reply. A program that cancels all of its tasks
   cancels this one, too: what it sent has failed then, and what is called from then on is sent by another.
5. A subscription has a connection of its own for as long as it lasts.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, cast
from weakref import WeakKeyDictionary

from attrs import define, field

from fathom_async._util.secrets import told, without_secrets
from fathom_async.errors import ConfigurationError

if TYPE_CHECKING:
    from redis.asyncio import Redis

_Key = tuple[str, float]
Pipeline = Any
"""A pipeline of redis-py, whose own annotations are partly unknown."""

_Call = tuple[Callable[[Pipeline], object], asyncio.Future[list[object]]]


@define(eq=False)
class _Connection:
    redis: "Redis"
    siblings: "dict[_Key, _Connection]"
    users: int = 0
    waiting: list[_Call] = field(factory=list[_Call])
    sent: list[_Call] = field(factory=list[_Call])
    sending: "asyncio.Task[None] | None" = None

    async def send(self) -> None:
        """Send what was called until now, and so on until nothing is left (rule 2)."""
        while self.waiting:
            calls = [each for each in self.waiting if not each[1].done()]
            self.waiting, self.sent = [], calls
            try:
                line = cast("Any", self.redis).pipeline(transaction=False)
                ends = [(call(line), len(line))[1] for call, _ in calls]
                replies: list[object] = await line.execute(raise_on_error=False) if ends else []
            except asyncio.CancelledError:
                _fail(calls, ConnectionError("cancelled"))
                if self.waiting:  # by those that are told to end, too, and clean up
                    self.sending = asyncio.get_running_loop().create_task(self.send())
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the callers must hear it
                _fail(calls, error)
                continue
            for (_, reply), begin, end in zip(calls, [0, *ends], ends, strict=False):
                if not reply.done():
                    reply.set_result(replies[begin:end])

    async def aclose(self) -> None:
        waiting, self.waiting = self.waiting, []
        if self.sending is not None:
            self.sending.cancel()
        _fail([*self.sent, *waiting], ConnectionError("closed"))
        await self.redis.aclose()


def _fail(calls: Iterable[_Call], error: Exception) -> None:
    for _, reply in calls:
        if not reply.done():
            reply.set_exception(error)


_connections: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, dict[_Key, _Connection]]] = (
    WeakKeyDictionary()
)


class SharedRedis:
    """One user of a Redis server.

    Args:
        url: Where the server is.
        what: What is in it, for messages.
        timeout: Seconds to wait for a connection, and for a reply.

    Raises:
        ConfigurationError: The redis library is not installed, or cannot read the URL.
    """

    def __init__(self, url: str, what: str, *, timeout: float) -> None:
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
        self._key: _Key = url, timeout
        self._connection: _Connection | None = None

    async def run(self, call: Callable[[Pipeline], object]) -> list[object]:
        """Return the replies to the commands that `call` puts into a pipeline; those may be errors.

        It is called when they are sent, and not if the caller was cancelled before.
        """
        connection, loop = self._open(), asyncio.get_running_loop()
        told: asyncio.Future[list[object]] = loop.create_future()
        connection.waiting.append((call, told))
        if connection.sending is None or connection.sending.done():
            connection.sending = loop.create_task(connection.send())
        return await told

    def pubsub(self) -> Any:  # noqa: ANN401 - redis-py's annotations are partly unknown
        """Return a subscription."""
        return cast("Any", self._open().redis).pubsub()

    async def aclose(self) -> None:
        """Disconnect, unless others are connected."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.users -= 1
            if not connection.users:
                del connection.siblings[self._key]  # from here on, another user connects anew
                await connection.aclose()

    def _open(self) -> _Connection:
        if self._connection is None:
            connections = _connections.setdefault(asyncio.get_running_loop(), {})
            if self._key not in connections:
                connections[self._key] = _Connection(_client(*self._key), connections)
            self._connection = connections[self._key]
            self._connection.users += 1
        return self._connection


def _client(url: str, timeout: float) -> "Redis":
    from redis.asyncio import Redis  # noqa: PLC0415 - an optional dependency
    from redis.asyncio.retry import Retry  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415

    return Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
        url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0)
    )
