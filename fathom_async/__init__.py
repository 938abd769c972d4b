"""Async client for the Fathom Analytics API with a rate-limit-aware scheduler."""

from fathom_async.client import FathomClient
from fathom_async.errors import (
    APIError,
    ArgumentError,
    AuthenticationError,
    ClosedError,
    ConnectError,
    DecodeError,
    FathomError,
    GoneError,
    NotFoundError,
    PagingError,
    PermissionDeniedError,
    QueryError,
    RateLimitError,
    ServerError,
    TimeoutError,  # noqa: A004 - ours is one
    TransportError,
    ValidationError,
    WaitTooLongError,
)
from fathom_async.models import (
    Account,
    CurrentVisitors,
    Deleted,
    Event,
    Milestone,
    Page,
    Site,
    Token,
)
from fathom_async.pagination import Listing
from fathom_async.ratelimit.clock import LoopClock
from fathom_async.ratelimit.plan import LaneStatus, Priority, RateLimit, RatePlan
from fathom_async.reports.filters import Filter, where
from fathom_async.reports.periods import Period
from fathom_async.reports.query import EventQuery, PageviewQuery
from fathom_async.reports.report import Report
from fathom_async.retry import RetryPolicy
from fathom_async.version import __version__

__all__ = [
    "APIError",
    "Account",
    "ArgumentError",
    "AuthenticationError",
    "ClosedError",
    "ConnectError",
    "CurrentVisitors",
    "DecodeError",
    "Deleted",
    "Event",
    "EventQuery",
    "FathomClient",
    "FathomError",
    "Filter",
    "GoneError",
    "LaneStatus",
    "Listing",
    "LoopClock",
    "Milestone",
    "NotFoundError",
    "Page",
    "PageviewQuery",
    "PagingError",
    "Period",
    "PermissionDeniedError",
    "Priority",
    "QueryError",
    "RateLimit",
    "RateLimitError",
    "RatePlan",
    "Report",
    "RetryPolicy",
    "ServerError",
    "Site",
    "TimeoutError",
    "Token",
    "TransportError",
    "ValidationError",
    "WaitTooLongError",
    "__version__",
    "where",
]
