"""What every store of answers can do."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from os import PathLike, fspath
from pathlib import Path
from time import time
from types import TracebackType
from typing import Final, Protocol, Self, runtime_checkable
from urllib.parse import unquote, urlsplit

from fathom_async._cache.entry import CacheEntry
from fathom_async.errors import ConfigurationError

LEASE: Final = 30.0
"""Seconds after which the claims of a process that was killed are free again."""


@runtime_checkable
class ReportStore(Protocol):
    """Keeps answers by key, and lets one of many ask for those that are missing.

    A store is used from one event loop, by any number of tasks; many processes may use the same file or server.
    Whatever is cancelled leaves nothing behind. All methods raise `StoreError` if the store cannot be used,
    `ArgumentError` if it is none, and `ClosedError` after `aclose`.

    The way to have an answer asked for once is `ask_once`. By hand: claim the keys; look again, since somebody may
    have put the answer just before; ask for those that are yours, put them, let go; wait for the others, start over.
    """

    async def get_many(self, keys: Iterable[str]) -> dict[str, CacheEntry]:
        """Return the answers that are kept, by key; all of them are in memory at once."""
        ...

    async def put_many(self, answers: Mapping[str, CacheEntry]) -> None:
        """Keep answers, each whole or not at all; once this returns, they outlive a kill.

        An answer ends all claims on its key. A newer one is never replaced by an older one, as told by
        `CacheEntry.asked_at`.
        """
        ...

    def claim(self, keys: Iterable[str]) -> AbstractAsyncContextManager[frozenset[str]]:
        """Claim the right to ask, for those of the keys that nobody has claimed, until the end of the block.

        They end with the block without being waited for. Those of a process that is killed end within `LEASE`
        seconds; those of a living one are renewed.
        """
        ...

    async def wait(self, key: str) -> None:
        """Wait until nobody claims a key: the answer is there, was given up, or its asker is gone."""
        ...

    async def delete(self, keys: Iterable[str]) -> None:
        """Forget answers."""
        ...

    async def prune(self, asked_before: float) -> int:
        """Forget all answers that were asked for before a moment, of all accounts.

        What has passed its `CacheEntry.drop_after` goes by itself.

        Args:
            asked_before: Unix seconds.

        Returns:
            How many were forgotten.
        """
        ...

    async def aclose(self) -> None:
        """Give up all claims, and close the file or connection. Those who wait get `ClosedError`."""
        ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


_ADVICE: Final = (
    "write a path such as 'reports.db' for the processes of one machine, 'memory://' for this one alone, "
    "or 'redis://host:6379/0' for those of many machines"
)


def open_store(where: str | PathLike[str], *, clock: Callable[[], float] = time) -> ReportStore:
    """Return the store at a place; to be closed by the caller.

    Nothing is touched yet: a file is made, and a server asked, by the first use.

    Args:
        where: A path, relative or not, or a URL: ``sqlite:///whole/path``, ``memory://``, ``redis://host:port/db``,
            ``rediss://`` over TLS, ``unix:///path/of/redis.sock``.
        clock: Returns Unix seconds on the clock that answers are stamped with.

    Raises:
        ConfigurationError: It is no place for a store, or the library for it is not installed. The message shows no
            password.
    """
    if not isinstance(where, str | PathLike) or not isinstance(fspath(where), str):
        raise ConfigurationError(f"the store must be a path or a URL, not {where!r}: {_ADVICE}")
    if isinstance(where, str) and (where == ":memory:" or "://" in where):
        return _of_url(where, clock)
    if isinstance(where, str) and where.partition(":")[0] in {"sqlite", "memory", "redis", "rediss", "unix"}:
        raise ConfigurationError(f"the store is neither a path nor a URL, which has '://': {_ADVICE}")
    if not fspath(where).strip():
        raise ConfigurationError(f"the store must not be empty: {_ADVICE}")
    return _in_file(Path(where).expanduser(), clock)


def _of_url(url: str, clock: Callable[[], float]) -> ReportStore:
    from fathom_async._cache.memory import MemoryStore  # noqa: PLC0415 - it implements what is defined here

    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ConfigurationError(f"the store's URL cannot be read: {_ADVICE}") from None
    match parts.scheme:
        case "memory" if not (parts.netloc or parts.path or parts.query):
            return MemoryStore(clock=clock)
        case "sqlite" if not parts.netloc and parts.path.strip("/") and not (parts.query or parts.fragment):
            return _in_file(Path(unquote(parts.path)), clock)
        case "sqlite":
            raise ConfigurationError(
                "the store's URL must have the file's whole path and nothing else, as in "
                f"'sqlite:///var/lib/reports.db'; {_ADVICE}"
            )
        case "redis" | "rediss" if parts.hostname:
            return _on_server(url, clock)
        case "unix" if parts.path:
            return _on_server(url, clock)
        case _:
            raise ConfigurationError(f"the store's URL is of no kind known here: {_ADVICE}")


def _in_file(path: Path, clock: Callable[[], float]) -> ReportStore:
    from fathom_async._cache.sqlite import SqliteStore  # noqa: PLC0415 - most clients keep nothing

    return SqliteStore(path, clock=clock)


def _on_server(url: str, clock: Callable[[], float]) -> ReportStore:
    from fathom_async._cache.redis import RedisStore  # noqa: PLC0415 - most clients keep nothing

    return RedisStore(url, clock=clock)
