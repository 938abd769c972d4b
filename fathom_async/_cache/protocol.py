"""What every store of answers can do."""

from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, Protocol, Self, runtime_checkable

from fathom_async._cache.entry import Kept

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

    async def get_many(self, keys: Iterable[str]) -> dict[str, Kept]:
        """Return the answers that are kept, by key; all of them are in memory at once."""
        ...

    async def put_many(self, answers: Mapping[str, Kept]) -> None:
        """Keep answers, each whole or not at all; once this returns, they outlive a kill.

        An answer ends all claims on its key. A newer one is never replaced by an older one, as told by
        `Kept.asked_at`.
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

        What has passed its `Kept.drop_after` goes by itself.

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
