"""Emma's Events API: event types, and members' events, which trigger mail."""

from fathom_async.connectors.emma._batches import Batch, BatchError, Creation
from fathom_async.connectors.emma._client import BASE_URL, EmmaClient, EmmaPlan
from fathom_async.connectors.emma._models import EventType, MemberEvent, NewMemberEvent

__all__ = [
    "BASE_URL",
    "Batch",
    "BatchError",
    "Creation",
    "EmmaClient",
    "EmmaPlan",
    "EventType",
    "MemberEvent",
    "NewMemberEvent",
]
