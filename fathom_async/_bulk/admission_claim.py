"""The turn of a request with a store: what it asks is claimed when it is admitted, and not while it waits.

A claim that is made while a request waits in a lane would have the hasty wait for the patient: a page would stand
behind the bulk run that is to ask the same in ten minutes. So everybody waits in the lane, by their own priority, and
whether a request is still needed is seen when it has a permit. Where it is not, the permit goes to the next one.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self

from fathom_async._cache.report_cache import ReportCache
from fathom_async._core.codec.rows import RowT
from fathom_async._reports.query import Query

if TYPE_CHECKING:
    from fathom_async._cache.report_cache import Found


class GivenBackError(Exception):
    """The request is not needed any more, or not now, and was not sent."""


class AdmissionClaim(Generic[RowT]):
    """Claims queries in a store, of which one of all runs and processes asks.

    Args:
        cache: Where answers are kept.
        queries: What one request asks.
        since: Unix seconds; what was asked for then or later need not be asked for again, whatever its age.

    Attributes:
        found: After `GivenBackError`, the answers that somebody else has put meanwhile.
        taken: After it, the queries that somebody else is asking right now.
    """

    def __init__(self, cache: ReportCache, queries: Sequence[Query[RowT]], since: float) -> None:
        self._cache = cache
        self._queries = queries
        self._since = since
        self._claims = AsyncExitStack()
        self._taking = asyncio.Lock()
        self._is_taken = False
        self.found: dict[Query[RowT], Found[RowT]] = {}
        self.taken: Sequence[Query[RowT]] = ()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._claims.aclose()

    async def take(self) -> None:
        """Claim the queries, once for all attempts and all pieces; they stay claimed to the end of the block.

        Raises:
            GivenBackError: Somebody else has asked some of them, or is about to.
            StoreError: The store cannot be used.
        """
        async with self._taking:
            if not self._is_taken:
                await self._take()

    async def _take(self) -> None:
        mine = await self._claims.enter_async_context(self._cache.claim(self._queries))
        # Whoever held a claim until now may have put the answer since it was looked for.
        self.found = await self._cache.look_for_fresh(self._queries, since=self._since)
        self.taken = [query for query in self._queries if query not in mine and query not in self.found]
        if self.found or self.taken:
            await self._claims.aclose()
            raise GivenBackError("it is not needed any more, or not now")
        self._is_taken = True
