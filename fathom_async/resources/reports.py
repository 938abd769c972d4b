"""Endpoints of reports. Source: https://usefathom.com/api/v1#reports."""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

from fathom_async.arguments import identifier
from fathom_async.codec.objects import object_decoder
from fathom_async.codec.rows import RowT
from fathom_async.models import CurrentVisitors
from fathom_async.reports.complete import complete
from fathom_async.reports.hours import by_the_hour
from fathom_async.reports.live import LiveVisitors, check_sites, interval, watch
from fathom_async.reports.query import Query
from fathom_async.reports.report import Report
from fathom_async.request import Request
from fathom_async.session import Caller

T = TypeVar("T")

_VISITORS = object_decoder(CurrentVisitors)


class ReportsResource:
    """Ad-hoc reports; all of them share the scarce reports lane. Source: https://usefathom.com/api/v1#reports."""

    def __init__(self, send: Caller) -> None:
        self._send = send

    async def aggregate(self, query: Query[RowT]) -> Report[RowT]:
        """Run one report.

        It is one request, except that more than 7 days by the hour are asked for in pieces of 7 days, which lie
        side by side without changing any figure.

        Args:
            query: A `PageviewQuery` or an `EventQuery`.

        Raises:
            QueryError: The pieces of the range would not make up the report; the message says why.
            NotFoundError: There is no such site, or the token cannot see it.
            ValidationError: The server refused the query, though it looked right.
        """
        return await by_the_hour(query, self._ask)

    async def complete(self, query: Query[RowT]) -> Report[RowT]:
        """Run one report with every row, past the 1,000 rows at which the server stops.

        The groups are parted by filters, asked for part by part, and joined: two requests for each 1,000 rows at
        the most as a rule, and a few more. Parts are asked at different moments, so that a report which must be
        of one moment ends in the past. Rows come in the order of ``sort_by``, texts by code point.

        Args:
            query: A `PageviewQuery` or an `EventQuery` without a ``limit``.

        Raises:
            QueryError: The query has a limit.
            InseparableError: No filter tells some of the rows apart; the message says what to change.
            InconsistentError: The server's answers contradict each other, so that rows might be wrong or missing.
            ValidationError: The server refused the query, though it looked right.
        """
        return await complete(query, self._ask)

    async def current_visitors(self, site_id: str, *, detailed: bool = False) -> CurrentVisitors:
        """Return who is on a site right now.

        Args:
            site_id: Id of the site.
            detailed: Whether to return the top 150 pages and referrers too.

        Raises:
            ArgumentError: The id is empty.
            NotFoundError: There is no such site.
        """
        params = {"site_id": identifier("site_id", site_id)} | ({"detailed": "true"} if detailed else {})
        return await self._send(_scarce("/current_visitors", _VISITORS, params))

    def live(
        self, site_ids: Iterable[str], *, every: float = 60.0, share: float = 0.5, detailed: bool = False
    ) -> AsyncGenerator[LiveVisitors, None]:
        """Watch the current visitors of sites, until the iteration ends or the client is closed.

        One request at a time goes out, to the sites in turn and evenly spaced. An error is an outcome like any
        other, and does not end the iteration. Nothing runs between two steps of it.

        Args:
            site_ids: Ids of the sites.
            every: Seconds from one request for a site to the next; more of them where the share demands it.
            share: How much of the reports lane may be spent on this.
            detailed: Whether to return the top 150 pages and referrers too.

        Raises:
            ArgumentError: An argument is out of range, or an id is empty.
        """
        sites = check_sites(site_ids)
        seconds = interval(len(sites), every, share, self._send.lane("reports").limit)
        return watch(sites, seconds, partial(self.current_visitors, detailed=detailed), self._send)

    async def _ask(self, query: Query[RowT]) -> Report[RowT]:
        return await self._send(_scarce("/aggregations", query.read, query.params()))


def _scarce(path: str, decode: Callable[[bytes], T], params: Mapping[str, str]) -> Request[T]:
    return Request("GET", path, decode, params, lane="reports", is_shared=True)
