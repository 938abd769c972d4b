"""Reports by the hour over more than the 7 days that the server groups so at once.

The range is cut at whole hours of the site's clock. An hour is one bucket of one piece, so that every figure of a
row is what the server would have said, unique visitors too. Where there is room for it, cuts are at noon, which
every day of every time zone has exactly once. Any other unit of dates is not cut, nor are totals: visitors of two
pieces would be counted twice.
"""

import math
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

from fathom_async._core.codec.rows import RowT
from fathom_async._reports.fields import DATE_COLUMN, TIMESTAMP
from fathom_async._reports.ordering import in_order
from fathom_async._reports.query import HOUR_GROUPING_SPAN, Query
from fathom_async._reports.report import Report
from fathom_async._util.tasks import gather_all
from fathom_async.errors import QueryError

Ask = Callable[[Query[RowT]], Awaitable[Report[RowT]]]

_SECOND: Final = timedelta(seconds=1)
_NOON: Final = 12


def hour_pieces(query: Query[RowT]) -> list[Query[RowT]]:
    """Return queries that the server groups by hour, and whose rows together are those of the query.

    Raises:
        QueryError: The range is open at one end, or a limit of the whole is no limit of its pieces.
    """
    if not query.exceeds_hour_span:
        return [query]
    if query.date_from is None or query.date_to is None:
        raise QueryError(
            "the server groups at most 7 days by the hour, and a range that is open at one end may be longer; "
            "write date_from and date_to, or e.g. query.over('last 7 days', now=...)"
        )
    if query.limit is not None and not _sorts_exactly(query):
        raise QueryError(
            f"limit={query.limit} over more than 7 days by the hour is several requests, and which rows come "
            "first is known only by 'timestamp' or an aggregate; sort by one of these, or leave out limit"
        )
    spans = _spans(query.date_from, query.date_to)
    return [query.replace(date_from=first, date_to=last) for first, last in spans]


async def by_the_hour(query: Query[RowT], ask: Ask[RowT]) -> Report[RowT]:
    """Return the report of a query, put together from pieces where the server would refuse it whole.

    Args:
        query: Any query.
        ask: Runs one that the server takes.
    """
    pieces = hour_pieces(query)
    if len(pieces) == 1:
        return await ask(query)
    reports = await gather_all(_run(ask, piece) for piece in pieces)
    rows = in_order(query, (row for report in reports for row in report))
    is_cut = len(rows) >= query.limit if query.limit else any(report.truncated for report in reports)
    return Report(query, tuple(rows[: query.limit]), truncated=is_cut)


async def _run(ask: Ask[RowT], query: Query[RowT]) -> Report[RowT]:
    return await ask(query)


def _sorts_exactly(query: Query[RowT]) -> bool:
    """Whether the first rows of the whole are among the first rows of the pieces."""
    column = (query.sort_by or "").partition(":")[0]
    return column in {DATE_COLUMN, TIMESTAMP, *query.aggregates}


def _spans(first: datetime, last: datetime) -> Iterator[tuple[datetime, datetime]]:
    while last - first > HOUR_GROUPING_SPAN:
        cut = _cut(first, last)
        yield first, cut - _SECOND
        first = cut
    yield first, last


def _cut(first: datetime, last: datetime) -> datetime:
    """Return where the second piece begins: at noon if that does not take a piece more."""
    latest = (first + HOUR_GROUPING_SPAN).replace(minute=0, second=0)
    noon = latest.replace(hour=_NOON) - timedelta(days=latest.hour < _NOON)
    after = math.ceil((last - latest) / HOUR_GROUPING_SPAN)
    return noon if last - noon < after * HOUR_GROUPING_SPAN else latest
