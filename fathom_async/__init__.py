"""Async client for the Fathom Analytics API with a rate-limit-aware scheduler."""

from importlib import import_module
from typing import TYPE_CHECKING

from fathom_async._util.moved import renamed
from fathom_async._version import __version__

if TYPE_CHECKING:
    from fathom_async._bulk.complete import InconsistentError, InseparableError
    from fathom_async._bulk.live import LiveVisitors
    from fathom_async._bulk.results import BulkError, BulkPlan, Outcome, Progress
    from fathom_async._cache.entry import CachePolicy
    from fathom_async._core.pagination import Listing
    from fathom_async._core.retry import RetryPolicy
    from fathom_async._ratelimit.plan import LaneStatus, Priority, RateLimit, RatePlan
    from fathom_async._reports.filters import Filter, where
    from fathom_async._reports.periods import Period
    from fathom_async._reports.query import EventQuery, PageviewQuery
    from fathom_async._reports.report import Report
    from fathom_async._reports.rows import EventRow, PageviewRow
    from fathom_async._util.clock import LoopClock
    from fathom_async.client import FathomClient
    from fathom_async.errors import (
        APIError,
        ArgumentError,
        AuthenticationError,
        BudgetError,
        ClosedError,
        ConfigurationError,
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
        StoreError,
        TransportError,
        UnsortedLimitWarning,
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
    from fathom_async.telemetry import Stats

__all__ = [
    "APIError",
    "Account",
    "ArgumentError",
    "AuthenticationError",
    "BudgetError",
    "BulkError",
    "BulkPlan",
    "CachePolicy",
    "ClosedError",
    "ConfigurationError",
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
    "Outcome",
    "Page",
    "PageviewQuery",
    "PageviewRow",
    "PagingError",
    "Period",
    "PermissionDeniedError",
    "Priority",
    "Progress",
    "QueryError",
    "RateLimit",
    "RateLimitError",
    "RatePlan",
    "Report",
    "RetryPolicy",
    "ServerError",
    "Site",
    "Stats",
    "StoreError",
    "Token",
    "TransportError",
    "UnsortedLimitWarning",
    "ValidationError",
    "WaitTooLongError",
    "__version__",
    "where",
]

# Names are imported when they are used, so that the command starts without what it does not need.
_MODULES = {
    "_bulk.results": ("BulkError", "BulkPlan", "Outcome", "Progress"),
    "client": ("FathomClient",),
    "errors": (
        "APIError",
        "ArgumentError",
        "AuthenticationError",
        "BudgetError",
        "ClosedError",
        "ConfigurationError",
        "ConnectError",
        "DecodeError",
        "FathomError",
        "GoneError",
        "NotFoundError",
        "PagingError",
        "PermissionDeniedError",
        "QueryError",
        "RateLimitError",
        "ServerError",
        "StoreError",
        "TimeoutError",
        "TransportError",
        "UnsortedLimitWarning",
        "ValidationError",
        "WaitTooLongError",
    ),
    "models": ("Account", "CurrentVisitors", "Deleted", "Event", "Milestone", "Page", "Site", "Token"),
    "_core.pagination": ("Listing",),
    "_util.clock": ("LoopClock",),
    "_ratelimit.plan": ("LaneStatus", "Priority", "RateLimit", "RatePlan"),
    "_bulk.complete": ("InconsistentError", "InseparableError"),
    "_reports.filters": ("Filter", "where"),
    "_bulk.live": ("LiveVisitors",),
    "_reports.periods": ("Period",),
    "_reports.query": ("EventQuery", "PageviewQuery"),
    "_reports.report": ("Report",),
    "_reports.rows": ("EventRow", "PageviewRow"),
    "_core.retry": ("RetryPolicy",),
    "_cache.entry": ("CachePolicy",),
    "telemetry": ("Stats",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def _find(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


__getattr__ = renamed(__name__, {"Keeping": "CachePolicy"}, _find)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
