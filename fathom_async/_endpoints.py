"""Requests that several parts of the package send, as pure values."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from fathom_async._core.codec.objects import object_decoder, page_decoder
from fathom_async._core.codec.rows import RowT
from fathom_async._core.request import Request, id_of, path
from fathom_async._reports.query import Query, check_length
from fathom_async._reports.report import Report
from fathom_async._util.checks import identifier
from fathom_async.models import Account, CurrentVisitors, Page, Site

T = TypeVar("T")

_ACCOUNT = object_decoder(Account)
_SITE = object_decoder(Site)
_SITES = page_decoder(Site)
_VISITORS = object_decoder(CurrentVisitors, content=[], referrers=[])


def account() -> Request[Account]:
    """Return the request for the account of the token. Source: https://usefathom.com/api/v1#account."""
    return Request("GET", "/account", _ACCOUNT)


def site(site_id: str | Site) -> Request[Site]:
    """Return the request for a site. Source: https://usefathom.com/api/v1#sites."""
    return Request("GET", path("/sites/{}", site_id), _SITE)


def sites(params: Mapping[str, str]) -> Request[Page[Site]]:
    """Return the request for a page of the sites. Source: https://usefathom.com/api/v1#sites."""
    return Request("GET", "/sites", _SITES, params=params)


def aggregation(query: Query[RowT]) -> Request[Report[RowT]]:
    """Return the request of a query that the server can answer as is. Source: https://usefathom.com/api/v1#reports.

    Raises:
        QueryError: The query does not fit into a URL.
    """
    check_length(query)
    return _report("/aggregations", query.read, query.params())


def current_visitors(site_id: str | Site, *, detailed: bool) -> Request[CurrentVisitors]:
    """Return the request for a site's current visitors. Source: https://usefathom.com/api/v1#reports."""
    params = {"site_id": identifier("site_id", id_of(site_id))} | ({"detailed": "true"} if detailed else {})
    return _report("/current_visitors", _VISITORS, params)


def _report(path: str, decode: Callable[[bytes], T], params: Mapping[str, str]) -> Request[T]:
    return Request("GET", path, decode, params, lane="reports", is_shared=True)
