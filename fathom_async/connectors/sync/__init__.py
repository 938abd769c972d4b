"""Fathom's events in other services: documented in Secoda's catalogue, known to Emma as types of events.

    plan = await plan_sync(fathom, secoda, integration="cf103b47-…")
    print(plan)  # what would be changed; so far, nothing has been
    async for outcome in apply(plan):
        print(outcome)

Things are matched by name. What is there already is left as it is, so that a second run finds nothing to do, and one
that was interrupted goes on where it ended.
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
from fathom_async.connectors.sync._remote_state import SyncError
from fathom_async.connectors.sync._sync_plan import Applied, SyncPlan, apply, plan_sync

__all__ = [
    "Applied",
    "Change",
    "CreateCategory",
    "CreateEvent",
    "CreateEventType",
    "CreateProperty",
    "DeleteEvent",
    "SyncError",
    "SyncPlan",
    "UpdateEvent",
    "UpdateProperty",
    "apply",
    "plan_sync",
]
