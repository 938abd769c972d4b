"""Fathom's events in other services: entries of Secoda's catalog, event types in Emma.

    plan = await plan_sync(fathom, secoda, integration="cf103b47-…")
    print(plan)  # nothing has changed so far
    async for result in apply(plan):
        print(result)

Names decide what is the same. What exists stays as it is: a second run has nothing to do, and an interrupted one
continues where it stopped.
"""

from fathom_async.connectors.sync._changes import (
    Change,
    CreateCategory,
    CreateEvent,
    CreateEventType,
    CreateProperty,
    DeleteEvent,
    UpdateEvent,
    UpdateProperty,
)
from fathom_async.connectors.sync._destination import Destination, RemoteState, SyncError
from fathom_async.connectors.sync._source import AccountEvents, SiteEvents
from fathom_async.connectors.sync._sync_plan import Applied, SyncPlan, apply, plan_sync

__all__ = [
    "AccountEvents",
    "Applied",
    "Change",
    "CreateCategory",
    "CreateEvent",
    "CreateEventType",
    "CreateProperty",
    "DeleteEvent",
    "Destination",
    "RemoteState",
    "SiteEvents",
    "SyncError",
    "SyncPlan",
    "UpdateEvent",
    "UpdateProperty",
    "apply",
    "plan_sync",
]
