"""Boards, requested once for all pages that show them, and served from the cache meanwhile."""

import asyncio
import logging
import math
from collections.abc import Iterable
from contextlib import aclosing
from types import TracebackType
from typing import Self

from attrs import frozen

from examples.dashboard.board import Board, Questions, now_at
from examples.dashboard.ranges import RANGES, RangeName
from fathom_async import (
    BulkError,
    CachePolicy,
    ClosedError,
    FathomClient,
    FathomError,
    Priority,
    Site,
    WaitTooLongError,
)
from fathom_async.store import ReportStore

KEEPING = CachePolicy(max_age=300, stale_while_revalidate=7 * 86_400)
_GOOD_FOR = 1.0
"""Seconds for which a board serves every page as it is: the store is not asked for each of them."""
_SHOWN_MEANWHILE = 60.0
"""Seconds for which it does so while it is put together anew."""

_log = logging.getLogger("examples.dashboard")


@frozen
class _Shown:
    board: Board
    at: float


class Boards:
    """The boards of one worker; an `async with` block, whose end ends all that is under way.

    Args:
        fathom: Asks, with as much patience as it takes: an answer that comes after its page is kept for the next.
        store: Where the workers share their answers.
        speed: Seconds of the client's clock in a real one.
    """

    def __init__(self, fathom: FathomClient, store: ReportStore, speed: float = 1.0) -> None:
        self._fathom = fathom.with_options(max_wait=None, priority=Priority.INTERACTIVE)
        self._store = store
        self._speed = speed
        self._shown: dict[tuple[str, RangeName], _Shown] = {}
        self._makings: dict[tuple[str, RangeName], asyncio.Task[Board]] = {}
        self._is_stopping = False

    async def get(self, site: Site, name: RangeName, *, within: float) -> Board:
        """Return a board.

        Args:
            site: The site.
            name: The range.
            within: Seconds to wait for it.

        Raises:
            WaitTooLongError: It takes longer; it is on its way all the same.
            ClosedError: The dashboard is stopping.
            FathomError: It cannot be had.
        """
        if self._is_stopping:  # a request that came in just before
            raise ClosedError("the dashboard is stopping")
        shown = self._shown.get((site.id, name))
        age = math.inf if shown is None else asyncio.get_running_loop().time() - shown.at
        if shown is not None and age <= _GOOD_FOR:
            return shown.board
        making = self._making(site, name)
        if shown is not None and age <= _SHOWN_MEANWHILE:
            return shown.board
        await asyncio.wait((making,), timeout=within)
        if making.cancelled():
            raise ClosedError("the dashboard is stopping")
        if making.done():
            return making.result()
        if shown is not None:
            return shown.board
        raise WaitTooLongError("reports", self._fathom.eta() / self._speed, within)

    async def warm(self, sites: Iterable[Site], name: RangeName, *, within: float) -> None:
        """Have the boards of a range ready, as far as they can be had so soon; the others are on their way."""
        makings = [self._making(site, name) for site in sites]
        if makings:
            await asyncio.wait(makings, timeout=within)

    def stop(self) -> None:
        """End what is under way, and begin nothing more; requests that wait for a board get `ClosedError`."""
        self._is_stopping = True
        for task in self._makings.values():
            task.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        await asyncio.gather(*self._makings.values(), return_exceptions=True)

    def _making(self, site: Site, name: RangeName) -> "asyncio.Task[Board]":
        task = self._makings.get((site.id, name))
        if task is None or task.done():
            task = self._makings[site.id, name] = asyncio.create_task(self._make(site, name))
            task.add_done_callback(_tell)
        return task

    async def _make(self, site: Site, name: RangeName) -> Board:
        # Whoever has the claim asks at once. The others' runs are in no hurry, and so wait for its answers instead of
        # losing patience and asking too; if it is killed, one of them goes on.
        async with self._store.claim([f"board:{site.id}:{name}"]) as mine:
            return await self._ask(site, name, Priority.INTERACTIVE if mine else Priority.BULK)

    async def _ask(self, site: Site, name: RangeName, priority: Priority) -> Board:
        span, now = RANGES[name], now_at(site)
        run = self._fathom.reports.run(
            Questions.about(site, span, now).all(), store=self._store, keeping=KEEPING, priority=priority
        )
        async with aclosing(run):
            outcomes = sorted([outcome async for outcome in run], key=lambda outcome: outcome.position)
        if any(outcome.error for outcome in outcomes):
            raise BulkError(outcomes)
        asked_at = min(outcome.asked_at or 0.0 for outcome in outcomes)
        board = Board.of(site, span, now, [outcome.result() for outcome in outcomes], asked_at)
        self._shown[site.id, name] = _Shown(board, asyncio.get_running_loop().time())
        return board


def _tell(task: "asyncio.Task[Board]") -> None:
    """Say what went wrong, since its page may be gone."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.warning(
            "a board cannot be shown: %s", error, exc_info=None if isinstance(error, FathomError) else error
        )
