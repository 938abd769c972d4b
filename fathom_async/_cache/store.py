"""The protocol of stores."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, Protocol, Self, runtime_checkable

from fathom_async._cache.entry import CacheEntry

LEASE: Final = 30.0
"""Seconds after which the claims of a killed process lapse."""

FORGOTTEN_FOR: Final = 86_400.0
"""Seconds for which a store remembers `ReportStore.forget`: longer than any request takes."""

MOST_ANSWERS: Final = 64
"""How many answers of one subject `ReportStore.find` returns at the most."""


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

    async def find(self, subjects: Iterable[str]) -> dict[str, CacheEntry]:
        """Return the answers about some subjects by key, without their bodies.

        Of each subject, those `MOST_ANSWERS` that were requested last are found.

        Args:
            subjects: Each a `CacheEntry.subject`.
        """
        ...

    async def put_many(self, answers: Mapping[str, CacheEntry]) -> None:
        """Store answers, each whole or not at all; once this returns, they survive a kill.

        An answer ends all claims on its key. By `CacheEntry.asked_at`, an older answer never replaces a newer one,
        and an answer that was requested before `forget` was called for its site is not stored.
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

    async def forget(self, site: str, is_gone: Callable[[CacheEntry], bool]) -> int:
        """Delete answers about a site, and store none that was requested before.

        Args:
            site: Their `CacheEntry.site`.
            is_gone: Whether to delete an answer, given without its body; may be called in another thread.

        Returns:
            The number of deleted answers.
        """
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
