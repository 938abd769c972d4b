"""Boards: request each once for all pages that show it, and serve the cached one meanwhile.

Each request is billed, so a board is dropped when no page has asked for it in the last `_WANTED` seconds.
"""

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
"""Seconds for which all pages reuse a board without a look into the store."""
_SHOWN_MEANWHILE = 60.0
"""Seconds for which pages reuse a board while its refresh is under way."""
_WANTED = 90.0
"""Seconds for which a board is waited for after a page asked for it; the page's script asks every 30 s."""

_log = logging.getLogger("examples.dashboard")


@frozen
class _Shown:
    board: Board
    at: float


class Boards:
    """The boards of one worker; use it in `async with`, which cancels unfinished boards at its end.

    Args:
        fathom: Client that sends the requests, without a `max_wait`: the next page can use an answer that comes late.
        store: The store in which the workers share answers.
        speed: Speed of the client's clock; 1 is real time.
    """

    def __init__(self, fathom: FathomClient, store: ReportStore, speed: float = 1.0) -> None:
        self._fathom = fathom.with_options(max_wait=None, priority=Priority.INTERACTIVE)
        self._store = store
        self._speed = speed
        self._shown: dict[tuple[str, RangeName], _Shown] = {}
        self._makings: dict[tuple[str, RangeName], asyncio.Task[Board]] = {}
        self._drops: dict[tuple[str, RangeName], asyncio.TimerHandle] = {}
        self._is_stopping = False

    async def get(self, site: Site, name: RangeName, *, within: float) -> Board:
        """Return a board.

        Args:
            site: The site.
            name: The range.
            within: Longest wait in seconds.

        Raises:
            WaitTooLongError: The board is not ready in time; its requests go on while pages ask for it.
            ClosedError: The dashboard is stopping.
            FathomError: A request for the board failed.
        """
        if self._is_stopping:  # the request arrived just before
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
        """Start the boards of a range; wait up to `within` seconds for them."""
        makings = [self._making(site, name) for site in sites]
        if makings:
            await asyncio.wait(makings, timeout=within)

    def stop(self) -> None:
        """Cancel unfinished boards and start no more; requests that wait for a board get `ClosedError`."""
        self._is_stopping = True
        for drop in self._drops.values():
            drop.cancel()
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
        if (drop := self._drops.get((site.id, name))) is not None:
            drop.cancel()
        self._drops[site.id, name] = asyncio.get_running_loop().call_later(_WANTED, task.cancel)
        return task

    async def _make(self, site: Site, name: RangeName) -> Board:
        # The worker with the claim sends its requests at once. The others run at BULK priority, which waits for its
        # answers however long they take; if that worker dies, one of the others takes over.
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
    """Log the failure of a board, as its page may be gone."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.warning(
            "cannot show a board: %s", error, exc_info=None if isinstance(error, FathomError) else error
        )
