from fathom_async._bulk.complete import (
    InconsistentError as InconsistentError,
    InseparableError as InseparableError,
)
from fathom_async._bulk.live import LiveVisitors as LiveVisitors
from fathom_async._bulk.results import (
    BulkError as BulkError,
    BulkPlan as BulkPlan,
    Outcome as Outcome,
    Progress as Progress,
)
from fathom_async._cache.entry import CachePolicy as CachePolicy
from fathom_async._core.pagination import Listing as Listing
from fathom_async._core.retry import RetryPolicy as RetryPolicy
from fathom_async._ratelimit.plan import (
    LaneStatus as LaneStatus,
    Priority as Priority,
    RateLimit as RateLimit,
    RatePlan as RatePlan,
)
from fathom_async._reports.comparison import (
    Change as Change,
    ComparedRow as ComparedRow,
    Comparison as Comparison,
)
from fathom_async._reports.filters import Filter as Filter, where as where
from fathom_async._reports.periods import Period as Period
from fathom_async._reports.query import EventQuery as EventQuery, PageviewQuery as PageviewQuery
from fathom_async._reports.report import Report as Report
from fathom_async._reports.rows import EventRow as EventRow, PageviewRow as PageviewRow
from fathom_async._util.clock import LoopClock as LoopClock
from fathom_async._version import __version__ as __version__
from fathom_async.client import FathomClient as FathomClient
from fathom_async.errors import (
    APIError as APIError,
    ArgumentError as ArgumentError,
    AuthenticationError as AuthenticationError,
    BudgetError as BudgetError,
    ClosedError as ClosedError,
    ConfigurationError as ConfigurationError,
    ConnectError as ConnectError,
    DecodeError as DecodeError,
    FathomError as FathomError,
    GoneError as GoneError,
    NetworkSettingsError as NetworkSettingsError,
    NotFoundError as NotFoundError,
    OutageError as OutageError,
    PagingError as PagingError,
    PermissionDeniedError as PermissionDeniedError,
    QueryError as QueryError,
    RateLimitError as RateLimitError,
    ServerError as ServerError,
    StoreError as StoreError,
    TimeoutError as TimeoutError,
    TransportError as TransportError,
    UnsortedLimitWarning as UnsortedLimitWarning,
    ValidationError as ValidationError,
    WaitTooLongError as WaitTooLongError,
    WorkerTokenError as WorkerTokenError,
)
from fathom_async.models import (
    Account as Account,
    CurrentVisitors as CurrentVisitors,
    Deleted as Deleted,
    Event as Event,
    Milestone as Milestone,
    Page as Page,
    Site as Site,
    Token as Token,
)
from fathom_async.telemetry import Stats as Stats
