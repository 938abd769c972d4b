"""One request of a run: claimed, sent in chunks where the server limits its range, and what came of it.

**Chunks.** The server groups at most 7 days by the hour (`fathom_async._reports.query.hour_chunks`). Reports of the
chunks are joined row by row.

**Claims.** With a store, a request claims its queries when it is admitted, and not while it waits in the lane. Claims
held by a waiting request would have the urgent wait for the patient: a page would stand behind the bulk run that asks
the same in ten minutes. So everybody waits in the lane, by their own priority, and whether a request is still needed
is decided once it has a permit. If it is not, the permit goes to the next one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self

import attrs
from attrs import evolve

from fathom_async._bulk.fusing import Fused
from fathom_async._cache.report_cache import ReportCache
from fathom_async._core.codec.rows import RowT
from fathom_async._core.session import Caller
from fathom_async._endpoints import aggregation
from fathom_async._reports.query import Query, hour_chunks
from fathom_async._reports.report import Report, sort_rows
from fathom_async._util.tasks import gather_all
from fathom_async.errors import APIError, DecodeError, FathomError, ServerError

if TYPE_CHECKING:
    from fathom_async._cache.report_cache import Found


Ask = Callable[[Query[RowT]], Awaitable[Report[RowT]]]
"""Runs one query."""


async def by_the_hour(query: Query[RowT], ask: Ask[RowT]) -> Report[RowT]:
    """Return the report of a query, joined from chunks if its range is too long for one request.

    Args:
        query: Any query.
        ask: Runs one chunk.
    """
    chunks = hour_chunks(query)
    if len(chunks) == 1:
        return await ask(query)
    reports = await gather_all(_run(ask, chunk) for chunk in chunks)
    rows = sort_rows(query, (row for report in reports for row in report))
    is_cut = len(rows) >= query.limit if query.limit else any(report.truncated for report in reports)
    return Report(query, tuple(rows[: query.limit]), truncated=is_cut)


async def _run(ask: Ask[RowT], query: Query[RowT]) -> Report[RowT]:
    return await ask(query)


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


_REFUSED_QUESTIONS = (
    # A part of what was fused may be good where the whole was refused.
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.REQUEST_URI_TOO_LONG,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)


@attrs.frozen
class Answer(Generic[RowT]):
    """The server's answer to one request.

    Attributes:
        reports: The report of each query that was asked; that of the request itself where it is not trusted.
        asked_at: Unix seconds when it was asked.
        is_trusted: Whether the reports of the queries could be told from it.
    """

    reports: Mapping[Query[RowT], Report[RowT]]
    asked_at: float
    is_trusted: bool


def answer_to(group: Fused[RowT], report: Report[RowT], asked_at: float) -> Answer[RowT]:
    """Return the answer that a report of a fused request is."""
    parts = group.split(report)
    if parts is None:
        return Answer({group.query: report}, asked_at, is_trusted=False)
    queries = [asked.query for asked in group.asked]
    return Answer(dict(zip(queries, parts, strict=True)), asked_at, is_trusted=True)


def is_refused_question(error: FathomError) -> bool:
    """Whether the server refused what was asked, rather than failed to answer it."""
    return isinstance(error, APIError) and error.status in _REFUSED_QUESTIONS


def may_be_in_part(error: FathomError) -> bool:
    """Whether a part of a question may be answered where the whole was not."""
    return is_refused_question(error) or isinstance(error, ServerError | TimeoutError | DecodeError)


def as_asked(query: Query[RowT], report: Report[RowT]) -> Report[RowT]:
    """Return the report with the columns in the order of the query, which asks for the same."""
    if query.columns == report.columns:
        return attrs.evolve(report, query=query)
    return attrs.evolve(query.read(report.to_json()), truncated=report.truncated)


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
