"""Endpoints of reports. Source: https://usefathom.com/api/v1#reports."""

from fathom_async.arguments import identifier
from fathom_async.codec.objects import object_decoder
from fathom_async.codec.rows import RowT
from fathom_async.models import CurrentVisitors
from fathom_async.reports.query import Query
from fathom_async.reports.report import Report
from fathom_async.request import Request
from fathom_async.session import Caller

_VISITORS = object_decoder(CurrentVisitors)


class ReportsResource:
    """Ad-hoc reports; all of them share the scarce reports lane. Source: https://usefathom.com/api/v1#reports."""

    def __init__(self, send: Caller) -> None:
        self._send = send

    async def aggregate(self, query: Query[RowT]) -> Report[RowT]:
        """Run one report.

        Args:
            query: A `PageviewQuery` or an `EventQuery`.

        Raises:
            NotFoundError: There is no such site, or the token cannot see it.
            ValidationError: The server refused the query, though it looked right.
        """
        return await self._send(
            Request("GET", "/aggregations", query.read, params=query.params(), lane="reports")
        )

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
        return await self._send(Request("GET", "/current_visitors", _VISITORS, params=params, lane="reports"))
