"""The protocol of stores, and which store a path or URL means."""

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
"""Seconds after which the claims of a killed process lapse."""


@runtime_checkable
class ReportStore(Protocol):
    """Stores answers by key, and lets one of many callers request those that are missing.

    A store is used from one event loop, by any number of tasks; many processes may share its file or server.
    Cancelled calls leave nothing behind. All methods raise `StoreError` if the store cannot be used, `ArgumentError`
    if it is not a store, and `ClosedError` after `aclose`.

    To have an answer requested once: claim its key; look it up again, since another caller may have stored it just
    before; request the keys that are yours, put the answers, release the claim; wait for the other keys, and start
    over.
    """

    async def get_many(self, keys: Iterable[str]) -> dict[str, CacheEntry]:
        """Return the stored answers by key; all of them are in memory at once."""
        ...

    async def put_many(self, answers: Mapping[str, CacheEntry]) -> None:
        """Store answers, each whole or not at all; once this returns, they survive a kill.

        An answer ends all claims on its key. By `CacheEntry.asked_at`, an older answer never replaces a newer one.
        """
        ...

    def claim(self, keys: Iterable[str]) -> AbstractAsyncContextManager[frozenset[str]]:
        """Claim the keys that are free, until the end of the block; gives those that were.

        Claims end with the block, which does not wait for it. Claims of a killed process lapse within `LEASE`
        seconds; those of a living one are renewed.
        """
        ...

    async def wait(self, key: str) -> None:
        """Wait until a key is free: the answer is stored, was given up, or its holder is gone."""
        ...

    async def delete(self, keys: Iterable[str]) -> None:
        """Delete answers."""
        ...

    async def prune(self, asked_before: float) -> int:
        """Delete all answers requested before a moment, of all accounts.

        Answers past their `CacheEntry.drop_after` are deleted automatically.

        Args:
            asked_before: Unix time.

        Returns:
            The number of deleted answers.
        """
        ...

    async def aclose(self) -> None:
        """Release all claims, and close the file or connection. Waiting callers get `ClosedError`."""
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
    """Open the store at a path or URL; the caller closes it.

    The first use creates the file, or connects to the server.

    Args:
        where: A path, or a URL: ``sqlite:///whole/path``, ``memory://``, ``redis://host:port/db``,
            ``rediss://`` over TLS, ``unix:///path/of/redis.sock``.
        clock: Returns the Unix time of answers.

    Raises:
        ConfigurationError: It is not a path or URL of a store, or its library is not installed. The message shows no
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
