"""Boards: made by one worker at a time, and kept in the store for all of them.

1. Each request is billed, and those that wait hold up others. A board is made only while somebody looks at it, which
   is for the seconds given to the last `Boards.look`; then whatever of it is still waiting is cancelled.
2. The worker that holds a board's claim makes it and tells the others how far it is; they show its notices, and the
   board when it is in the store. If it stops or dies, another one goes on with the answers that the store has.
3. A board is shown however old it is, with its time. One older than `_FRESH` is made again while somebody looks.
4. No more than `_AT_ONCE` boards are made at a time, so that the first is complete before the last one begins. The
   range that somebody turned to last goes first.
"""

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import datetime
from heapq import heappop, heappush
from itertools import count
from operator import attrgetter
from types import TracebackType
from typing import Literal, Self, TypeVar, cast

import msgspec
from attrs import define, frozen

from examples.dashboard.board import REPORTS, Board, Questions, now_at
from examples.dashboard.ranges import RANGES, RangeName
from fathom_async import (
    CachePolicy,
    FathomClient,
    FathomError,
    LaneStatus,
    LoopClock,
    NotFoundError,
    PermissionDeniedError,
    Priority,
    Progress,
    RateLimitError,
    Site,
)
from fathom_async.integrations.fastapi import reply_to
from fathom_async.store import CacheEntry, ReportStore

_FRESH = 300.0
"""Seconds for which a board is not made again."""
_KEEPING = CachePolicy(max_age=_FRESH / 2)
_KEPT = 30 * 86_400.0
_SKEW = 60.0
"""Seconds by which the clocks of workers may differ."""
_STALE = 900.0
"""Age in seconds from which a board is shown as old."""
_AT_ONCE = 2
"""Boards that the ten reports of a minute are enough for."""
_TICK = 1.0
"""Seconds between two looks at how far a board is."""
_RETRY = 5.0
_LONGEST_RETRY = 30.0
_PAGE_WAITS = 1.0
"""Seconds for which a page waits for the store."""
_GONE_NOTICE = "This site is gone: it was deleted, or the token may no longer read it."

T = TypeVar("T")

_log = logging.getLogger("examples.dashboard")
_BOARD = msgspec.json.Decoder(Board)


@frozen
class Notice:
    """Why a board is missing or old.

    Attributes:
        kind: ``loading``; ``busy``: it waits for the rate limit; ``away``: Fathom does not answer; ``gone``: there is
            no such site; ``failed``: something that waiting does not mend.
        text: The message to visitors.
        retry_in: Seconds until it may have changed.
    """

    kind: Literal["loading", "busy", "away", "gone", "failed"]
    text: str
    retry_in: float = _RETRY


_NOTICE = msgspec.json.Decoder(Notice)
LOADING = Notice("loading", "Loading…", _TICK)
GONE = Notice("gone", _GONE_NOTICE, math.inf)


@define(eq=False)
class Card:
    """The board of a site over a range, as far as this worker knows it.

    Attributes:
        site: The site.
        name: Name of the range.
        account: Name of the account in the store.
        board: The newest board; None if there is none yet.
        notice: Why there is no newer one.
        keeper: The task that keeps it up to date while somebody looks.
        drop: The timer that ends that task.
        wish: The higher, the later somebody turned to this range.
        read_at: When a page last looked for it in the store, on the loop's clock.
    """

    site: Site
    name: RangeName
    account: str
    board: Board | None = None
    notice: Notice | None = LOADING
    keeper: asyncio.Task[None] | None = None
    drop: asyncio.TimerHandle | None = None
    read_at: float = -math.inf
    wish: int = 0

    @property
    def age(self) -> float:
        """Age of the board in seconds; infinite for one of the future, which the clock was ahead for."""
        age = math.inf if self.board is None else LoopClock().unix() - self.board.as_of.timestamp()
        return age if age > -_SKEW else math.inf

    @property
    def is_old(self) -> bool:
        """Whether the board is shown as old."""
        return _STALE < self.age < math.inf

    @property
    def shown_notice(self) -> Notice | None:
        """The notice, if the board is missing or old, or will never be newer."""
        is_final = self.notice is not None and self.notice.kind in {"gone", "failed"}
        return self.notice if self.board is None or self.is_old or is_final else None

    @property
    def key(self) -> str:
        """Key of the board in the store."""
        return f"board:{self.account}:{self.site.id}:{self.name}"


class Boards:
    """The boards of one worker; use it in `async with`.

    Args:
        fathom: Client that sends the requests.
        store: The store in which the workers share answers and boards.
        account: Name of the account in the store.
        speed: Speed of the client's clock; 1 is real time.

    Attributes:
        stopping: Set when the dashboard stops.
    """

    def __init__(self, fathom: FathomClient, store: ReportStore, account: str, speed: float = 1.0) -> None:
        self._fathom = fathom.with_options(max_wait=None, priority=Priority.INTERACTIVE)
        self._store = store
        self._account = account
        self._speed = speed
        self._cards: dict[tuple[str, RangeName], Card] = {}
        self._turns = _Turns(_AT_ONCE)
        self._wish: tuple[int, RangeName] = (0, RangeName.MONTH)
        self.stopping = asyncio.Event()

    def look(self, site: Site, name: RangeName, seconds: float) -> Card:
        """Return a board as it is now, and keep it up to date for some seconds (rule 1)."""
        card = self._card(site, name)
        card.site = site
        if self.stopping.is_set():
            return card
        if card.keeper is None or card.keeper.done():
            if name != self._wish[1]:
                self._wish = (self._wish[0] + 1, name)
            card.wish = self._wish[0]
            card.keeper = asyncio.create_task(self._keep(card))
        if card.drop is not None:
            card.drop.cancel()
        card.drop = asyncio.get_running_loop().call_later(seconds, card.keeper.cancel)
        return card

    def _card(self, site: Site, name: RangeName) -> Card:
        return self._cards.setdefault((site.id, name), Card(site, name, self._account))

    async def get(self, site: Site, name: RangeName, seconds: float) -> Card:
        """Look at a board, and at the store first if this worker has no new one."""
        card = self.look(site, name, seconds)
        now = asyncio.get_running_loop().time()
        if card.board is None or (card.age >= _FRESH and now >= card.read_at + _TICK):
            card.read_at = now
            with suppress(FathomError, TimeoutError):
                async with asyncio.timeout(_PAGE_WAITS):
                    await self._read(card)
        return card

    async def warm(self, sites: Iterable[Site], name: RangeName) -> None:
        """Read the boards of a range from the store."""
        for site in sites:
            await self._read(self._card(site, name))

    def stop(self) -> None:
        """Cancel unfinished boards, and start no more."""
        self.stopping.set()
        for card in self._cards.values():
            if card.keeper is not None:
                card.keeper.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        keepers = [card.keeper for card in self._cards.values() if card.keeper is not None]
        await asyncio.gather(*keepers, return_exceptions=True)

    async def _keep(self, card: Card) -> None:
        """Keep a board up to date until cancelled."""
        while True:
            try:
                await self._read(card)
                if card.age >= _FRESH:
                    await self._renew(card)
                await asyncio.sleep(max(_TICK, _FRESH - card.age))
            except Exception as error:  # noqa: BLE001 - a bug, too, must not be met again at once
                cause = _cause(error)
                bug = None if isinstance(cause, FathomError) else cause
                _log.warning("cannot show a board: %s", cause, exc_info=bug)
                card.notice = _notice_of(cause)
                await asyncio.sleep(min(card.notice.retry_in, _LONGEST_RETRY))

    async def _renew(self, card: Card) -> None:
        """Make a board, or wait for the worker that does (rule 2)."""
        async with self._store.claim([card.key]) as mine:
            if mine:
                await self._read(card)
                if card.age >= _FRESH:
                    await self._make(card)
                return

        async def read_notice() -> None:
            kept = await self._store.get_many([f"notice:{card.key}"])
            card.notice = next((_NOTICE.decode(entry.body) for entry in kept.values()), card.notice)

        await _meanwhile(self._store.wait(card.key), read_notice)

    async def _make(self, card: Card) -> None:
        making = _Making()
        told: Notice | None = None

        async def tell() -> None:
            nonlocal told
            if not making.has_begun:
                making.note(Progress(REPORTS, seconds_left=self._fathom.eta(REPORTS)), self._speed)
            card.notice = making.notice(self._fathom.limits["reports"], self._speed)
            if card.notice != told:
                told = card.notice
                now = LoopClock().unix()
                entry = CacheEntry(msgspec.json.encode(told), now, drop_after=now + _LONGEST_RETRY)
                await self._store.put_many({f"notice:{card.key}": entry})

        async def ask() -> Board:
            async with self._turns.turn(card.wish):
                making.has_begun = True
                return await self._ask(card, making)

        card.board = board = await _meanwhile(ask(), tell)
        card.notice = None
        at = board.as_of.timestamp()
        await self._store.put_many(
            {card.key: CacheEntry(msgspec.json.encode(board), at, drop_after=at + _KEPT)}
        )

    async def _ask(self, card: Card, making: "_Making") -> Board:
        site, span, now = card.site, RANGES[card.name], now_at(card.site)
        questions = Questions.about(site, span, now)
        reports = self._fathom.reports
        async with asyncio.TaskGroup() as group:
            comparing = group.create_task(
                reports.compare(
                    questions.figures,
                    over=span.words,
                    now=now.replace(tzinfo=None),
                    store=self._store,
                    keeping=_KEEPING,
                )
            )
            comparing.add_done_callback(making.note_comparison)
            run = reports.run(
                (questions.series, questions.pages, questions.referrers),
                store=self._store,
                keeping=_KEEPING,
                priority=Priority.INTERACTIVE,
                on_progress=lambda progress: making.note(progress, self._speed),
            )
            async with aclosing(run):
                outcomes = sorted([outcome async for outcome in run], key=attrgetter("position"))
        series, *rankings = (outcome.result() for outcome in outcomes)
        asked_at = min(outcome.asked_at or now.timestamp() for outcome in outcomes)
        return Board.of(
            site,
            span,
            now,
            compared=comparing.result(),
            series=series,
            rankings=rankings,
            as_of=datetime.fromtimestamp(asked_at, now.tzinfo),
        )

    async def _read(self, card: Card) -> None:
        """Read a newer board from the store."""
        for entry in (await self._store.get_many([card.key])).values():
            if card.board is None or card.age == math.inf or entry.asked_at > card.board.as_of.timestamp():
                try:
                    card.board, card.notice = _BOARD.decode(entry.body), None
                except msgspec.DecodeError:  # of another version
                    _log.info("a stored board cannot be read, and is made anew")


class _Turns:
    """Lets some go at a time: those of the highest rank first, and in the order they came (rule 4)."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._number = count()

    @asynccontextmanager
    async def turn(self, rank: int) -> AsyncGenerator[None]:
        """Wait for a turn, which the block is."""
        mine = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (-rank, next(self._number), mine))
        self._wake()
        try:
            await mine
            yield
        finally:
            if not mine.cancelled():
                self._free += 1
                self._wake()

    def _wake(self) -> None:
        while self._free and self._waiting:
            *_, first = heappop(self._waiting)
            if not first.done():
                self._free -= 1
                first.set_result(None)


@define
class _Making:
    """How far a board is."""

    has_begun: bool = False
    done: int = 0
    compared: int = 0
    ready_at: float = 0.0

    def note(self, progress: Progress, speed: float) -> None:
        self.done = progress.done - progress.failed
        self.ready_at = asyncio.get_running_loop().time() + progress.seconds_left / speed

    def note_comparison(self, _: object) -> None:
        self.compared = 2

    def notice(self, lane: LaneStatus, speed: float) -> Notice:
        """Return what to tell visitors."""
        done = f"{self.done + self.compared} of {REPORTS} reports"
        left = self.ready_at - asyncio.get_running_loop().time()
        if lane.budget == "lost":
            return Notice("away", "The budget that the workers share is out of reach; trying again")
        if lane.away_for is not None:
            since, next_try = lasting(lane.away_for / speed), lasting(lane.retry_in / speed)
            return Notice("away", f"Fathom has not answered for {since}; the next try is in {next_try}")
        if left > _TICK:
            return Notice("busy", f"Waiting for Fathom's rate limit: {done}, about {lasting(left)}")
        return Notice("loading", f"Loading: {done}", _TICK)


def lasting(seconds: float) -> str:
    """Return a duration as visitors read it."""
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{5 * math.ceil(seconds / 5)} s"  # in steps, so that pages do not change each second


async def _meanwhile(doing: Coroutine[None, None, T], act: Callable[[], Awaitable[None]]) -> T:
    """Act every second until something is done; return its result."""
    task = asyncio.create_task(doing)
    try:
        while not task.done():
            await act()
            await asyncio.wait((task,), timeout=_TICK)
        return task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _cause(error: Exception) -> Exception:
    if isinstance(error, ExceptionGroup):
        group = cast("ExceptionGroup[Exception]", error)
        return _cause(group.exceptions[0])
    return error


def _notice_of(error: Exception) -> Notice:
    match error:
        case NotFoundError() | PermissionDeniedError():
            return GONE
        case RateLimitError():
            return Notice("busy", "Waiting for Fathom's rate limit", error.retry_after or _RETRY)
        case FathomError():
            reply = reply_to(error)
            if reply.retry_after is None and reply.is_ours:
                return Notice("failed", reply.detail, _LONGEST_RETRY)
            return Notice("away", "Fathom does not answer; trying again", reply.retry_after or _RETRY)
        case _:
            return Notice("failed", "Something went wrong; the server's log has the details", _LONGEST_RETRY)
