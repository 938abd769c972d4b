"""Open the store that a path or URL means."""

from collections.abc import Callable
from os import PathLike, fspath
from pathlib import Path
from time import time
from typing import Final
from urllib.parse import unquote, urlsplit

from fathom_async._cache.memory import MAX_BYTES, MemoryStore
from fathom_async._cache.redis import RedisStore
from fathom_async._cache.store import ReportStore
from fathom_async._util.checks import file_path
from fathom_async.errors import ConfigurationError

_ADVICE: Final = (
    "write a path such as 'reports.db' for the processes of one machine, 'memory://' for this one alone, "
    "or 'redis://host:6379/0' for those of many machines"
)


def open_store(
    where: str | PathLike[str], *, clock: Callable[[], float] = time, max_bytes: int | None = None
) -> ReportStore:
    """Open the store at a path or URL; the caller closes it.

    The first use creates the file, or connects to the server.

    Args:
        where: A path, or a URL: ``sqlite:///whole/path``, ``memory://``, ``redis://host:port/db``,
            ``rediss://`` over TLS, ``unix:///path/of/redis.sock``.
        clock: Returns the current Unix time, by which answers expire: that of the machine, unless the clients that
            use the store have another one.
        max_bytes: Size above which the oldest answers are deleted; by default 64 MiB in memory and 1 GiB in a file. A
            Redis server is bounded by its own ``maxmemory``.

    Raises:
        ConfigurationError: It is not a path or URL of a store, or its library is not installed. The message shows no
            password.
    """
    if not isinstance(where, str | PathLike) or not isinstance(fspath(where), str):
        raise ConfigurationError(f"the store must be a path or a URL, not {where!r}: {_ADVICE}")
    if isinstance(where, str) and (where == ":memory:" or "://" in where):
        return _of_url(where, clock, max_bytes)
    if isinstance(where, str) and where.partition(":")[0] in {"sqlite", "memory", "redis", "rediss", "unix"}:
        raise ConfigurationError(f"the store is neither a path nor a URL, which has '://': {_ADVICE}")
    if not fspath(where).strip():
        raise ConfigurationError(f"the store must not be empty: {_ADVICE}")
    return _in_file(file_path(where), clock, max_bytes)


def _of_url(url: str, clock: Callable[[], float], max_bytes: int | None) -> ReportStore:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ConfigurationError(f"the store's URL cannot be read: {_ADVICE}") from None
    match parts.scheme:
        case "memory" if not (parts.netloc or parts.path or parts.query):
            return MemoryStore(clock=clock, max_bytes=max_bytes or MAX_BYTES)
        case "sqlite" if not parts.netloc and parts.path.strip("/") and not (parts.query or parts.fragment):
            return _in_file(Path(unquote(parts.path)), clock, max_bytes)
        case "sqlite":
            raise ConfigurationError(
                "the store's URL must have the file's whole path and nothing else, as in "
                f"'sqlite:///var/lib/reports.db'; {_ADVICE}"
            )
        case "redis" | "rediss" if parts.hostname:
            return RedisStore(url, clock=clock)
        case "unix" if parts.path:
            return RedisStore(url, clock=clock)
        case _:
            raise ConfigurationError(f"the store's URL is of no kind known here: {_ADVICE}")


def _in_file(path: Path, clock: Callable[[], float], max_bytes: int | None) -> ReportStore:
    from fathom_async._cache.sqlite import MAX_BYTES, SqliteStore  # noqa: PLC0415 - most clients need no sqlite3

    return SqliteStore(path, clock=clock, max_bytes=max_bytes or MAX_BYTES)
