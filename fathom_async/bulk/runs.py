"""Makes runs for a client: what they ask through, and where their answers are kept."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from functools import partial
from os import PathLike, fspath
from typing import Protocol

from fathom_async.bulk.fusing import Fused, fuse
from fathom_async.bulk.intents import Intents
from fathom_async.bulk.plan import BulkPlan
from fathom_async.bulk.progress import OnProgress
from fathom_async.bulk.run import Run
from fathom_async.bulk.shelf import Shelf
from fathom_async.bulk.site_clocks import SiteClocks
from fathom_async.caller import Caller
from fathom_async.codec.rows import Row, RowT
from fathom_async.errors import ArgumentError
from fathom_async.ratelimit.plan import Priority, priority_of
from fathom_async.reports.hours import by_the_hour, hour_pieces
from fathom_async.reports.query import Query
from fathom_async.reports.report import Report
from fathom_async.store.freshness import Keeping
from fathom_async.store.open import open_store
from fathom_async.store.protocol import ReportStore

Store = ReportStore | str | PathLike[str]


class AskWith(Protocol):
    """Sends one question through a caller."""

    def __call__(
        self,
        send: Caller,
        query: Query[RowT],
        on_sent: Callable[[], None],
        on_admitted: Callable[[], Awaitable[None]] | None,
    ) -> Coroutine[object, object, Report[RowT]]:
        """Return the report; for the callbacks, see `fathom_async.request.Request`."""
        ...


class Runs:
    """Makes plans and runs for one caller.

    Args:
        send: Sends.
        ask: Asks one question that the server takes as it is.
        zone_of: Returns the TZ database name of a site's time zone.
    """

    def __init__(self, send: Caller, ask: AskWith, zone_of: Callable[[str], Awaitable[str | None]]) -> None:
        self._send = send
        self._ask_with = ask
        self._zone_of = zone_of

    def plan(self, queries: Iterable[Query[RowT]], *, is_fused: bool) -> BulkPlan[RowT]:
        """Return what a run would send; see `ReportsResource.plan`."""
        first: dict[Query[RowT], Query[RowT]] = {}
        asked = [first.setdefault(query, query) for query in _checked(queries)]  # a run asks equal ones once
        groups = fuse(asked) if is_fused else _each(asked)
        requests = sum(_pieces(group.query) for group in groups)
        seconds = self._send.lane("reports").eta(requests, Priority.BULK) if requests else 0.0
        return BulkPlan(groups, len(asked), requests, seconds)

    def run(
        self,
        queries: Iterable[Query[RowT]],
        *,
        is_fused: bool,
        store: Store | None,
        keeping: Keeping | None,
        priority: Priority,
        on_progress: OnProgress | None,
    ) -> Run[RowT]:
        """Return a run; see `ReportsResource.run`."""
        if keeping is not None and store is None:
            raise ArgumentError("keeping says how long a store's answers are good for; name a store too")
        urgency = priority_of(priority)
        shelf = None if store is None else self._shelf(store, keeping or Keeping())
        max_wait = self._send.max_wait
        return Run(
            _checked(queries),
            partial(self._ask, self._send.with_priority(urgency), shelf),
            ask_later=partial(self._ask, self._send.in_the_background(), shelf),
            spawn=self._send.spawn,
            pieces=_pieces,
            eta=partial(self._eta, urgency),
            priority=urgency,
            patience=None if max_wait is None else max_wait / self._send.speed,
            shelf=shelf,
            is_fused=is_fused,
            on_progress=on_progress,
        )

    async def _ask(
        self,
        send: Caller,
        shelf: Shelf | None,
        query: Query[RowT],
        on_sent: Callable[[], None],
        on_admitted: Callable[[], Awaitable[None]] | None,
    ) -> tuple[Report[RowT], float]:
        """Ask the server; return the report, and the Unix seconds when the first question for it left.

        Pieces of a long report are kept one by one, so that one that is broken off need not begin anew.
        """
        sent: list[float] = []

        async def ask(piece: Query[RowT]) -> Report[RowT]:
            left: list[float] = []

            def note() -> None:
                left.append(send.unix())
                on_sent()

            if piece is not query and shelf is not None and (kept := await shelf.kept_for_good(piece)):
                return kept
            report = await self._ask_with(send, piece, note, on_admitted)
            # Whoever shares a request of somebody else's is not told when it left; the timeout bounds it.
            asked_at = min(left, default=send.unix() - send.timeout)
            sent.append(asked_at)
            if piece is not query and shelf is not None:
                await asyncio.shield(send.spawn(shelf.put({piece: report}, asked_at)))
            return report

        report = await by_the_hour(query, ask)
        return report, min(sent, default=send.unix())

    def _eta(self, priority: Priority, requests: int) -> float:
        return self._send.lane("reports").eta(requests, priority)

    def _shelf(self, store: Store, keeping: Keeping) -> Shelf:
        clocks = self._send.owned("site clocks", lambda: SiteClocks(self._zone_of))
        intents = self._send.owned("intents", Intents)
        return Shelf(self._opened(store), keeping, self._send.account, clocks, intents, self._send.unix)

    def _opened(self, store: Store) -> ReportStore:
        """Return the store at a place, which the client keeps open for the next run, and for what is refreshed."""
        if isinstance(store, ReportStore):
            return store
        if not isinstance(store, str | PathLike):
            raise ArgumentError(
                f"store must be a path, memory://, a redis:// URL or a ReportStore, not {store!r}"
            )
        return self._send.owned(("store", fspath(store)), lambda: open_store(store, clock=self._send.unix))


def _checked(queries: Iterable[Query[RowT]]) -> Sequence[Query[RowT]]:
    """Return the queries, all of which can be asked.

    Raises:
        ArgumentError: One of them is no query.
        QueryError: One of them cannot be asked at all.
    """
    if isinstance(queries, Query):
        raise ArgumentError("queries takes a list of queries; for a single one write [query]")
    asked = list(queries)
    for position, query in enumerate(asked):
        if not isinstance(query, Query):
            raise ArgumentError(
                f"queries[{position}] must be a PageviewQuery or an EventQuery, not {query!r}"
            )
        hour_pieces(query)
    return asked


def _pieces(query: Query[Row]) -> int:
    return len(hour_pieces(query))


def _each(queries: Sequence[Query[RowT]]) -> Sequence[Fused[RowT]]:
    return [group for query in dict.fromkeys(queries) for group in fuse([query])]
