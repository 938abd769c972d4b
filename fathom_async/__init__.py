"""Async client for the Fathom Analytics API with a rate-limit-aware scheduler."""

from fathom_async.client import FathomClient
from fathom_async.errors import (
    APIError,
    ArgumentError,
    AuthenticationError,
    BudgetError,
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
    TransportError,
    ValidationError,
    WaitTooLongError,
)
from fathom_async.errors import TimeoutError as TimeoutError  # noqa: A004 - left out of `import *`
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
from fathom_async.reports.errors import InconsistentError, InseparableError
from fathom_async.reports.filters import Filter, where
from fathom_async.reports.live import LiveVisitors
from fathom_async.reports.periods import Period
from fathom_async.reports.query import EventQuery, PageviewQuery
from fathom_async.reports.report import Report
from fathom_async.reports.rows import EventRow, PageviewRow
from fathom_async.retry import RetryPolicy
from fathom_async.telemetry import Stats
from fathom_async.version import __version__

__all__ = [
    "APIError",
    "Account",
    "ArgumentError",
    "AuthenticationError",
    "BudgetError",
    "ClosedError",
    "ConnectError",
    "CurrentVisitors",
    "DecodeError",
    "Deleted",
    "Event",
    "EventQuery",
    "EventRow",
    "FathomClient",
    "FathomError",
    "Filter",
    "GoneError",
    "InconsistentError",
    "InseparableError",
    "LaneStatus",
    "Listing",
    "LiveVisitors",
    "LoopClock",
    "Milestone",
    "NotFoundError",
    "Page",
    "PageviewQuery",
    "PageviewRow",
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
    "Stats",
    "Token",
    "TransportError",
    "ValidationError",
    "WaitTooLongError",
    "__version__",
    "where",
]
