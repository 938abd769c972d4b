"""A backfill as most tests run it: by the clock of New York, from one day on."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from fathom_async._reports.query import Query
from fathom_async.backfill._destination import Destination
from fathom_async.backfill._run import BackfillSummary, backfill
from tests.backfill.traffic import Ask
from tests.support.evaluation import ZONE

SINCE = "2026-02-21"


async def fill(
    query: Query[Any], ask: Ask, target: Destination, now: datetime, **options: Any
) -> BackfillSummary:
    arguments: dict[str, Any] = {"since": SINCE, "zone": ZoneInfo(ZONE)} | options
    return await backfill(query, ask, target=target, now=lambda: now, **arguments)
