"""One query of a run, asked: its requests, and when they left."""

import asyncio
from collections.abc import Awaitable, Callable

from attrs import evolve

from fathom_async._bulk.hours import by_the_hour
from fathom_async._cache.report_cache import ReportCache
from fathom_async._core.codec.rows import RowT
from fathom_async._core.session import Caller
from fathom_async._endpoints import aggregation
from fathom_async._reports.query import Query
from fathom_async._reports.report import Report

Admitted = Callable[[], Awaitable[None]]
"""Awaited when a request is admitted; what it raises gives its permit back."""


async def ask(
    caller: Caller,
    query: Query[RowT],
    on_sent: Callable[[], None],
    *,
    cache: ReportCache | None = None,
    on_admitted: Admitted | None = None,
) -> tuple[Report[RowT], float]:
    """Ask the server; return the report, and the Unix seconds when the first request for it left.

    Pieces of a long report are kept one by one, so that one that is broken off need not begin anew.

    Args:
        caller: Sends.
        query: What to ask.
        on_sent: Called whenever a request leaves.
        cache: Where pieces are kept; None keeps none.
        on_admitted: See `fathom_async._core.request.Request`.
    """
    session, asked_at = caller.session, list[float]()

    async def ask_piece(piece: Query[RowT]) -> Report[RowT]:
        left: list[float] = []

        def note() -> None:
            left.append(session.unix())
            on_sent()

        if piece is not query and cache is not None and (kept := await cache.kept_for_good(piece)):
            return kept
        request = aggregation(piece)
        report = await caller(
            evolve(request, is_shared=on_admitted is None, on_admitted=on_admitted, on_sent=note)
        )
        # Whoever shares a request of another task does not know when it left; the timeout bounds it.
        at = min(left, default=session.unix() - caller.options.timeout)
        asked_at.append(at)
        if piece is not query and cache is not None:
            await asyncio.shield(session.scope.spawn(cache.put({piece: report}, at)))
        return report

    report = await by_the_hour(query, ask_piece)
    return report, min(asked_at, default=session.unix())
